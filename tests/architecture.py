#!/usr/bin/env python3
"""Checks the dependencies that ARCHITECTURE.md draws.

    python3 tests/architecture.py

Crates: each depends only on the crates of this workspace that ALLOWED names for it. Dependencies of tests are left out.

Files: a name of NAMED, such as `tch`, occurs only below the folders beside it.

Circles: no files of a crate import each other in a circle, since none of them could be read, moved or tested alone. An
edge goes from a file to the one that defines what it names by `crate::…`, `self::…` or `super::…`, wherever it is
re-exported from. Left out: comments, strings, whatever stands under `#[cfg(test)]`, what a file names of its own child
modules (they are its parts), and the roots `lib.rs` and `main.rs`, which name everything.
"""
import re
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ROOTS = [
    "envs/core/src/lib.rs",
    "envs/src/lib.rs",
    "agents/search/src/lib.rs",
    "agents/src/lib.rs",
    "src/lib.rs",
    "src/main.rs",
    "src/learn/main.rs",
]
# Each package, where it is, and which packages of this workspace it may depend on.
ALLOWED = {
    "agon-core": ("envs/core", set()),
    "agon-envs": ("envs", {"agon-core"}),
    "agon-search": ("agents/search", {"agon-core"}),
    "agon-agents": ("agents", {"agon-core", "agon-search"}),
    "agon": (".", {"agon-core", "agon-envs", "agon-search", "agon-agents"}),
}
# Packages that only one crate may depend on, and folders outside of which code does not name what is theirs.
ONLY = {"tch": "agon-agents", "ratatui": "agon"}
NAMED = {
    "tch": ["agents/src", "agents/tests"],
    "agon_agents": ["agents/tests", "src/learn"],
    "ratatui": ["src"],
}
SOURCES = ["envs", "agents", "src", "tests"]
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|\'(?:\\.[^\']*|[^\'\\])\'', re.S)
TEST = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*")
MODULE = re.compile(r"\b(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;")
USE = re.compile(r"\b(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);")
PATH = re.compile(r"(?<![\w:])(?:\w+::)+\w+")


def end_of_item(text: str, at: int) -> int:
    """Where the item that begins at `at` ends: behind its `;`, or behind its closing brace."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "{([") - (text[i] in "})]")
        if depth == 0 and text[i] in ";}":
            return i + 1
    return len(text)


def code(path: Path) -> str:
    """A file without comments, texts and tests."""
    text = NOISE.sub(" ", path.read_text())
    while found := TEST.search(text):
        text = text[: found.start()] + text[end_of_item(text, found.end()) :]
    return text


def leaves(tree: str, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of a `use`: `a::{b, c::d as e}` gives (a, b) and (a, c, d)."""
    tree = tree.strip()
    if "{" not in tree:
        return [(*before, *(part.strip() for part in tree.split(" as ")[0].split("::")))]
    head, inner = tree.split("{", 1)
    before += tuple(part.strip() for part in head.split("::") if part.strip())
    parts, depth, part = [], 0, ""
    for c in inner[: inner.rindex("}")]:
        depth += (c == "{") - (c == "}")
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    return [leaf for part in [*parts, part] if part.strip() for leaf in leaves(part, before)]


class Crate:
    def __init__(self, root: Path):
        self.files: dict[tuple[str, ...], Path] = {}  # module path to file
        self.code: dict[tuple[str, ...], str] = {}
        self.passed_on: dict[tuple[str, ...], dict[str, tuple[str, ...]]] = {}
        self.enter((), root, root.parent)

    def enter(self, module: tuple[str, ...], path: Path, folder: Path) -> None:
        self.files[module], self.code[module] = path, code(path)
        for child in MODULE.findall(self.code[module]):
            self.enter((*module, child), folder / f"{child}.rs", folder / child)

    def absolute(self, module: tuple[str, ...], path: tuple[str, ...]) -> tuple[str, ...] | None:
        """A path as seen from the crate's root; none where it leads out of the crate."""
        at = module
        if path[0] == "crate":
            at, path = (), path[1:]
        elif path[0] in ("self", "super"):
            while path and path[0] in ("self", "super"):
                at, path = (at[:-1] if path[0] == "super" else at), path[1:]
        elif (*module, path[0]) not in self.files:
            return None
        return at + path

    def file(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """The module that defines what a path from the root names."""
        at = max((path[:n] for n in range(len(path) + 1) if path[:n] in self.files), key=len)
        rest = path[len(at) :]
        onward = self.passed_on.get(at, {}).get(rest[0]) if rest else None
        return self.file(onward + rest[1:]) if onward else at

    def edges(self) -> dict[tuple[str, ...], set[tuple[str, ...]]]:
        uses = {m: [(bool(pub), leaf) for pub, tree in USE.findall(text) for leaf in leaves(tree)]
                for m, text in self.code.items()}
        for module, list_ in uses.items():
            found = {leaf[-1]: self.absolute(module, leaf) for pub, leaf in list_ if pub}
            self.passed_on[module] = {name: path for name, path in found.items() if path}
        edges: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for module, text in self.code.items():
            named = [leaf for pub, leaf in uses[module] if not pub]
            named += [tuple(path.split("::")) for path in PATH.findall(USE.sub(" ", text))]
            paths = (self.absolute(module, path) for path in named)
            files = {self.file(path) for path in paths if path} if module else set()
            edges[module] = {file for file in files if file and file[: len(module)] != module}
        return edges

    def circles(self) -> list[set[str]]:
        """Strongly connected components of two files or more, as paths from the repository."""
        edges, reach = self.edges(), {}
        for start in edges:
            seen, todo = set(), [start]
            while todo:
                new = edges[todo.pop()] - seen
                seen |= new
                todo += new
            reach[start] = seen
        found = {frozenset(b for b in reach[a] if a in reach[b]) for a in edges} - {frozenset()}
        return [{str(self.files[m].relative_to(REPOSITORY)) for m in circle} for circle in found]


def dependencies(manifest: dict) -> set[str]:
    """The packages that a crate depends on, by their own names, for any target; those of its tests left out."""
    tables = [manifest, *manifest.get("target", {}).values()]
    kinds = ("dependencies", "build-dependencies")
    found = (item for table in tables for kind in kinds for item in table.get(kind, {}).items())
    return {what.get("package", name) if isinstance(what, dict) else name for name, what in found}


def layers() -> list[str]:
    """Dependencies between crates that ALLOWED and ONLY forbid."""
    wrong = []
    workspace = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]
    if {".", *workspace["members"]} != {folder for folder, _ in ALLOWED.values()}:
        wrong.append("ALLOWED and the members of the workspace differ")
    for package, (folder, allowed) in ALLOWED.items():
        manifest = tomllib.loads((REPOSITORY / folder / "Cargo.toml").read_text())
        if manifest["package"]["name"] != package:
            wrong.append(f"{folder} is not {package}")
        for name in sorted(dependencies(manifest)):
            if name in ALLOWED and name not in allowed or ONLY.get(name, package) != package:
                wrong.append(f"{package} must not depend on {name}")
    return wrong


def names() -> list[str]:
    """Names in code outside the folders that NAMED gives them."""
    wrong = []
    for path in sorted(path for source in SOURCES for path in (REPOSITORY / source).rglob("*.rs")):
        file = path.relative_to(REPOSITORY)
        text = NOISE.sub(" ", path.read_text())
        for name, folders in NAMED.items():
            if not any(file.is_relative_to(folder) for folder in folders) and re.search(rf"\b{name}\b", text):
                wrong.append(f"{file} must not name {name}")
    return wrong


def main() -> int:
    circles = [circle for root in ROOTS for circle in Crate(REPOSITORY / root).circles()]
    wrong = layers() + names()
    wrong += ["files import each other in a circle: " + " ".join(sorted(circle)) for circle in circles]
    for line in wrong:
        print(line, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

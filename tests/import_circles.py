#!/usr/bin/env python3
"""Reports files of a crate that import each other in a circle: none of them can be read, moved or tested alone.

    python3 tests/import_circles.py

An edge goes from a file to the one that defines what it names by `crate::…`, `self::…` or `super::…`, wherever it is
passed on from. Not looked at: comments, strings, whatever stands under `#[cfg(test)]`, what a file names of its own child
modules (they are its parts), and the roots `lib.rs` and `main.rs`, which name everything.
"""
import re
import sys
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
# Circles that are still to be broken. One that is gone, or smaller, must be taken off the list: it only shrinks.
KNOWN: list[set[str]] = [
    {"src/learn/bench.rs", "src/learn/doctor.rs"},
    {"src/learn/seeds.rs", "src/learn/train.rs"},
    {f"src/learn/{name}.rs" for name in ("checkpoints", "duel", "eval", "networks", "plan", "tables")},
]

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


def main() -> int:
    circles = [circle for root in ROOTS for circle in Crate(REPOSITORY / root).circles()]
    new, gone = [c for c in circles if c not in KNOWN], [c for c in KNOWN if c not in circles]
    for circle in new:
        print("files import each other in a circle:", " ".join(sorted(circle)), file=sys.stderr)
    for circle in gone:
        print("this circle is no longer there, take it off the list KNOWN:", " ".join(sorted(circle)), file=sys.stderr)
    return int(bool(new or gone))


if __name__ == "__main__":
    sys.exit(main())

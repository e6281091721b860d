#!/usr/bin/env python3
"""Turns a terminal's screen into an SVG: how the README's picture was made.

    tmux capture-pane -e -p -t agon | python3 docs/picture.py > docs/dashboard.svg
"""

import re
import sys
from html import escape

CELL, LINE, SIZE = 8.4, 17, 14
NAMES = ["#0d1117", "#ff7b72", "#3fb950", "#e3b341", "#58a6ff", "#d2a8ff", "#39c5cf", "#b1bac4"]
BRIGHT = ["#6e7681", "#ffa198", "#56d364", "#f2cc60", "#79c0ff", "#e2c5ff", "#56d4dd", "#f0f6fc"]
TEXT = "#c9d1d9"


def colour(codes):
    """The colour and weight after some SGR codes; None keeps what was."""
    fill = bold = None
    i = 0
    while i < len(codes):
        c = codes[i]
        if c == 0:
            fill, bold = TEXT, False
        elif c == 1:
            bold = True
        elif c == 22:
            bold = False
        elif 30 <= c <= 37:
            fill = NAMES[c - 30]
        elif 90 <= c <= 97:
            fill = BRIGHT[c - 90]
        elif c == 39:
            fill = TEXT
        elif c in (38, 48) and i + 2 < len(codes) and codes[i + 1] == 5:
            n = codes[i + 2]
            if c == 38 and n < 16:
                fill = (NAMES + BRIGHT)[n]
            i += 2
        i += 1
    return fill, bold


def bits(character):
    """The dots of a braille character, (column, row) each: fonts draw them too differently."""
    n = ord(character) - 0x2800
    order = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
    return [order[i] for i in range(8) if n >> i & 1] if 0 < n < 256 else []


def dot(x, y, place):
    left = 10 + (x + 0.12 + 0.5 * place[0]) * CELL
    top = 10 + (y + 0.06 + 0.25 * place[1]) * LINE
    return f"M{left:.1f} {top:.1f}h2v2h-2z"


def main():
    rows = sys.stdin.read().rstrip("\n").split("\n")
    width = max(len(re.sub(r"\x1b\[[0-9;]*m", "", r)) for r in rows)
    w, h = width * CELL + 20, len(rows) * LINE + 20
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{w:.0f}" height="{h}" viewBox="0 0 {w:.0f} {h}">')
    print(f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>')
    print(f'<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{SIZE}" xml:space="preserve">')
    fill, bold = TEXT, False
    for y, row in enumerate(rows):
        x = 0
        for part in re.split(r"(\x1b\[[0-9;]*m)", row):
            if part.startswith("\x1b["):
                new_fill, new_bold = colour([int(c or 0) for c in part[2:-1].split(";")])
                fill = new_fill if new_fill is not None else fill
                bold = new_bold if new_bold is not None else bold
            else:
                weight = ' font-weight="bold"' if bold else ""
                for word in re.finditer(r"[^\s\u2800-\u28ff]+", part):
                    place = f'x="{10 + (x + word.start()) * CELL:.1f}" y="{10 + (y + 0.8) * LINE:.1f}"'
                    width = f'textLength="{len(word[0]) * CELL:.1f}"'
                    print(f'<text {place} {width} fill="{fill}"{weight}>{escape(word[0])}</text>')
                dots = "".join(dot(x + k, y, b) for k, c in enumerate(part) for b in bits(c))
                if dots:
                    print(f'<path d="{dots}" fill="{fill}"/>')
                x += len(part)
    print("</g></svg>")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Draws what follows when one of two sellers is made to undercut: Calvano et al. 2020, figure 4.

    agon train scenarios/pricing/duopoly.toml --out run
    agon eval run --set eval.env.periods=60 --set eval.env.deviate_at=30 --path path.csv
    python3 docs/punishment.py path.csv 30 > docs/punishment.svg

Of another market than the paper's: its own one-period Nash and joint monopoly prices behind the period of the cut, as
`agon eval nash --scenario …` and `agon eval monopoly --scenario …` tell them.
"""

import csv
import math
import sys

WIDTH, HEIGHT, LEFT, BOTTOM = 760, 360, 56, 44
PAPERS = 1.4729266600, 1.9249809190
BEFORE, AFTER = 5, 20
INK = {"price of seller 1": "#d2552d", "price of seller 2": "#2d6cdf"}


def main():
    path, cut = sys.argv[1], int(sys.argv[2])
    with open(path, newline="") as file:
        rows = [r for r in csv.DictReader(file) if -BEFORE <= int(r["step"]) - cut <= AFTER]
    nash, monopoly = map(float, sys.argv[3:5]) if len(sys.argv) > 4 else PAPERS
    all_prices = [float(r[name]) for r in rows for name in INK] + [nash, monopoly]
    # Ticks at tenths, or at whatever power of ten is a tenth of the prices.
    unit = 10.0 ** math.floor(math.log10(max(all_prices)) - 1)
    low, high = (math.floor(min(all_prices) / unit) * unit, math.ceil(max(all_prices) / unit) * unit)

    def x(step):
        return LEFT + (step - cut + BEFORE) / (BEFORE + AFTER) * (WIDTH - LEFT - 16)

    def y(price):
        return 16 + (high - price) / (high - low) * (HEIGHT - BOTTOM - 16)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for tick in range(round(low / unit), round(high / unit) + 1):
        at = y(tick * unit)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - 16}" y1="{at:.1f}" y2="{at:.1f}" stroke="#eeeeee"/>')
        out.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end" fill="#555555">{tick * unit:.4g}</text>')
    for name, price in [("Nash", nash), ("monopoly", monopoly)]:
        at = y(price)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - 16}" y1="{at:.1f}" y2="{at:.1f}" stroke="#777777" stroke-dasharray="5 4"/>')
        out.append(f'<text x="{WIDTH - 20}" y="{at - 5:.1f}" text-anchor="end" fill="#777777">{name}</text>')
    for step in range(cut - BEFORE, cut + AFTER + 1, 5):
        out.append(f'<text x="{x(step):.1f}" y="{HEIGHT - 24}" text-anchor="middle" fill="#555555">{step - cut:+d}</text>')
    out.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 6}" text-anchor="middle" fill="#555555">periods since the forced cut</text>')
    for i, (name, ink) in enumerate(INK.items()):
        points = [(x(int(r["step"])), y(float(r[name]))) for r in rows]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{ink}" stroke-width="2"/>')
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{ink}"/>' for a, b in points]
        what = "is made to undercut" if i == 0 else "answers"
        out.append(f'<text x="{WIDTH - 200}" y="{HEIGHT - 180 + 18 * i}" fill="{ink}">{name.removeprefix("price of ")} {what}</text>')
    print("\n".join([*out, "</svg>"]))


if __name__ == "__main__":
    main()

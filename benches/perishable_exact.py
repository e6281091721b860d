#!/usr/bin/env python3
"""What a policy for pricing/perishable earns exactly, by the dynamic program, and in which periods it loses what is missing.

    python3 benches/perishable_exact.py runs/pricing/perishable-dqn/001 …

For prices from a menu and at most one sale a period. Policies come from `agon eval RUN --export`. States that no
episode met have the best price: they are too rare to count.
"""

import argparse
import csv
import math
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def policy(run):
    """Prices by (units left, periods left)."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "prices.csv"
        command = [ROOT / "target/release/agon", "eval", run, "--export", table, "--episodes", "5000"]
        subprocess.run(command, check=True, capture_output=True)
        with open(table, newline="") as lines:
            rows = list(csv.DictReader(lines))
    return {(int(r["stock left [units]"]), int(r["time left [periods]"])): float(r["action"]) for r in rows}


def report(run):
    env = tomllib.loads((Path(run) / "scenario.toml").read_text())["env"]
    if "price_range" in env or env["demand"] != "sale-probability":
        sys.exit(f"{run}: only menus and at most one sale a period")
    stock, periods, charged = env["stock"], env["periods"], policy(run)

    def chance(price):
        return env["scale"] * math.exp(-env["decay"] * price)

    def value(price, after, n):
        return chance(price) * (price + after[n - 1]) + (1 - chance(price)) * after[n]

    best, price = [[0.0] * (stock + 1)], {}
    for t in range(1, periods + 1):
        for n in range(1, stock + 1):
            price[n, t] = max(env["prices"], key=lambda p: value(p, best[-1], n))
        best.append([0.0] + [value(price[n, t], best[-1], n) for n in range(1, stock + 1)])
    fixed = 0.0
    for p in env["prices"]:
        earned = [0.0] * (stock + 1)
        for _ in range(periods):
            earned = [0.0] + [value(p, earned, n) for n in range(1, stock + 1)]
        fixed = max(fixed, earned[stock])
    # How often a state is met, times what the charged price loses there: the losses add up to what is missing.
    met, lost = {stock: 1.0}, [0.0] * (periods + 1)
    for t in range(periods, 0, -1):
        later = {}
        for n, often in met.items():
            p = charged.get((n, t), price[n, t])
            lost[t] += often * (best[t][n] - value(p, best[t - 1], n))
            for left, share in [(n - 1, chance(p)), (n, 1 - chance(p))]:
                if left:
                    later[left] = later.get(left, 0.0) + often * share
        met = later
    optimum, fifth = best[periods][stock], math.ceil(periods / 5)
    parts = [100 * sum(lost[i + 1 : i + 1 + fifth]) / optimum for i in range(0, periods, fifth)]
    parts = ", ".join(f"{part:.2f}" for part in reversed(parts))
    share = f"{100 - 100 * sum(lost) / optimum:.2f} % of {optimum:.4f} (the best fixed price {100 * fixed / optimum:.2f} %)"
    print(f"{run}: {share}; lost in each fifth of the periods: {parts} %")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="+")
    for run in parser.parse_args().run:
        report(run)

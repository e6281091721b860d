#!/usr/bin/env python3
"""Times `agon price init` on the sales of a chain: simulated logit demand, a row a week, shop and product.

    pip install numpy
    python3 benches/demand.py                                       five years × 200 products × 20 shops
    python3 benches/demand.py --weeks 156 --products 40 --shops 8   another chain

Every product's price effect is known, so that it is also told how many of the 95 % intervals hold the truth. The time is
that of the whole command: the table is read, sixteen models are compared at thirteen origins, the best one is fitted and
drawn. Linux (/usr/bin/time).
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

NORMAL_975 = 1.959964


def simulate(path: Path, weeks: int, products: int, shops: int, seed: int) -> np.ndarray:
    """Writes the table; returns the price effects."""
    rng = np.random.default_rng(seed)
    effects, regular = rng.uniform(0.8, 2.2, products), rng.uniform(1.5, 6, products)
    costs = regular * rng.uniform(0.5, 0.65, products)
    worth = rng.normal(-5.7, 0.7, products) + 0.9 * effects * regular + np.log(200 / products)
    with open(path, "w") as file:
        file.write("week,shop,product,price,cost,units,customers\n")
        for week in range(weeks):
            for shop in range(shops):
                deal = rng.choice([1, 0.95, 0.9, 0.8, 1.05], products, p=[0.5, 0.15, 0.1, 0.1, 0.15])
                prices = np.round(regular * deal * (1 + 0.03 * np.sin(week / 9 + shop)), 2)
                customers = int(rng.integers(15_000, 40_000))
                weights = np.exp(worth - effects * prices)
                units = rng.poisson(customers * weights / (1 + weights.sum()))
                for k in range(products):
                    file.write(f"{week + 1},shop{shop + 1},item{k + 1},{prices[k]},{costs[k]:.2f},{units[k]},{customers}\n")
    return effects


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=260)
    parser.add_argument("--products", type=int, default=200)
    parser.add_argument("--shops", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--agon", default=str(Path(__file__).resolve().parent.parent / "target" / "release" / "agon"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        table = Path(temporary) / "sales.csv"
        effects = simulate(table, args.weeks, args.products, args.shops, args.seed)
        names = json.dumps([f"item{k + 1}" for k in range(args.products)])
        print(f"{args.weeks} weeks × {args.products} products × {args.shops} shops: {table.stat().st_size / 1e6:.0f} MB",
              flush=True)
        timed = ["/usr/bin/time", "-f", "TIME %e %M", args.agon, "price", "init", str(table), "--map", f"products={names}"]
        told = subprocess.run(timed, capture_output=True, text=True)
    if told.returncode != 0:
        sys.exit(told.stderr)
    seconds, kilobytes = re.search(r"^TIME ([\d.]+) (\d+)", told.stderr, re.M).groups()
    fitted = re.search(r"compared and fitted in .*", told.stderr).group()
    print(f"  agon price init: {float(seconds):.1f} s ({fitted}), {int(kilobytes) / 1e3:.0f} MB")
    found = re.findall(r"^ +item(\d+) +([\d.]+) ± ([\d.]+) ", told.stderr, re.M)
    apart = [abs(float(b) - effects[int(k) - 1]) / float(error) for k, b, error in found]
    held = sum(z < NORMAL_975 for z in apart)
    print(f"  true price effects within 1.96 standard errors: {held} of {len(apart)}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Fit log-log demand with cross effects to the tuna table: an independent check.

Needs numpy and scipy. From the repository root:

    python3 tests/golden/log_log.py [-o OUTPUT.json]

The model, for each product k, in week t with n weeks:

    ln(units_kt / customers_t) = a_k + sum_j B_kj ln price_jt + g_k display_kt
                                 + trend, sine and cosine of the year

Ridge regression in standardised columns: 0.2 n on cross effects, 1e-6 n on the
rest; here as least squares of the augmented rows. Levels are then raised so
that the expected units of all weeks are those that were sold. For some weeks
the best prices within the observed ranges are found by bounded quasi-Newton
from many starts, product 6 being held at its charged price.

It also judges prices across halves of the table (`halves`): prices that never
change, best by the fit of one half, by the fit of the other half.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from tuna import ROOT, keep, read

YEAR = 365.25 / 7
HELD = [5]
CROSS, OTHER = 0.2, 1e-6


def calendar(week, middle):
    angle = 2 * np.pi * week / YEAR
    return np.stack([(week - middle) / YEAR, np.sin(angle), np.cos(angle)], axis=1)


def fit(t):
    week = t["week"] - 1.0  # counted from 0
    middle = week.mean()
    now = calendar(week, middle)
    n, products = t["price"].shape
    found = {"a": [], "B": [], "g": [], "calendar": [], "dispersion": [], "middle": middle}
    for k in range(products):
        x = np.concatenate([np.log(t["price"]), t["display"][:, [k]], now], axis=1)
        y = np.log(np.maximum(t["units"][:, k], 0.5) / t["customers"])
        mean, size = x.mean(axis=0), x.std(axis=0)
        z = (x - mean) / size
        cross = (np.arange(x.shape[1]) < products) & (np.arange(x.shape[1]) != k)
        weight = np.sqrt(n * np.where(cross, CROSS, OTHER))
        rows = np.concatenate([z, np.diag(weight)])
        right = np.concatenate([y - y.mean(), np.zeros(len(weight))])
        b = np.linalg.lstsq(rows, right, rcond=None)[0] / size
        a = y.mean() - mean @ b
        expected = t["customers"] * np.exp(np.minimum(a + x @ b, 0))
        ratio = t["units"][:, k].sum() / expected.sum()
        expected *= ratio
        excess = ((t["units"][:, k] - expected) ** 2 - expected).sum() / (expected**2).sum()
        found["a"].append(a + np.log(ratio))
        found["B"].append(b[:products])
        found["g"].append(b[products])
        found["calendar"].append(b[products + 1 :])
        found["dispersion"].append(max(excess, 0))
    return {name: np.array(value) for name, value in found.items()}


def level(f, t):
    """ln units a customer [T, K] where all prices are 1."""
    return f["a"] + f["g"] * t["display"] + calendar(t["week"] - 1.0, f["middle"]) @ f["calendar"].T


def profit(f, base, cost, price):
    units = np.exp(np.minimum(base + np.log(price) @ f["B"].T, 0))
    return (units * (price - cost)).sum(axis=-1)


def search(objective, bounds, seed):
    """The best of bounded quasi-Newton runs in ln prices."""
    low, high = np.array(bounds).T
    random = np.random.default_rng(seed)
    starts = [(low + high) / 2, low, high] + [random.uniform(low, high) for _ in range(7)]
    scale = abs(objective(starts[0])) + 1e-300
    options = {"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-9}
    runs = [minimize(lambda x: -objective(x) / scale, s, bounds=bounds, method="L-BFGS-B", options=options) for s in starts]
    return min(runs, key=lambda run: run.fun).x


def fixed(f, t, low, high):
    """The best prices that never change."""
    base, customers, cost = level(f, t), t["customers"], t["wholesale"]
    total = lambda x: customers @ profit(f, base, cost, np.exp(x))
    return np.exp(search(total, list(zip(np.log(low), np.log(high))), 1))


def lift(f, t, price):
    base, customers, cost = level(f, t), t["customers"], t["wholesale"]
    return customers @ profit(f, base, cost, price) / (customers @ profit(f, base, cost, t["price"])) - 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    t = keep(read(ROOT / "scenarios/data/tuna.csv"), [76])
    f = fit(t)
    low, high = t["price"].min(axis=0), t["price"].max(axis=0)
    base = level(f, t)
    weeks = []
    for i in np.linspace(0, len(base) - 1, 12).round().astype(int):
        bounds = [(np.log(low[k]), np.log(high[k])) for k in range(len(low))]
        for k in HELD:
            bounds[k] = (np.log(t["price"][i, k]),) * 2
        x = search(lambda x: profit(f, base[i], t["wholesale"][i], np.exp(x)), bounds, i)
        value = profit(f, base[i], t["wholesale"][i], np.exp(x))
        weeks.append({"row": int(i), "prices": np.exp(x).tolist(), "profit_per_customer": value})
    charged = t["customers"] @ profit(f, base, t["wholesale"], t["price"])
    halves = []
    cut = len(t["week"]) // 2
    parts = [{name: value[rows] for name, value in t.items()} for rows in (slice(cut), slice(cut, None))]
    for own, other in (parts, parts[::-1]):
        by_own, by_other = fit(own), fit(other)
        price = fixed(by_own, own, own["price"].min(axis=0), own["price"].max(axis=0))
        halves.append({"prices": price.tolist(), "by_own": lift(by_own, own, price), "by_other": lift(by_other, other, price)})
        print(halves[-1])
    whole = fixed(f, t, low, high)
    print("whole", lift(f, t, whole), "by halves' fits", [lift(fit(p), p, whole) for p in parts])
    result = {
        "coefficients": {name: np.array(value).tolist() for name, value in f.items()},
        "charged": charged,
        "optimum": weeks,
        "halves": halves,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

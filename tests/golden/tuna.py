#!/usr/bin/env python3
"""Fit logit demand with an outside option to a sales table: an independent check.

Needs numpy and scipy. From the repository root:

    python3 tests/golden/tuna.py [TABLE.csv] [-o OUTPUT.json]

The model. In week t a customer buys one unit of product k or nothing:

    u_kt = a_k - b_k * price_kt + g * display_kt,   u_0t = 0
    s_kt = exp(u_kt) / (1 + sum_j exp(u_jt))

Two forms: `common` has one price coefficient b, `by-product` one b_k for each
product. Two fits of each:

  least_squares   Berry (1994): ln s_kt - ln s_0t on the regressors
  likelihood      multinomial maximum likelihood of the units sold and of the
                  customers who bought nothing (the constant multinomial
                  coefficients are left out), by Newton's method

The retailer earns sum_k s_kt * (p_k - wholesale_kt) per customer. For some
weeks the best prices within the observed range of each product are found by
bounded quasi-Newton from many starts; the free prices are then refined on the
first-order conditions and the whole is checked against the conditions for a
bounded optimum. The fixed point that has the closed form is not used here, so
that it can be checked against this.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

ROOT = Path(__file__).resolve().parents[2]
FIELDS = ("units", "price", "wholesale", "display")
FORMS = ("common", "by-product")
MAX_FACTOR = 3.0  # a price further than this from the product's median is an error
EMPTY_SHELF = 20.0  # sales this many times below the median draw a warning
SAMPLE_WEEKS = 20
STARTS = 8


# --- the table ---------------------------------------------------------------


def read(path):
    """The table as a dict: `week` and `customers` [T], the rest [T, K]."""
    with open(path, newline="") as file:
        header, *rows = list(csv.reader(file))
    cells = np.array(rows, dtype=float)
    column = {name: cells[:, i] for i, name in enumerate(header)}
    products = sum(name.startswith("units_") for name in header)
    table = {
        f: np.stack([column[f"{f}_{k}"] for k in range(1, products + 1)], axis=1)
        for f in FIELDS
    }
    table["week"] = column["week"].astype(int)
    table["customers"] = column["customers"]
    return table


def check(t):
    """What cannot be true, as errors, and what is odd, as warnings.

    Each is a dict with the week, the product (None: the whole week) and why.
    """
    errors, warnings = [], []

    def note(where, hits, why):
        for hit in np.argwhere(hits):
            week = int(t["week"][hit[0]])
            product = int(hit[1]) + 1 if len(hit) == 2 else None
            where.append({"week": week, "product": product, "why": why})

    for f in FIELDS:
        note(errors, ~np.isfinite(t[f]), f"{f} is not a number")
    note(errors, np.append(False, np.diff(t["week"]) <= 0), "week is not after the one before")
    note(errors, t["price"] <= 0, "price is not above 0")
    note(errors, t["wholesale"] <= 0, "wholesale is not above 0")
    for f in ("price", "wholesale"):
        value = np.maximum(t[f], 1e-12)  # not above 0 is already an error
        median = np.median(value, axis=0)
        far = np.maximum(value / median, median / value) > MAX_FACTOR
        note(errors, far, f"{f} is more than {MAX_FACTOR:g} times off the product's median")
    note(errors, t["units"] <= 0, "units is not above 0")
    note(errors, (t["display"] < 0) | (t["display"] > 1), "display is not between 0 and 1")
    total = t["units"].sum(axis=1)
    note(errors, total >= t["customers"], "more units than customers")

    note(warnings, t["price"] < t["wholesale"], "price is below wholesale")
    scarce = t["units"] < np.median(t["units"], axis=0) / EMPTY_SHELF
    note(warnings, scarce, f"units is below 1/{EMPTY_SHELF:g} of the product's median")
    return errors, warnings


def keep(t, weeks_out):
    rows = ~np.isin(t["week"], weeks_out)
    return {name: value[rows] for name, value in t.items()}


# --- demand ------------------------------------------------------------------


def design(t, form):
    """Regressors [T, K, P]; the parameters are a_1..a_K, b (1 or K), g."""
    weeks, products = t["price"].shape
    intercept = np.broadcast_to(np.eye(products), (weeks, products, products))
    price = -t["price"][:, :, None]
    if form == "by-product":
        price = price * np.eye(products)
    return np.concatenate([intercept, price, t["display"][:, :, None]], axis=2)


def unpack(theta, products):
    a, b, g = theta[:products], theta[products:-1], theta[-1]
    return a, np.broadcast_to(b, (products,)).copy(), g


def describe(theta, se, products, **more):
    def parts(v):
        return {"a": list(v[:products]), "b": list(v[products:-1]), "g": v[-1]}

    return {**parts(theta), "se": parts(se), **more}


def least_squares(x, t):
    weeks, products, size = x.shape
    outside = t["customers"] - t["units"].sum(axis=1)
    y = np.log(t["units"] / outside[:, None]).ravel()
    flat = x.reshape(weeks * products, size)
    theta = np.linalg.lstsq(flat, y, rcond=None)[0]
    residual = y - flat @ theta
    variance = residual @ residual / (weeks * products - size)
    se = np.sqrt(variance * np.diag(np.linalg.inv(flat.T @ flat)))
    r2 = 1 - residual @ residual / ((y - y.mean()) ** 2).sum()
    return theta, describe(theta, se, products, r2=r2)


def likelihood(x, t):
    """Newton on the log-likelihood per customer, which is concave."""
    _, products, size = x.shape
    units, customers = t["units"], t["customers"]
    total = customers.sum()

    def value(theta):
        u = x @ theta
        top = np.maximum(u.max(axis=1), 0)
        ln_sum = top + np.log(np.exp(-top) + np.exp(u - top[:, None]).sum(axis=1))
        return ((units * u).sum() - (customers * ln_sum).sum()) / total

    def derivatives(theta):
        u = x @ theta
        top = np.maximum(u.max(axis=1, keepdims=True), 0)
        e = np.exp(u - top)
        s = e / (np.exp(-top) + e.sum(axis=1, keepdims=True))
        by_week = np.einsum("tkp,tk->tp", x, units - customers[:, None] * s)
        mean = np.einsum("tkp,tk->tp", x, s)
        second = np.einsum("tkp,tk,tkq->pq", x, customers[:, None] * s, x, optimize=True)
        hessian = (second - (mean * customers[:, None]).T @ mean) / total  # of -value
        return by_week, by_week.sum(axis=0) / total, hessian

    theta = np.zeros(size)
    for _ in range(100):
        _, gradient, hessian = derivatives(theta)
        if np.abs(gradient).max() < 1e-14:
            break
        step, length = np.linalg.solve(hessian, gradient), 1.0
        while value(theta + length * step) < value(theta) - 1e-15 and length > 1e-9:
            length /= 2
        theta = theta + length * step
    by_week, gradient, hessian = derivatives(theta)
    gradient_max = np.abs(gradient).max()
    assert gradient_max < 1e-12, gradient_max
    # Customers of one week share what the model leaves out, so the errors are
    # clustered by week; the inverse Hessian alone would be far too small.
    inverse = np.linalg.inv(hessian * total)
    se = np.sqrt(np.diag(inverse @ (by_week.T @ by_week) @ inverse))
    return theta, describe(
        theta,
        se,
        products,
        log_likelihood_per_customer=value(theta),
        gradient_max=gradient_max,
    )


# --- prices ------------------------------------------------------------------


def profit(p, a, b, cost):
    """Profit per customer and its gradient in the prices; a includes display."""
    e = np.exp(a - b * p)
    s = e / (1 + e.sum(axis=-1, keepdims=True))
    value = (s * (p - cost)).sum(axis=-1)
    return value, s * (1 - b * (p - cost - value[..., None]))


def best(objective, low, high, starts):
    """The best of bounded quasi-Newton runs of -objective, scaled to about 1."""
    scale = max(abs(objective(starts[0])[0]), 1e-12)

    def negative(p):
        value, gradient = objective(p)
        return -value / scale, -gradient / scale

    runs = [
        minimize(
            negative,
            start,
            jac=True,
            bounds=list(zip(low, high)),
            method="L-BFGS-B",
            options={"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-10},
        )
        for start in starts
    ]
    return min(runs, key=lambda run: run.fun).x


def optimum(a, b, cost, low, high, starts):
    """Best prices in the box, their profit, and which prices sit on the box."""
    found = best(lambda q: profit(q, a, b, cost), low, high, starts)
    p = found.copy()
    # Refine: 1 - b (p - cost - profit) is 0 at a free price, below 0 at a low
    # bound and above 0 at a high one.
    for _ in range(20):
        slope = 1 - b * (p - cost - profit(p, a, b, cost)[0])
        at_low = (p - low < 1e-6) & (slope < 0)
        at_high = (high - p < 1e-6) & (slope > 0)
        p = np.where(at_low, low, np.where(at_high, high, p))
        free = ~(at_low | at_high)
        for _ in range(20):  # Newton on the conditions of the free prices
            slope = 1 - b * (p - cost - profit(p, a, b, cost)[0])
            jacobian = np.outer(b, profit(p, a, b, cost)[1]) - np.diag(b)
            p[free] -= np.linalg.solve(jacobian[np.ix_(free, free)], slope[free])
        out = (p < low) | (p > high)
        p = np.clip(p, low, high)
        if not out.any():
            break
    value = profit(p, a, b, cost)[0]
    slope = 1 - b * (p - cost - value)
    assert np.all(np.abs(p - found) < 1e-4), (p, found)
    assert np.all(np.abs(slope[free]) < 1e-12) and np.all((p >= low) & (p <= high))
    assert np.all(slope[at_low] <= 0) and np.all(slope[at_high] >= 0)
    return p, value, np.where(at_low, "low", np.where(at_high, "high", "free"))


def prices(theta, t, low, high):
    """Best prices of some weeks, and the sums over all weeks."""
    products = len(low)
    base, b, g = unpack(theta, products)
    a = base + g * t["display"]
    n, cost = t["customers"], t["wholesale"]
    random = np.random.default_rng(1)
    starts = [(low + high) / 2, low, high]
    starts += [random.uniform(low, high) for _ in range(STARTS - len(starts))]

    found = [optimum(a[i], b, cost[i], low, high, starts) for i in range(len(n))]
    sample = np.linspace(0, len(n) - 1, SAMPLE_WEEKS).round().astype(int)
    weeks = [
        {
            "week": int(t["week"][i]),
            "prices": list(found[i][0]),
            "bound": list(found[i][2]),
            "profit_per_customer": found[i][1],
            "profit_per_customer_charged": profit(t["price"][i], a[i], b, cost[i])[0],
        }
        for i in sample
    ]

    def fixed_total(p):
        value, gradient = profit(p, a, b, cost)
        return n @ value, n @ gradient

    fixed = best(fixed_total, low, high, starts)
    total = {
        "sold": (t["units"] * (t["price"] - cost)).sum(),
        "charged": n @ profit(t["price"], a, b, cost)[0],
        "best_fixed": fixed_total(fixed)[0],
        "optimum": n @ np.array([value for _, value, _ in found]),
        "best_fixed_prices": list(fixed),
    }
    return weeks, total


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", nargs="?", type=Path, default=ROOT / "scenarios/data/tuna.csv")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()

    everything = read(options.table)
    errors, warnings = check(everything)
    out = sorted({e["week"] for e in errors})
    t = keep(everything, out)
    low, high = t["price"].min(axis=0), t["price"].max(axis=0)
    products = len(low)

    result = {
        "table": options.table.name,
        "weeks_read": len(everything["week"]),
        "weeks_left_out": out,
        "weeks_kept": len(t["week"]),
        "errors": errors,
        "warnings": warnings,
        "box": {"low": list(low), "high": list(high)},
        "notes": {
            "parameters": "u = a_k - b_k * price + g * display; b has 1 or K entries",
            "box": "lowest and highest price of each product in the weeks kept",
            "log_likelihood_per_customer": "multinomial coefficients left out",
            "se": "least squares: classical; likelihood: clustered by week",
            "optimum": "of the likelihood fit; profit totals in $ over the weeks kept",
            "sold": "profit of the units really sold, no model",
        },
        "fits": {},
    }
    for form in FORMS:
        x = design(t, form)
        _, squares = least_squares(x, t)
        theta, most_likely = likelihood(x, t)
        weeks, total = prices(theta, t, low, high)
        result["fits"][form] = {
            "least_squares": squares,
            "likelihood": most_likely,
            "total_profit": total,
            "optimum": weeks,
        }
        print(f"{form}: b {np.round(unpack(theta, products)[1], 4)}, g {theta[-1]:.4f}")
        print({k: round(v) for k, v in total.items() if k != "best_fixed_prices"})
    text = json.dumps(result, indent=1, default=lambda scalar: scalar.item())
    options.output.write_text(text + "\n")
    print(f"{len(errors)} errors, {len(warnings)} warnings, weeks left out: {out}")


if __name__ == "__main__":
    main()

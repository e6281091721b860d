#!/usr/bin/env python3
"""Fit nested logit demand to the tuna table: an independent check.

Needs numpy and scipy. From the repository root:

    python3 tests/golden/nested_logit.py [-o OUTPUT.json]

The model: V_kt = a_k - b_k price_kt + g display_kt, buying nothing has 0. With
lambda = 1 - sigma and D_g the sum of exp(V_j / lambda) over the nest of k:

    P_kt = exp(V_kt / lambda) D_g^(lambda - 1) / (1 + sum_h D_h^lambda)

Maximum likelihood of the units sold and of the customers who bought nothing:
for each sigma of a grid the rest by a quasi-Newton search, then all of it by
Newton's method with derivatives by central differences. Standard errors: the
sandwich of clustered weekly scores and the Fisher information, whose
probabilities are differentiated numerically; Bartlett's kernel over as many
weeks as the cube root of their number, rounded up. They have no correction for
small samples here. For some weeks the best prices within the observed ranges
are found by bounded quasi-Newton from many starts.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from tuna import ROOT, keep, read

FITS = {
    "one nest, by-product": ([[0, 1, 2, 3, 4, 5, 6]], False),
    "two nests, common": ([[0, 1, 3, 6], [2, 4]], True),
    "two nests, by-product": ([[0, 1, 3, 6], [2, 4]], False),
}
WEEKS_OUT = [76]
SAMPLE_WEEKS = 12
STARTS = 12


def unpack(theta, products, common):
    a = theta[:products]
    b = np.repeat(theta[products], products) if common else theta[products : 2 * products]
    return a, b, theta[-2], theta[-1]


def log_shares(v, nests, sigma):
    """ln P [T, K + 1] of utilities [T, K]; buying nothing is the last."""
    scale = 1.0 - sigma
    alone = [[k] for k in range(v.shape[1]) if all(k not in nest for nest in nests)]
    logs = np.zeros((v.shape[0], v.shape[1] + 1))
    inclusive = []
    for nest in list(nests) + alone:
        x = v[:, nest] / scale
        top = x.max(axis=1, keepdims=True)
        log_d = top[:, 0] + np.log(np.exp(x - top).sum(axis=1))
        logs[:, nest] = x + (scale - 1.0) * log_d[:, None]
        inclusive.append(scale * log_d)
    return logs - np.log(1.0 + np.exp(inclusive).sum(axis=0))[:, None]


def fit(t, nests, common):
    weeks, products = t["price"].shape
    rest = t["customers"] - t["units"].sum(axis=1)
    counts = np.column_stack([t["units"], rest])
    everybody = counts.sum()

    def logs(theta):
        a, b, g, sigma = unpack(theta, products, common)
        return log_shares(a - b * t["price"] + g * t["display"], nests, sigma)

    def loss(theta):
        return -(counts * logs(theta)).sum() / everybody

    count = products + (1 if common else products) + 2
    share = t["units"].sum(axis=0) / everybody
    best = None
    profile = []
    for sigma in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        start = np.zeros(count)
        start[:products] = np.log(share / (rest.sum() / everybody)) + 1.0
        start[products:-2] = 1.0
        scale = 1e3  # the loss is small a customer
        found = minimize(
            lambda x: scale * loss(np.append(x, sigma)), start[:-1], method="BFGS", options={"maxiter": 4000, "gtol": 1e-6}
        )
        profile.append((sigma, -found.fun / scale))
        if best is None or found.fun < best[0]:
            best = (found.fun, np.append(found.x, sigma))
    theta = best[1]

    def derivative(theta):
        """d ln P by theta, [count, T, K + 1], by central differences of fourth order."""
        out = []
        for i in range(count):
            h = 1e-3 * max(1.0, abs(theta[i])) * 0.1
            at = lambda m: logs(theta + m * h * np.eye(count)[i])
            out.append((8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h))
        return np.array(out)

    for _ in range(100):
        d = derivative(theta)
        score = (d * counts).sum(axis=(1, 2))
        expected = np.exp(logs(theta)) * t["customers"][:, None]
        information = np.einsum("itk,jtk,tk->ij", d, d, expected)
        step = np.linalg.solve(information, score)
        theta = theta + step
        if np.abs(step).max() < 1e-8:
            break
    else:
        raise SystemExit(f"no maximum was found: {theta}, the last step {step}")
    d = derivative(theta)
    expected = np.exp(logs(theta)) * t["customers"][:, None]
    bread = np.linalg.inv(np.einsum("itk,jtk,tk->ij", d, d, expected))
    scores = np.einsum("itk,tk->ti", d, counts)
    block = int(np.ceil(np.cbrt(weeks)))
    filling = np.zeros((count, count))
    for apart in range(block):
        near = scores[apart:].T @ scores[: weeks - apart]
        filling += (1.0 - apart / block) * (near if apart == 0 else near + near.T)
    errors = np.sqrt(np.diag(bread @ filling @ bread))
    a, b, g, sigma = unpack(theta, products, common)
    result = {
        "nests": nests,
        "a": a,
        "b": b,
        "g": g,
        "sigma": sigma,
        "log_likelihood": -loss(theta),
        "profile": profile,
        "errors": errors,
    }
    if b.min() > 0.0:
        result["optimum"] = optima(t, nests, (a, b, g, sigma))
    return result


def optima(t, nests, coefficients):
    """Best prices of some weeks, within the observed ranges."""
    a, b, g, sigma = coefficients
    low, high = t["price"].min(axis=0), t["price"].max(axis=0)
    rng = np.random.default_rng(0)
    rows = np.linspace(0, len(t["week"]) - 1, SAMPLE_WEEKS).astype(int)
    weeks = []
    for row in rows:
        def loss(p):
            v = a - b * p + g * t["display"][row]
            shares = np.exp(log_shares(v[None, :], nests, sigma))[0, :-1]
            return -1e3 * float(shares @ (p - t["wholesale"][row]))

        found = [
            minimize(loss, rng.uniform(low, high), bounds=list(zip(low, high)), method="L-BFGS-B",
                     options={"ftol": 1e-16, "gtol": 1e-10, "maxiter": 2000})
            for _ in range(STARTS)
        ]
        best = min(found, key=lambda f: f.fun)
        weeks.append({"row": int(row), "profit_per_customer": -best.fun / 1e3, "prices": best.x})
    return weeks


def plain(value):
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return float(value) if isinstance(value, np.floating) else value


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "tests/golden/nested_logit.json")
    options = parser.parse_args()
    t = keep(read(ROOT / "scenarios/data/tuna.csv"), WEEKS_OUT)
    result = {name: fit(t, nests, common) for name, (nests, common) in FITS.items()}
    options.output.write_text(json.dumps(plain(result), indent=1) + "\n")
    for name, f in result.items():
        print(name, "sigma", f["sigma"], "+-", f["errors"][-1], "b", f["b"], "ll", f["log_likelihood"])
        print("  profile", [(s, round(x, 8)) for s, x in f["profile"]])


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What numpy and scikit-learn say of t-SNE: the ground truth of agents/tests/tsne.rs.

    pip install scikit-learn
    python3 tests/golden/tsne.py             # writes tests/golden/tsne.json

Affinities: every third row of wine (tests/golden/tables.json), standardised by the whole table; each row's 3 × perplexity
+ 1 nearest neighbours, the precision found by scipy's root finder. The gradient is the exact sum over all pairs in numpy,
at places that the file has. Maps: scikit-learn's TSNE of its digits, from principal components, with its divergence and
its trustworthiness (5 neighbours). `--digits FILE` writes the digits as a table for `agon train --data`.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import sklearn
from scipy.optimize import brentq
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE, trustworthiness

HERE = Path(__file__).resolve().parent
PERPLEXITY = 5


def squared(x):
    return ((x[:, None, :] - x[None, :, :]) ** 2).sum(-1)


def conditional(d, near):
    """Shares of neighbours at these squared distances whose perplexity is PERPLEXITY."""
    d = d[near] - d[near].min()

    def shares(beta):
        p = np.exp(-beta * d)
        return p / p.sum()

    def off(log_beta):
        p = shares(np.exp(log_beta))
        p = p[p > 0]
        return -(p * np.log(p)).sum() - np.log(PERPLEXITY)

    return shares(np.exp(brentq(off, -30, 30, xtol=1e-14, rtol=1e-14)))


def affinities(x):
    d, n = squared(x), len(x)
    p = np.zeros((n, n))
    for i in range(n):
        others = np.array([j for j in range(n) if j != i])
        near = others[np.argsort(d[i, others], kind="stable")][: 3 * PERPLEXITY + 1]
        p[i, near] = conditional(d[i], near)
    return (p + p.T) / (2 * n)


def gradient(p, y, exaggeration):
    w = 1 / (1 + squared(y))
    np.fill_diagonal(w, 0)
    q = w / w.sum()
    force = (exaggeration * p - q) * w
    out = 4 * (force[:, :, None] * (y[:, None, :] - y[None, :, :])).sum(1)
    there = p > 0
    return out, float((p[there] * np.log(p[there] / q[there])).sum())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--digits")
    args = parser.parse_args()
    digits = load_digits()
    if args.digits:
        head = ",".join([f"p{k}" for k in range(64)] + ["digit"])
        rows = [",".join([f"{v:g}" for v in x] + [f"d{y}"]) for x, y in zip(digits.data, digits.target)]
        Path(args.digits).write_text("\n".join([head, *rows]) + "\n")
    wine = np.array(json.loads((HERE / "tables.json").read_text())["tables"]["wine"]["x"])
    wine = ((wine - wine.mean(0)) / wine.std(0))[::3]
    p = affinities(wine)
    y = np.random.default_rng(0).normal(scale=3.0, size=(len(wine), 2))
    plain, divergence = gradient(p, y, 1.0)
    i, j = np.nonzero(np.triu(p))
    tsne = TSNE(perplexity=30, init="pca", random_state=0)
    places = tsne.fit_transform(digits.data)
    out = {
        "scikit-learn": sklearn.__version__,
        "perplexity": PERPLEXITY,
        "p": [[int(a), int(b), float(p[a, b])] for a, b in zip(i, j)],
        "y": y.tolist(),
        "gradient": plain.tolist(),
        "exaggerated": gradient(p, y, 12.0)[0].tolist(),
        "divergence": divergence,
        "digits": {
            "kl_divergence": float(tsne.kl_divergence_),
            "trustworthiness": float(trustworthiness(digits.data, places, n_neighbors=5)),
        },
        # The trustworthiness of those places of wine's rows, which are nowhere.
        "trustworthiness": float(trustworthiness(wine, y, n_neighbors=5)),
    }
    (HERE / "tsne.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What umap-learn says: the ground truth of agents/tests/umap.rs.

    pip install umap-learn
    python3 tests/golden/umap_learn.py       # writes tests/golden/umap_learn.json

The curve: a and b for some distances and spreads. The graph: every third row of wine (tests/golden/tables.json),
standardised by the whole table, rounded to single precision as umap-learn does; the weight of every pair. Placing: other
rows of wine, of each the weights of its neighbours among those rows. Maps: scikit-learn's digits by three seeds, with their
trustworthiness (5 neighbours) and the accuracy of the 5 nearest rows on the map, in ten folds; and the accuracy of the 5
nearest among the maps of a half for the other half, which `transform` places.
"""
import json
from pathlib import Path

import numpy as np
import umap
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from umap.umap_ import compute_membership_strengths, find_ab_params, fuzzy_simplicial_set, smooth_knn_dist

HERE = Path(__file__).resolve().parent
NEIGHBOURS = 10


def graph(x):
    found = fuzzy_simplicial_set(x, NEIGHBOURS, np.random.RandomState(0), "euclidean")[0].tocoo()
    return [[int(i), int(j), float(w)] for i, j, w in zip(found.row, found.col, found.data) if i < j]


def placing(x, new):
    """As UMAP.transform has it: a local connectivity of 0."""
    far = pairwise_distances(new, x).astype(np.float32)
    near = np.argsort(far, axis=1, kind="stable")[:, :NEIGHBOURS]
    far = np.take_along_axis(far, near, axis=1)
    sigmas, rhos = smooth_knn_dist(far, float(NEIGHBOURS), local_connectivity=0.0)
    rows, columns, weights, _ = compute_membership_strengths(near, far, sigmas, rhos, bipartite=True)
    return [[int(i), int(j), float(w)] for i, j, w in zip(rows, columns, weights)]


def accuracy(places, labels):
    order = np.random.default_rng(0).permutation(len(labels))
    return float(cross_val_score(KNeighborsClassifier(5), places[order], labels[order], cv=10).mean())


def main():
    wine = np.array(json.loads((HERE / "tables.json").read_text())["tables"]["wine"]["x"])
    wine = ((wine - wine.mean(0)) / wine.std(0)).astype(np.float32)
    digits = load_digits()
    maps = []
    for seed in (1, 2, 3):
        places = umap.UMAP(random_state=seed, n_jobs=1).fit_transform(digits.data)
        half = umap.UMAP(random_state=seed, n_jobs=1).fit(digits.data[::2])
        new = half.transform(digits.data[1::2])
        near = KNeighborsClassifier(5).fit(half.embedding_, digits.target[::2])
        maps.append({
            "seed": seed,
            "trustworthiness": float(trustworthiness(digits.data, places, n_neighbors=5)),
            "accuracy": accuracy(places, digits.target),
            "accuracy_of_placed": float(near.score(new, digits.target[1::2])),
        })
    curves = [[spread, near, *map(float, find_ab_params(spread, near))] for spread, near in
              ((1.0, 0.1), (1.0, 0.0), (1.0, 0.5), (1.0, 0.99), (2.0, 0.25), (0.5, 0.1))]
    out = {
        "umap-learn": umap.__version__,
        "neighbours": NEIGHBOURS,
        "curves": curves,
        "graph": graph(wine[::3]),
        "placing": placing(wine[::3], wine[1::3]),
        "digits": maps,
    }
    (HERE / "umap_learn.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()

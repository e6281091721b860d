#!/usr/bin/env python3
"""k-means of Agon and of scikit-learn on the same machine, interleaved, as a ratio.

    pip install scikit-learn
    python3 benches/clusters.py [--reps 3]

A million rows of 16 numbers around 64 centres, 64 clusters, 20 iterations of Lloyd's from every fourth of the first
256 rows, double precision, all cores, without reading a file. Needs `cargo build --release`.
"""
import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

AGON = Path(__file__).resolve().parent.parent / "target" / "release" / "agon"
ROWS, WIDTH, CLUSTERS, ITERATIONS = 1_000_000, 16, 64, 20


def theirs(x):
    model = KMeans(CLUSTERS, init=x[: 4 * CLUSTERS : 4], n_init=1, max_iter=ITERATIONS, tol=0, algorithm="lloyd")
    start = time.perf_counter()
    model.fit(x)
    assert len(x) < ROWS or model.n_iter_ == ITERATIONS, model.n_iter_
    return 1e3 * (time.perf_counter() - start)


def ours():
    out = subprocess.run([AGON, "bench", "kmeans", "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(out)["results"][0]["value"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reps", type=int, default=3)
    reps = parser.parse_args().reps
    rng = np.random.default_rng(1)
    middle = 2 * rng.standard_normal((CLUSTERS, WIDTH))
    x = middle[np.arange(ROWS) % CLUSTERS] + rng.standard_normal((ROWS, WIDTH))
    theirs(x[:10_000])
    pairs = [(ours(), theirs(x)) for _ in range(reps)]
    own, other = (statistics.median(column) for column in zip(*pairs))
    print(f"Agon {own:.0f} ms, scikit-learn {other:.0f} ms: {other / own:.1f} times as fast")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""UMAP of Agon and of umap-learn on scikit-learn's digits (1,797 rows of 64 numbers), in one run, by three seeds.

    pip install umap-learn
    python3 benches/maps.py [--agon target/release/agon]

Trustworthiness (5 neighbours), the accuracy of the 5 nearest rows on the map in ten folds, and seconds: of Agon those of the
whole command, with reading, checkpoints and the evaluation; of umap-learn those of `fit_transform` alone, without its
compilation, on one core as it wants it for a seed, and on all cores without one. Needs `cargo build --release`.
"""
import argparse
import statistics
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import umap
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

AGON = Path(__file__).resolve().parent.parent / "target" / "release" / "agon"


def timed(work):
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def ours(agon, folder, seed):
    run = folder / f"run-{seed}"
    sets = ["--model", "umap", "--set", "model.scaling=none", "--seed", str(seed), "--ui", "plain", "--out", str(run)]
    subprocess.run([agon, "train", "--data", str(folder / "digits.csv"), *sets], check=True, capture_output=True)
    return np.loadtxt(run / "coordinates.csv", delimiter=",", skiprows=1)[:, 1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agon", type=Path, default=AGON)
    agon = parser.parse_args().agon.resolve()
    warnings.filterwarnings("ignore")
    digits = load_digits()
    x, labels = digits.data, digits.target
    order = np.random.default_rng(0).permutation(len(x))

    def judged(places):
        nearest = cross_val_score(KNeighborsClassifier(5), places[order], labels[order], cv=10).mean()
        return trustworthiness(x, places, n_neighbors=5), nearest

    def theirs(seed):
        return umap.UMAP(random_state=seed, n_jobs=1 if seed else -1).fit_transform(x)

    theirs(1), theirs(None)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        head = ",".join(f"p{k}" for k in range(x.shape[1]))
        np.savetxt(folder / "digits.csv", x, fmt="%g", delimiter=",", header=head, comments="")
        times = []
        for seed in (1, 2, 3):
            own, places = timed(lambda: ours(agon, folder, seed))
            one, known = timed(lambda: theirs(seed))
            every, _ = timed(lambda: theirs(None))
            times.append((own, one, every))
            print(f"seed {seed}: trustworthiness and accuracy: Agon %.4f %.4f," % judged(places), end=" ")
            print("umap-learn %.4f %.4f" % judged(known))
    own, one, every = (statistics.median(column) for column in zip(*times))
    print(f"Agon {own:.2f} s, umap-learn {umap.__version__} {one:.2f} s with a seed, {every:.2f} s on all cores without")


if __name__ == "__main__":
    main()

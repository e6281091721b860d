#!/usr/bin/env python3
"""A table read in blocks beside the same table in memory: peak memory, seconds and accuracy on the same kind of test part.

    pip install numpy
    python3 benches/stream.py [--rows 2000000]

Rows of 16 numbers and a label, sorted by their class, of which nine tenths can be known. Both runs are perceptrons of
`agon train`; each makes three passes. Needs `cargo build --release`.
"""
import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

AGON = Path(__file__).resolve().parent.parent / "target" / "release" / "agon"
PASSES = 3


def table(path, rows):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((rows, 16))
    city = rng.integers(0, 3, rows)
    bought = (x[:, 0] * x[:, 1] + x[:, 2] + city - 1 > 0) != (rng.random(rows) < 0.1)
    names = np.array(["north", "south", "west"])[city]
    with open(path, "w") as out:
        out.write(",".join(f"x{j}" for j in range(16)) + ",city,bought\n")
        for row in np.argsort(bought, kind="stable"):
            out.write(",".join(f"{v:.5f}" for v in x[row]) + f",{names[row]},{'yes' if bought[row] else 'no'}\n")


def run(folder, out, *more):
    command = [AGON, "train", "--data", "table.csv", "--target", "bought", "--model", "mlp", "--ui", "plain", "--out", out, *more]
    start = time.perf_counter()
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    told = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0, told
    metrics = json.loads((folder / out / "evaluation.json").read_text())["metrics"]
    accuracy = next(m["value"] for m in metrics if m["name"] == "accuracy")
    return used.ru_maxrss / 1024, time.perf_counter() - start, accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        table(folder / "table.csv", rows)
        size = (folder / "table.csv").stat().st_size / 2**20
        blocks = -(-rows // 65_536)
        in_blocks = run(folder, "blocks", "--set", "data.stream=100000", "--set", f"train.steps={PASSES * blocks}")
        whole = run(folder, "whole", "--set", f"train.steps={PASSES}")
    for name, (memory, seconds, accuracy) in [("in blocks", in_blocks), ("whole", whole)]:
        print(f"{name:<10} {memory:6.0f} MB at most, {seconds:4.0f} s, accuracy {accuracy:.4f}")
    print(f"the file has {size:.0f} MB")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A perceptron on a million rows by Agon and by a plain PyTorch loop on the same machine, interleaved, as a ratio.

    pip install torch
    python3 benches/perceptron.py [--batch 256] [--reps 3]

Rows of 16 numbers in two classes, two hidden layers of 128 rectified units, dropout 0.1, AdamW, an epoch in minibatches of
rows in a random order; the table is in memory, all cores. Needs `cargo build --release`.
"""
import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import torch

AGON = Path(__file__).resolve().parent.parent / "target" / "release" / "agon"
ROWS, WIDTH = 1_000_000, 16


def theirs(x, y, batch):
    torch.manual_seed(1)
    layers = [torch.nn.Linear(WIDTH, 128), torch.nn.ReLU(), torch.nn.Dropout(0.1)]
    layers += [torch.nn.Linear(128, 128), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(128, 2)]
    model = torch.nn.Sequential(*layers)
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    start = time.perf_counter()
    for rows in torch.randperm(len(x)).split(batch):
        adam.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
        adam.step()
    return 1e3 * (time.perf_counter() - start)


def ours(batch):
    name = f"mlp/1M x 16, epoch, batch {batch}"
    out = subprocess.run([AGON, "bench", name, "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(out)["results"][0]["value"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256, choices=[256, 4096])
    parser.add_argument("--reps", type=int, default=3)
    args = parser.parse_args()
    x = torch.randn(ROWS, WIDTH)
    y = (x[:, 0] * x[:, 1] + x[:, 2] > 0).long()
    theirs(x[:50_000], y[:50_000], args.batch)
    pairs = [(ours(args.batch), theirs(x, y, args.batch)) for _ in range(args.reps)]
    own, other = (statistics.median(column) for column in zip(*pairs))
    print(f"batch {args.batch}: Agon {own:.0f} ms, PyTorch {torch.__version__} {other:.0f} ms: {other / own:.1f} times as fast")


if __name__ == "__main__":
    main()

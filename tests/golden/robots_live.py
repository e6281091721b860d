#!/usr/bin/env python3
"""Agon's robots against Gymnasium 1.4.0 on MuJoCo 3.17.0, live: 1,000 steps of each, every one compared.

    pip install "gymnasium[mujoco]==1.4.0" mujoco==3.17.0
    python tests/golden/robots_live.py [--steps 1000] [--seed 1]

Injects new random states, writes what Gymnasium makes of them in the form of robots.jsonl, and has the test that
replays it (envs/tests/robots.rs) print the largest difference of each; fails above 1e-10, or where an end differs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from robots import ROBOTS, play


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as out:
        for name, gym, settings in ROBOTS:
            out.write(json.dumps(play(name, gym, settings, args.steps, lambda step: True, rng)) + "\n")
        out.flush()
        command = ["cargo", "test", "--package", "agon-envs", "--test", "robots", "--", "--nocapture", "agree"]
        root = Path(__file__).resolve().parent.parent.parent
        sys.exit(subprocess.run(command, cwd=root, env={**os.environ, "AGON_ROBOTS": out.name}).returncode)


if __name__ == "__main__":
    main()

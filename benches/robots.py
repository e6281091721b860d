#!/usr/bin/env python3
"""Steps a second of robots under random actions on one core: Agon, a bare loop of mj_step, and Gymnasium, in turn.

    pip install "gymnasium[mujoco]==1.4.0" mujoco==3.17.0
    cargo build --release --package agon-envs --example robot_speed
    python benches/robots.py [--reps 5] [--seconds 2]

Prints the median of each and the medians of the ratios, which are those of neighbours in time.
"""

import argparse
import statistics
import subprocess
import time
from pathlib import Path

import gymnasium
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ROBOTS = {"half-cheetah": "HalfCheetah-v5", "hopper": "Hopper-v5", "ant": "Ant-v5"}


def own(program: str, robot: str, how: str, seconds: float) -> float:
    return float(subprocess.run([program, robot, how, str(seconds)], check=True, capture_output=True, text=True).stdout)


def gym(name: str, seconds: float) -> float:
    env = gymnasium.make(name, disable_env_checker=True)
    rng = np.random.default_rng(1)
    space = env.action_space
    actions = rng.uniform(space.low, space.high, (4096, *space.shape)).astype(np.float32)
    env.reset(seed=1)

    def run(seconds: float) -> float:
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            for _ in range(64):
                _, _, terminated, truncated, _ = env.step(actions[steps % 4096])
                steps += 1
                if terminated or truncated:
                    env.reset()
        return steps / (time.perf_counter() - start)

    run(seconds * 0.2)
    return run(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--program", default=str(ROOT / "target/release/examples/robot_speed"))
    args = parser.parse_args()
    middle = statistics.median
    for robot, name in ROBOTS.items():
        rows = []
        for _ in range(args.reps):
            agon, bare = (own(args.program, robot, how, args.seconds) for how in ("agon", "bare"))
            rows.append((agon, bare, gym(name, args.seconds)))
        agon, bare, other = (middle(column) for column in zip(*rows))
        to_bare, to_gym = (middle(row[0] / row[k] for row in rows) for k in (1, 2))
        print(f"{robot:<14} Agon {agon:9,.0f}  bare {bare:9,.0f}  Gymnasium {other:9,.0f}  ", end="")
        print(f"Agon / bare {to_bare:.3f}, Agon / Gymnasium {to_gym:.2f}", flush=True)


if __name__ == "__main__":
    main()

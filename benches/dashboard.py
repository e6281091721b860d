#!/usr/bin/env python3
"""What the dashboard costs a training run: pairs of runs, with it and with plain lines, in random order.

    python3 benches/dashboard.py [--pairs 40] [--steps 100000] [--agon target/release/agon]

Each run trains scenarios/classic/cartpole.toml with the pair's seed; its speed is the last total of `speed.jsonl`.
The dashboard draws on a pseudo-terminal of 40 rows and 120 columns that is read as fast as it writes. The result is
the mean of the paired differences in steps a second, relative to plain lines, with its 95 % interval.
"""

import argparse
import fcntl
import json
import os
import pty
import random
import statistics
import struct
import tempfile
import termios
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def play(command):
    """Runs a command on a pseudo-terminal of its own and reads all it shows."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ["TERM"] = "xterm-256color"
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        os.execv(command[0], command)
    shown = b""
    try:
        while chunk := os.read(terminal, 65536):
            shown = chunk
    except OSError:
        pass  # the other end closed
    os.close(terminal)
    if os.waitpid(process, 0)[1] != 0:
        raise SystemExit(shown.decode(errors="replace"))


def speed(agon, ui, seed, steps):
    with tempfile.TemporaryDirectory() as folder:
        command = [agon, "train", str(ROOT / "scenarios/classic/cartpole.toml"), "--ui", ui, "--seed", str(seed)]
        play([*command, "--out", f"{folder}/run", "--set", f"train.steps={steps}"])
        lines = [json.loads(line) for line in Path(folder, "run/speed.jsonl").read_text().splitlines()]
        last = [line for line in lines if line["kind"] == "speed"][-1]
        return last["step"] / last["seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agon", default=str(ROOT / "target/release/agon"))
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--steps", type=int, default=100_000)
    args = parser.parse_args()
    order, costs, plain = random.Random(1), [], []
    for seed in range(1, args.pairs + 1):
        uis = ["plain", "tui"]
        order.shuffle(uis)
        pair = {ui: speed(args.agon, ui, seed, args.steps) for ui in uis}
        costs.append(1 - pair["tui"] / pair["plain"])
        plain.append(pair["plain"])
    mean = statistics.mean(costs)
    half = 1.96 * statistics.stdev(costs) / len(costs) ** 0.5
    print(f"plain {statistics.median(plain):,.0f} steps/s; the dashboard costs {100 * mean:.2f} % ± {100 * half:.2f} %"
          f" (95 %, {len(costs)} pairs; median {100 * statistics.median(costs):.2f} %)")


if __name__ == "__main__":
    main()

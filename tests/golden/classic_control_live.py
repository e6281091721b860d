#!/usr/bin/env python3
"""Agon against Gymnasium 1.4.0, live: 100,000 injected transitions an environment through `agon drive`.

    pip install gymnasium==1.4.0 numpy
    python3 tests/golden/classic_control_live.py [--agon target/release/agon] [--rows 100000]

Prints the largest relative error in the state for each environment; exits with 1 above 1e-6, or where a reward or an
end differs.
"""

import argparse
import json
import subprocess
import sys
import threading
from pathlib import Path

from classic_control import ENVIRONMENTS, transitions

CHUNK = 2000


def compare(agon, name, rows):
    process = subprocess.Popen([agon, "drive", f"classic/{name}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write('{"op":"reset","seed":1}\n')
    process.stdin.flush()
    process.stdout.readline()
    worst, wrong, source = 0.0, 0, transitions(name, rows, seed=7)
    while batch := [row for _, row in zip(range(CHUNK), source)]:
        lines = []
        for state, action, *_ in batch:
            lines.append(json.dumps({"op": "set_state", "state": {"state": [float(x) for x in state], "steps": 0}}))
            lines.append(json.dumps({"op": "step", "action": [action] if name == "pendulum" else action}))
            lines.append('{"op":"get_state"}')
        writer = threading.Thread(target=lambda: (process.stdin.write("\n".join(lines) + "\n"), process.stdin.flush()))
        writer.start()
        for _, _, after, _, reward, terminated in batch:
            process.stdout.readline()
            step = json.loads(process.stdout.readline())
            state = json.loads(process.stdout.readline())["state"]["state"]
            state = step.get("final_state", state)
            for a, b in zip(state, after):
                worst = max(worst, abs(a - b) / max(abs(b), 1e-3))
            wrong += step["terminated"] != terminated or abs(step["reward"] - reward) > 1e-6 * max(1.0, abs(reward))
        writer.join()
    process.stdin.close()
    process.wait()
    print(f"{name:<14} {rows:>8} transitions, state within {worst:.1e} relative, {wrong} rewards or ends differ")
    return worst <= 1e-6 and wrong == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agon", default=str(Path(__file__).resolve().parents[2] / "target/release/agon"))
    parser.add_argument("--rows", type=int, default=100_000)
    args = parser.parse_args()
    good = [compare(args.agon, name, args.rows) for name in ENVIRONMENTS]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The learning figures of docs/benchmarks.md: every scenario over several seeds, one row each.

    python3 benches/learning.py [--agon target/release/agon] [--only NAME]

Exits with 3 where a row falls short of what it must reach.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Stock, periods, scale and decay of demand; what a scenario says comes first, and where stock hardly binds last.
PERISHABLE = [(20, 100, 0.8, 0.25), (10, 100, 0.8, 0.25), (5, 50, 0.8, 0.25), (8, 40, 0.6, 0.3), (15, 60, 0.5, 0.2)]


def perishable(scenario):
    """Rows of one scenario, a row for each set of parameters."""
    names = ["stock", "periods", "scale", "decay"]
    return [(f"{scenario} {p}", scenario, [f"env.{n}={x}" for n, x in zip(names, p)], 3) for p in PERISHABLE]


# (row, scenario, settings, seeds)
ROWS = [
    ("classic/cartpole", "classic/cartpole", [], 5),
    ("classic/acrobot", "classic/acrobot", [], 3),
    ("classic/mountain-car", "classic/mountain-car", [], 3),
    ("classic/pendulum", "classic/pendulum", [], 3),
    ("classic/pendulum-sac", "classic/pendulum-sac", [], 3),
    ("classic/pendulum-sac, TD3", "classic/pendulum-sac", ["agent.kind=td3"], 3),
    ("classic/pendulum-xqc", "classic/pendulum-xqc", [], 3),
    *perishable("pricing/perishable"),
    ("pricing/tuna", "pricing/tuna", [], 3),
    ("pricing/single-leg (20, 100)", "pricing/single-leg", [], 3),
    ("pricing/single-leg (10, 50)", "pricing/single-leg", ["env.capacity=10", "env.periods=50"], 3),
    ("pricing/single-leg-dqn (20, 100)", "pricing/single-leg-dqn", [], 3),
    ("pricing/single-leg-dqn (10, 50)", "pricing/single-leg-dqn", ["env.capacity=10", "env.periods=50"], 3),
    *perishable("pricing/perishable-dqn"),
    ("pricing/perishable-poisson", "pricing/perishable-poisson", [], 3),
    ("pricing/season", "pricing/season", [], 3),
    ("pricing/tit-for-tat", "pricing/tit-for-tat", [], 3),
    ("pricing/undercut", "pricing/undercut", [], 3),
    ("pricing/duopoly", "pricing/duopoly", [], 3),
    ("pricing/duopoly, δ = 0", "pricing/duopoly", ["agent.gamma=0", "env.discount=0"], 3),
    ("classic/cartpole-dqn", "classic/cartpole-dqn", [], 5),
    ("classic/mountain-car-dqn", "classic/mountain-car-dqn", [], 5),
    ("classic/acrobot-dqn", "classic/acrobot-dqn", [], 5),
    ("games/tic-tac-toe-alphazero", "games/tic-tac-toe-alphazero", [], 3),
    ("games/tic-tac-toe-ppo", "games/tic-tac-toe-ppo", [], 5),
    ("games/tic-tac-toe-dqn", "games/tic-tac-toe-dqn", [], 5),
    ("games/connect-four-alphazero", "games/connect-four-alphazero", [], 3),
    ("games/connect-four-alphazero-gpu", "games/connect-four-alphazero-gpu", [], 1),
]
# What every seed but so many must reach: a mean return, a percentage of the optimum, a collusion index, or games lost to
# a perfect player (negative). The longest name that a row begins with counts.
NEEDS = {
    "classic/cartpole": (475, 500, 0),
    "classic/cartpole-dqn": (500, 500, 1),
    "classic/pendulum-sac": (-160, 0, 0),
    "classic/pendulum-xqc": (-160, 0, 0),
    "classic/mountain-car-dqn": (-105, 0, 1),
    "classic/acrobot-dqn": (-80, 0, 1),
    "pricing/perishable": (99, 101, 0),
    "pricing/single-leg": (99, 101, 0),
    "pricing/tit-for-tat": (98, 101, 0),
    "pricing/undercut": (98, 101, 0),
    "pricing/duopoly": (0.80, 0.88, 0),
    "pricing/duopoly, δ = 0": (0.18, 0.28, 0),
    "games/tic-tac-toe": (0, 0, 0),
    "games/connect-four": (90, 100, 0),
    "games/connect-four-alphazero-gpu": (97, 100, 0),
}
# Who must be beaten, in pairs on the same seeds, where a scenario names them.
BEATEN = ["best-fixed-price", "emsr-b"]
# Simulations a move of players that learned Connect Four.
THINKING = 100


def has_gpu(agon):
    doctor = subprocess.run([agon, "doctor", "--json"], check=True, capture_output=True)
    return json.loads(doctor.stdout)["cuda"]


def connect_four(agon, run):
    """Solved positions, and games as first player against minimax of depth 6."""
    positions = str(ROOT / "tests/golden/connect_four_solved.txt")
    command = [agon, "eval", run, "--positions", positions, "--set", f"eval.simulations={THINKING}", "--json"]
    solved = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    low, high = solved["ci95"]
    command = [agon, "tournament", f"{run}:simulations={THINKING}", "minimax:depth=6,random_ties=true", "--json"]
    command += ["--set", "tournament.pairs=200", "--set", "tournament.opening_plies=0", "--out", f"{run}-games"]
    games = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    first = next(m for m in games["meetings"] if "minimax" in m["opponent"])["first_wdl"]
    share = f"{100 * solved['share']:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of solved positions"
    score = -first[2] if first[2] else 100 * solved["share"]
    return f"{share}; as first player against minimax 6: +{first[0]} ={first[1]} -{first[2]}", score


def verdict(row, scores, lifts):
    """Whether a row's seeds reached what they must, and beat whom they must; nothing where that is not said."""
    names = [name for name in NEEDS if row.startswith(name)]
    if not names:
        return ""
    low, high, misses = NEEDS[max(names, key=len)]
    reached = sum(not low <= score <= high for score in scores) <= misses
    return "met" if reached and all(lift > 0 for lift in lifts) else "SHORT"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agon", default=str(ROOT / "target/release/agon"))
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    short = False
    for row, scenario, sets, seeds in ROWS:
        if args.only not in row:
            continue
        if row.endswith("-gpu") and not has_gpu(args.agon):
            print(f"{row:<32} left out: no CUDA device answers", flush=True)
            continue
        told, longest, reached, lifts = [], 0.0, [], []
        for seed in range(1, seeds + 1):
            with tempfile.TemporaryDirectory() as folder:
                command = [args.agon, "train", str(ROOT / f"scenarios/{scenario}.toml"), "--seed", str(seed)]
                command += ["--ui", "plain", "--out", f"{folder}/run"]
                for s in sets:
                    command += ["--set", s]
                start = time.monotonic()
                subprocess.run(command, check=True, capture_output=True)
                longest = max(longest, time.monotonic() - start)
                scores = json.loads(Path(folder, "run/evaluation.json").read_text())
                games = [(name, s) for name, s in scores["baselines"].items() if "losses" in s]
                index = [c for c in scores["counted"] if c["name"] == "collusion index"]
                mean, optimum = scores["mean_return"], scores["optimum"]
                beaten = [(scores["baselines"][n]["lift"]["mean"], n) for n in BEATEN if n in scores["baselines"]]
                lifts += [lift for lift, _ in beaten]
                if "connect-four" in row:
                    text, score = connect_four(args.agon, f"{folder}/run")
                elif index and not optimum:
                    score = index[0]["mean"]
                    text = f"collusion index {score:.3f} ± {index[0]['ci95']:.3f}"
                elif games:
                    score = -sum(s["losses"] for name, s in games if "depth=9" in name)
                    text = "   ".join(f"{name} +{s['wins']} ={s['draws']} -{s['losses']}" for name, s in games)
                elif optimum:
                    score = 100 * mean / optimum
                    text = f"{mean:,.2f} ± {scores['ci95']:,.2f} ({score:.2f} % of the optimum)"
                else:
                    score = mean
                    text = f"{mean:,.2f} ± {scores['ci95']:,.2f}"
                told.append(text + "".join(f", {lift:+.2f} over {name}" for lift, name in beaten))
                reached.append(score)
        found = verdict(row, reached, lifts)
        short |= found == "SHORT"
        print(f"{row:<32} {'   '.join(told)}  at most {longest:.0f} s  {found}", flush=True)
    sys.exit(3 if short else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Agon and its peers on the same machine in one run, interleaved, as ratios.

    python3 benches/side_by_side.py [--reps 3] [--only NAME] [--json]

Peers that this Python can import take part; a virtual environment with all of them:
    python3 -m venv peers && peers/bin/pip install torch==2.11.0 gymnasium==1.4.0 stable-baselines3==2.9.2 envpool==1.2.5 open-spiel==2.0.2
    peers/bin/python benches/side_by_side.py
JAX peers (gymnax) live in another environment: --jax PATH/TO/python.

What is compared
    step     CartPole, 1,024 environments, one core (pinned), random actions; environment steps a second
    ppo      PPO's training loop on CartPole, two 64x64 tanh networks, steps a second, without evaluation
    dqn      gradient steps a second on CartPole with rl-zoo3's settings, two threads
    sac      gradient steps a second of SAC (and of Agon's XQC) on Pendulum, 2x256, minibatches of 256, two threads
    playout  uniformly random games a second from the beginning, one core (OpenSpiel's in C++, without Python)
    mcts     simulations a second of a tree search from the beginning, 2,000 a search, one core
    target   seconds from process start to the first evaluation (every 2,048 steps, 20 deterministic episodes) with a
             mean of at least 475; five seeds
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEER = HERE / "peers.py"
ONE_CORE = ("step", "playout", "mcts")


def pinned(command):
    return ["taskset", "-c", "1", *command] if shutil.which("taskset") else command


def last_json(command):
    out = subprocess.run(command, capture_output=True, text=True)
    if out.returncode != 0:
        return None, out.stderr.strip().splitlines()[-1:] or ["failed"]
    return json.loads(out.stdout.strip().splitlines()[-1]), None


def agon_bench(agon, name):
    def measure(_):
        command = [agon, "bench", name, "--json"]
        result, why = last_json(pinned(command) if name.startswith(ONE_CORE) else command)
        return (result["results"][0]["value"], None) if result else (None, why)

    return measure


def agon_target(agon):
    """The time at which the evaluation is told, measured from outside."""

    def measure(seed):
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            command = [agon, "train", str(HERE.parent / "scenarios/classic/cartpole.toml"), "--seed", str(seed)]
            command += ["--ui", "json", "--out", f"{folder}/run", "--set", "eval.stop_at=475"]
            run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            reached = None
            for line in run.stdout:
                if not line.startswith("{"):
                    continue
                event = json.loads(line)
                if event.get("kind") == "evaluated" and event["mean"] >= 475:
                    reached = time.monotonic() - start
            run.wait()
            return (reached, None) if reached else (None, ["not reached"])

    return measure


def peer(python, *args):
    def measure(seed):
        command = [python, str(PEER), *args, "--seed", str(seed)]
        result, why = last_json(pinned(command) if args[0].startswith(ONE_CORE) else command)
        return (result["value"], None) if result else (None, why)

    return measure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agon", default=str(HERE.parent / "target/release/agon"))
    parser.add_argument("--jax", help="a Python that has jax and gymnax")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    python = sys.executable
    spiel = {"connect-four": "connect_four", "othello": "othello", "go": "go(board_size=9)", "chess": "chess", "backgammon": "backgammon"}
    blocks = {
        "step": ("steps/s", args.reps, {
            "agon": agon_bench(args.agon, "step/classic/cartpole x1024"),
            "gymnasium vector": peer(python, "step", "gymnasium"),
            "envpool": peer(python, "step", "envpool"),
            **({"gymnax": peer(args.jax, "step", "gymnax")} if args.jax else {}),
        }),
        "ppo rl-zoo": ("steps/s", args.reps, {
            "agon": agon_bench(args.agon, "rl-zoo"),
            "stable-baselines3": peer(python, "ppo", "sb3-zoo"),
        }),
        "ppo cleanrl": ("steps/s", args.reps, {
            "agon": agon_bench(args.agon, "cleanrl"),
            "single-file torch": peer(python, "ppo", "torch"),
        }),
        "dqn": ("gradient steps/s", args.reps, {
            "agon": agon_bench(args.agon, "dqn/cartpole rl-zoo3 x2"),
            "stable-baselines3": peer(python, "dqn", "sb3-zoo"),
        }),
        "sac": ("gradient steps/s", args.reps, {
            "agon": agon_bench(args.agon, "sac/pendulum x2"),
            "agon xqc": agon_bench(args.agon, "xqc/pendulum x2"),
            "stable-baselines3": peer(python, "sac", "sb3"),
        }),
        "target": ("s", 5, {
            "agon": agon_target(args.agon),
            "stable-baselines3": peer(python, "target", "sb3-zoo"),
        }),
    }
    for ours, theirs in spiel.items():
        contestants = {"agon": agon_bench(args.agon, f"playout/games/{ours}"), "openspiel": peer(python, "playout", theirs)}
        blocks[f"playout {ours}"] = ("games/s", args.reps, contestants)
    contestants = {"agon": agon_bench(args.agon, "mcts/games/connect-four"), "openspiel": peer(python, "mcts", "connect_four")}
    blocks["mcts connect-four"] = ("simulations/s", args.reps, contestants)
    report = {}
    for block, (unit, reps, contestants) in blocks.items():
        if args.only not in block:
            continue
        values = {name: [] for name in contestants}
        for rep in range(reps):  # interleaved, so that a busy moment hits everyone
            for name, measure in contestants.items():
                value, why = measure(rep + 1)
                if value is None:
                    print(f"  {block}: {name} left out ({why[0]})", file=sys.stderr)
                else:
                    values[name].append(value)
        ours = statistics.median(values["agon"])
        print(f"{block} ({unit}, median of {reps} [least, most])")
        report[block] = {}
        for name, all_values in values.items():
            if not all_values:
                continue
            middle = statistics.median(all_values)
            ratio = ours / middle if unit != "s" else middle / ours
            digits = 2 if unit == "s" else 0
            spread = f"[{min(all_values):,.{digits}f}, {max(all_values):,.{digits}f}]"
            print(f"  {name:<20} {middle:>16,.{digits}f} {spread:<32} agon is {ratio:.1f} x as fast")
            report[block][name] = {"median": middle, "values": all_values, "ratio": ratio}
    if args.json:
        print(json.dumps(report))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()

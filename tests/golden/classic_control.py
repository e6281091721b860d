#!/usr/bin/env python3
"""Golden transitions of Gymnasium 1.4.0's classic control, for envs/tests/gymnasium.rs.

    pip install gymnasium==1.4.0 numpy
    python3 tests/golden/classic_control.py [--rows 1000]

A random state is injected, one random action is stepped, and everything that came of it is a row of
tests/golden/classic_control/<name>.csv: s* state before, action, n* state after, o* observation, reward, terminated.
Numbers are written so that an f64 reads back to the bit.
"""

import argparse
from pathlib import Path

import gymnasium
import numpy as np

PI = np.pi
# name -> (id, low and high of the injected state)
ENVIRONMENTS = {
    "cartpole": ("CartPole-v1", [-2.45, -4.0, -0.215, -4.0], [2.45, 4.0, 0.215, 4.0]),
    "acrobot": ("Acrobot-v1", [-PI, -PI, -4 * PI, -9 * PI], [PI, PI, 4 * PI, 9 * PI]),
    "mountain-car": ("MountainCar-v0", [-1.2, -0.07], [0.6, 0.07]),
    "pendulum": ("Pendulum-v1", [-5 * PI, -8.0], [5 * PI, 8.0]),
}


def transitions(name, rows, seed=20_261_123):
    """Yields (state, action, next state, observation, reward, terminated)."""
    import warnings

    warnings.filterwarnings("ignore")
    env_id, low, high = ENVIRONMENTS[name]
    env = gymnasium.make(env_id).unwrapped
    env.reset(seed=0)
    rng = np.random.default_rng(seed)
    for _ in range(rows):
        state = rng.uniform(low, high)
        if rng.random() < 0.25:  # quiet states too: small angles and speeds
            state = state * rng.uniform(0, 0.1)
        if name == "pendulum":
            action = np.array([rng.uniform(-2.0, 2.0)], dtype=np.float32)
        else:
            action = int(rng.integers(env.action_space.n))
        env.state = np.array(state, dtype=np.float64)
        if name == "cartpole":
            env.steps_beyond_terminated = None
        observation, reward, terminated, _, _ = env.step(action)
        number = float(action[0]) if name == "pendulum" else action
        after = np.asarray(env.state, dtype=np.float64)
        yield state, number, after, np.asarray(observation, dtype=np.float64), float(reward), bool(terminated)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    args = parser.parse_args()
    assert gymnasium.__version__ == "1.4.0", gymnasium.__version__
    folder = Path(__file__).with_suffix("")
    folder.mkdir(exist_ok=True)
    for name in ENVIRONMENTS:
        with open(folder / f"{name}.csv", "w") as out:
            for i, (state, action, after, seen, reward, terminated) in enumerate(transitions(name, args.rows)):
                if i == 0:
                    columns = [f"s{k}" for k in range(len(state))] + ["action"]
                    columns += [f"n{k}" for k in range(len(after))] + [f"o{k}" for k in range(len(seen))]
                    out.write(",".join(columns + ["reward", "terminated"]) + "\n")
                cells = [*state, action, *after, *seen, reward, int(terminated)]
                out.write(",".join(repr(float(x)) for x in cells) + "\n")


if __name__ == "__main__":
    main()

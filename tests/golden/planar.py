#!/usr/bin/env python3
"""Writes planar.json: Gymnasium 1.4.0's lander and walker on Box2D, in flight, for the tests of envs/src/robot.

    pip install "gymnasium==1.4.0" box2d pygame numpy
    python tests/golden/planar.py

Masses, and the observations of a flight without chance (engines fire straight, the first kick is given; the walker is
lifted by 2 m). In flight nothing touches the ground, so that another engine must fly alike. `heuristic`: mean and
standard error of returns of Gymnasium's own player over 300 episodes, to compare with.
"""

import json
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.envs.box2d.lunar_lander import heuristic

assert gymnasium.__version__ == "1.4.0"


class NoChance:
    """A generator that always draws the same share of its range."""

    def __init__(self, share):
        self.share = share

    def uniform(self, low=0.0, high=1.0, size=None):
        x = low + (high - low) * self.share
        return x if size is None else np.full(size, x)

    def integers(self, low, high=None):
        return low


def flight(name, actions, share, lift=0.0, **settings):
    env = gymnasium.make(name, **settings).unwrapped
    env._np_random = NoChance(share)
    first, _ = env.reset()
    env._np_random = NoChance(0.5)
    steps = [[float(x) for x in first]]
    bodies = [env.lander if name.startswith("Lunar") else env.hull, *env.legs]
    for body in bodies:
        body.position = (body.position[0], body.position[1] + lift)
    start = [
        {
            "at": list(b.position),
            "angle": b.angle,
            "velocity": list(b.linearVelocity),
            "turning": b.angularVelocity,
        }
        for b in bodies
    ]
    rewards = []
    for action in actions:
        obs, reward, terminated, _, _ = env.step(action)
        assert not terminated
        steps.append([float(x) for x in obs])
        rewards.append(float(reward))
    return env, {"start": start, "actions": [np.asarray(a).tolist() for a in actions], "obs": steps, "rewards": rewards}


def returns(name, episodes, **settings):
    env = gymnasium.make(name, **settings)
    found = []
    for seed in range(episodes):
        obs, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(heuristic(env, obs))
            total, over = total + reward, terminated or truncated
        found.append(total)
    return [float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(episodes))]


out = {}
env, out["lander"] = flight("LunarLander-v3", [0] * 5 + [2, 2, 1, 2, 0, 3, 3, 2] * 5, 0.6)
out["lander"]["masses"] = [env.lander.mass, env.legs[0].mass, env.legs[1].mass]
swing = [[0.5, -0.3, -0.4, 0.8], [-0.6, 0.2, 0.0, -1.0], [0.1, 1.0, 0.7, -0.2]]
env, walker = flight("BipedalWalker-v3", [a for a in swing for _ in range(8)], 0.6, lift=2.0)
walker["ground"] = [float(y) for y in env.terrain_y]
walker["masses"] = [env.hull.mass, *(leg.mass for leg in env.legs)]
out["walker"] = walker
out["heuristic"] = {"discrete": returns("LunarLander-v3", 300), "continuous": returns("LunarLander-v3", 300, continuous=True)}
path = Path(__file__).parent / "planar.json"
path.write_text(json.dumps(out) + "\n")
print({k: out[k] for k in ["heuristic"]}, out["lander"]["masses"], out["walker"]["masses"])

#!/usr/bin/env python3
"""Writes robots.jsonl: robots of Gymnasium 1.4.0 on MuJoCo 3.17.0, from injected states under fixed actions.

    pip install "gymnasium[mujoco]==1.4.0" mujoco==3.17.0
    python tests/golden/robots.py

A line a robot and version: the state (qpos, qvel), a letter a step that says whether the rules end the episode there,
and observation and reward of some steps. Numbers are the hexadecimal digits of f64, one after the other. An action is
low + (high − low) · u, rounded to f32, with u from whole numbers alone (`action`), so that nobody need store it. The
episode goes on where it would have ended.
"""

import json
import struct
import sys
from pathlib import Path

import gymnasium
import mujoco
import numpy as np

assert (gymnasium.__version__, mujoco.__version__) == ("1.4.0", "3.17.0")

# Agon's name, Gymnasium's, settings that are called the same in both.
ROBOTS = [
    ("half-cheetah", "HalfCheetah-v5", {}),
    ("half-cheetah", "HalfCheetah-v4", {"exclude_current_positions_from_observation": False}),
    ("hopper", "Hopper-v5", {}),
    ("hopper", "Hopper-v4", {}),
    ("hopper", "Hopper-v5", {"healthy_reward": 2.0, "healthy_state_range": [-3.0, 3.0], "frame_skip": 2}),
    ("walker2d", "Walker2d-v5", {}),
    ("walker2d", "Walker2d-v4", {"healthy_angle_range": [-0.5, 0.5]}),
    ("swimmer", "Swimmer-v5", {}),
    ("swimmer", "Swimmer-v4", {"exclude_current_positions_from_observation": False}),
    ("ant", "Ant-v5", {}),
    ("ant", "Ant-v5", {"include_cfrc_ext_in_observation": False, "contact_force_range": [-2.0, 3.0], "main_body": 2}),
    ("ant", "Ant-v4", {}),
    ("ant", "Ant-v4", {"use_contact_forces": True, "terminate_when_unhealthy": False}),
    ("humanoid", "Humanoid-v5", {}),
    ("humanoid", "Humanoid-v5", {"include_cinert_in_observation": False, "contact_cost_range": [0.1, 0.2]}),
    ("humanoid", "Humanoid-v4", {}),
    ("humanoid-standup", "HumanoidStandup-v5", {}),
    ("humanoid-standup", "HumanoidStandup-v4", {}),
    ("reacher", "Reacher-v5", {"reward_dist_weight": 2.0}),
    ("reacher", "Reacher-v4", {}),
    ("pusher", "Pusher-v5", {}),
    ("inverted-pendulum", "InvertedPendulum-v5", {}),
    ("inverted-pendulum", "InvertedPendulum-v4", {}),
    ("inverted-double-pendulum", "InvertedDoublePendulum-v5", {}),
    ("inverted-double-pendulum", "InvertedDoublePendulum-v4", {}),
]


def action(step: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The action of a step, in f64, every number one of f32."""
    k = np.arange(len(low))
    u = ((step * 7919 + k * 104729 + step * step * 31) % 1009) / 1008.0
    return (low.astype(float) + (high.astype(float) - low.astype(float)) * u).astype(np.float32).astype(float)


def digits(numbers) -> str:
    numbers = np.asarray(numbers, dtype=float).ravel()
    return struct.pack(f">{len(numbers)}d", *numbers).hex()


def play(name: str, gym: str, settings: dict, steps: int, kept, rng) -> dict:
    # f64 actions: rewards then are of f64, which Gymnasium else computes in part in f32.
    env = gymnasium.make(gym, **settings).unwrapped
    env.reset(seed=1)
    mujoco.mj_resetData(env.model, env.data)
    qpos = env.model.qpos0 + rng.uniform(-0.05, 0.05, env.model.nq)
    qvel = rng.uniform(-0.1, 0.1, env.model.nv)
    env.set_state(qpos, qvel)
    low, high = env.action_space.low, env.action_space.high
    ends, seen, rewards, at = "", [digits(env._get_obs())], [], []
    for step in range(steps):
        obs, reward, terminated, truncated, _ = env.step(action(step, low, high))
        assert not truncated
        ends += "01"[int(terminated)]
        if kept(step):
            at.append(step)
            seen.append(digits(obs))
            rewards.append(digits([reward]))
    settings = {"version": gym[-2:], **settings}
    return {
        "robot": name, "settings": settings, "qpos": digits(qpos), "qvel": digits(qvel), "ends": ends, "at": at,
        "obs": seen, "reward": rewards,
    }  # fmt: skip


def main() -> None:
    rng = np.random.default_rng(7)
    with open(Path(__file__).with_name("robots.jsonl"), "w") as out:
        for name, gym, settings in ROBOTS:
            steps, every = (100, 50) if name.startswith("humanoid") else (300, 60 if name == "ant" else 10)
            line = play(name, gym, settings, steps, lambda s: s % every == 0 or s == steps - 1, rng)
            print(f"{gym}: {line['ends'].count('1')} of {steps} steps would end it", file=sys.stderr)
            out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()

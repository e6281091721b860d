#!/usr/bin/env python3
"""Golden episodes of MinAtar 1.0.15's Breakout, for envs/tests/minatar.rs.

    pip install MinAtar==1.0.15 numpy
    python3 tests/golden/breakout.py

Every line of tests/golden/breakout.csv is a state and how it was reached: the episode, the action that was asked for
(one of MinAtar's six; none at an episode's start), whether the action before was repeated instead, and then what there
was to see: the columns of paddle, ball and trail, the rows of ball and trail, the bricks (a bit each, row by row, as a
number), the reward, and whether the episode ended. That is all of the observation, which is checked here.

Half of the episodes are played at random. In the others the paddle mostly goes to where the ball comes down, to hit it
with its middle or its edge, so that walls are cleared and stand anew.
"""

import copy
from importlib.metadata import version
from pathlib import Path

import numpy as np
from minatar import Environment

STICKY = 0.1
EPISODES = 12
MOST_STEPS = 500
CHANNELS = ["paddle", "ball", "trail", "brick"]


class Draws(np.random.RandomState):
    """A generator that tells what it drew last."""

    def rand(self, *shape):
        self.last = super().rand(*shape)
        return self.last


def cell(plane):
    """Column and row of the only cell that is set."""
    rows, columns = np.nonzero(plane)
    assert len(rows) == 1
    return int(columns[0]), int(rows[0])


def seen(state):
    """The whole observation in seven numbers."""
    paddle, ball, trail, bricks = (state[:, :, k] for k in range(4))
    column, row = cell(paddle)
    assert row == 9
    wall = bricks[1:4].flatten()
    assert wall.sum() == bricks.sum(), "bricks stand in rows 1 to 3 alone"
    return [column, *cell(ball), *cell(trail), sum(int(b) << i for i, b in enumerate(wall))]


def landing(game):
    """The ball's column in the last row but one, on its way down, and the column after that."""
    game = copy.deepcopy(game)
    while not (game.ball_y == 8 and game.ball_dir in (2, 3)):
        game.act(0)
    step = 1 if game.ball_dir == 2 else -1
    return game.ball_x, min(max(game.ball_x + step, 0), 9)


def episodes():
    rng = np.random.default_rng(20_190_303)
    env = Environment("breakout", sticky_action_prob=STICKY)
    env.seed(0)
    draws = Draws(7)
    env.random = env.env.random = draws
    assert [name for name, _ in sorted(env.env.channels.items(), key=lambda c: c[1])] == CHANNELS
    for episode in range(EPISODES):
        env.reset()
        edge = False
        env.last_action = 0  # the wrapper would remember the last episode's
        yield [episode, "", "", *seen(env.state()), "", ""]
        for _ in range(MOST_STEPS):
            action = int(rng.integers(6))
            if episode % 2 == 1 and rng.random() < 0.97:
                target = landing(env.env)[int(edge)]
                action = 3 if target > env.env.pos else 1 if target < env.env.pos else 0
            if env.env.ball_y == 3:
                edge = rng.random() < 0.5
            reward, terminated = env.act(action)
            yield [episode, action, int(draws.last < STICKY), *seen(env.state()), reward, int(terminated)]
            if terminated:
                break


def main():
    assert version("MinAtar") == "1.0.15", version("MinAtar")
    columns = "episode,action,stuck,paddle,ball_x,ball_y,trail_x,trail_y,bricks,reward,terminated"
    lines = [",".join(str(x) for x in row) for row in episodes()]
    Path(__file__).with_suffix(".csv").write_text("\n".join([columns, *lines]) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Golden linear-quadratic regulators, for envs/tests/lqr.rs.

    pip install numpy scipy
    python3 tests/golden/lqr.py

For each system: the gain without an end from scipy's solve_discrete_are (a discount is a factor sqrt(gamma) of A and
B), and the expected return of a finite horizon. That one is summed forwards, by the covariance of the state under the
best gains, and not backwards by values, as Agon does.
"""

import json
from pathlib import Path

import numpy as np
import scipy
from scipy.linalg import solve_discrete_are


def gains(a, b, q, r, gamma, steps):
    """The best gains of a finite horizon, the last step first."""
    n, m = b.shape
    p, found = np.zeros((n, n)), []
    for _ in range(steps):
        k = gamma * np.linalg.solve(r * np.eye(m) + gamma * b.T @ p @ b, b.T @ p @ a)
        closed = a - b @ k
        p = q * np.eye(n) + r * k.T @ k + gamma * closed.T @ p @ closed  # Joseph's form
        found.append(k)
    return found


def expected_return(a, b, q, r, gamma, steps, noise, start):
    n = a.shape[0]
    covariance, total = np.eye(n) * start**2 / 3, 0.0
    for t, k in enumerate(reversed(gains(a, b, q, r, gamma, steps))):
        total -= gamma**t * np.trace((q * np.eye(n) + r * k.T @ k) @ covariance)
        closed = a - b @ k
        covariance = closed @ covariance @ closed.T + noise**2 * np.eye(n)
    return total


def main():
    rng = np.random.default_rng(7)
    systems = [(np.array([[1, 0.1], [0, 1]]), np.array([[0.005], [0.1]]))]
    for n, m in [(1, 1), (2, 2), (3, 1), (4, 2), (6, 3), (8, 8)]:
        a = rng.normal(size=(n, n))
        systems.append((a * rng.uniform(0.5, 1.1) / np.abs(np.linalg.eigvals(a)).max(), rng.normal(size=(n, m))))
    rows = []
    for a, b in systems:
        for gamma in (1.0, 0.9):
            q, r, noise, start = rng.uniform([0.5, 0.05, 0.0, 0.1], [2.0, 1.0, 0.2, 2.0])
            root = np.sqrt(gamma)
            p = solve_discrete_are(root * a, root * b, q * np.eye(len(a)), r * np.eye(b.shape[1]))
            gain = gamma * np.linalg.solve(r * np.eye(b.shape[1]) + gamma * b.T @ p @ b, b.T @ p @ a)
            rows.append(
                {
                    "a": a.tolist(),
                    "b": b.tolist(),
                    "state_cost": q,
                    "control_cost": r,
                    "noise": noise,
                    "start": start,
                    "discount": gamma,
                    "gain": gain.tolist(),
                    "returns": {str(t): expected_return(a, b, q, r, gamma, t, noise, start) for t in (1, 10, 200)},
                }
            )
    out = Path(__file__).with_suffix(".json")
    out.write_text(json.dumps({"scipy": scipy.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What the Open Bandit Pipeline's estimators say of a small log: the ground truth of agents/src/off_policy_evaluation.

    pip install obp==0.4.1
    python3 tests/golden/off_policy_evaluation.py    # writes tests/golden/off_policy_evaluation.json

The log has 80 rows, 5 actions, and propensities, a policy to be evaluated and expected rewards at random.
"""
import json
from pathlib import Path

import numpy as np
import obp
from obp.ope import (
    DirectMethod,
    DoublyRobust,
    InverseProbabilityWeighting,
    SelfNormalizedInverseProbabilityWeighting,
    SwitchDoublyRobust,
)

ROWS, ACTIONS = 80, 5

rng = np.random.default_rng(24)
logged, target = (rng.dirichlet(np.full(ACTIONS, 1.0), ROWS) for _ in range(2))
actions = np.array([rng.choice(ACTIONS, p=p) for p in logged])
propensities = logged[np.arange(ROWS), actions]
rewards = rng.normal(actions, 1.0)
expected = rng.normal(np.arange(ACTIONS), 1.0, (ROWS, ACTIONS))
log = {
    "reward": rewards,
    "action": actions,
    "pscore": propensities,
    "action_dist": target[:, :, None],
    "position": np.zeros(ROWS, dtype=int),
}
model = {"estimated_rewards_by_reg_model": expected[:, :, None]}
out = {
    "obp": obp.__version__,
    "actions": actions.tolist(),
    "rewards": rewards.tolist(),
    "propensities": propensities.tolist(),
    "target": target.ravel().tolist(),
    "expected": expected.ravel().tolist(),
    "ipw": InverseProbabilityWeighting().estimate_policy_value(**log),
    "snipw": SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**log),
    "dm": DirectMethod().estimate_policy_value(**log, **model),
    "dr": DoublyRobust().estimate_policy_value(**log, **model),
    "switch_1": SwitchDoublyRobust(tau=1.0).estimate_policy_value(**log, **model),
    "switch_2.5": SwitchDoublyRobust(tau=2.5).estimate_policy_value(**log, **model),
}
(Path(__file__).resolve().parent / "off_policy_evaluation.json").write_text(json.dumps(out) + "\n")

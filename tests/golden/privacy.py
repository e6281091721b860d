#!/usr/bin/env python3
"""Writes tests/golden/privacy.json: what private training spends, by Google's dp-accounting.

    pip install dp-accounting==0.6.0 && python3 tests/golden/privacy.py

`whole_orders` and `divergence_8` are Renyi accounting with the orders that Agon tries; `all_orders` with dp-accounting's own;
`loss_distribution` is its tightest accountant, which is never below the truth by more than its grid.
"""

import json
import logging
from pathlib import Path

import dp_accounting as dp
from dp_accounting import rdp
from dp_accounting.pld import PLDAccountant

# Sample rate, noise multiplier, steps, delta; the first is the example of Abadi et al. 2016.
CASES = [(0.01, 4.0, 10_000, 1e-5), (0.01, 1.0, 1_000, 1e-5), (256 / 60_000, 1.1, 14_062, 1e-5), (0.1, 2.0, 300, 1e-4),
         (1.0, 10.0, 50, 1e-6), (0.02, 0.6, 200, 1e-5), (0.5, 3.0, 40, 1e-3)]

logging.getLogger("absl").setLevel(logging.ERROR)
cases = []
for q, sigma, steps, delta in CASES:
    event = dp.GaussianDpEvent(sigma)
    event = dp.PoissonSampledDpEvent(q, event) if q < 1 else event
    whole = dp.SelfComposedDpEvent(event, steps)
    accountants = {
        "whole_orders": rdp.RdpAccountant(orders=list(range(2, 513))),
        "all_orders": rdp.RdpAccountant(),
        "loss_distribution": PLDAccountant(),
    }
    one = {"sample_rate": q, "noise_multiplier": sigma, "steps": steps, "delta": delta}
    for name, accountant in accountants.items():
        accountant.compose(whole)
        one[name] = float(accountant.get_epsilon(delta))
    single = rdp.RdpAccountant(orders=[8])
    single.compose(event)
    one["divergence_8"] = float(single._rdp[0])
    cases.append(one)
path = Path(__file__).with_suffix(".json")
path.write_text(json.dumps({"cases": cases}, indent=1) + "\n")

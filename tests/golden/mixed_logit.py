#!/usr/bin/env python3
"""What pyblp makes of Nevo's cereal data: tests/golden/mixed_logit.json, for agents/src/demand/mixed.

    pip install pyblp pandas && python3 tests/golden/mixed_logit.py          minutes

`few`: twelve markets with their data; the objective, its gradient, costs and prices after a merger at given parameters.
`tutorial`: the estimates of pyblp's tutorial on all 94 markets, to a gradient below 1e-6; data by scripts/data.py.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyblp

pyblp.options.digits = 10
pyblp.options.verbose = False
SIGMA = np.diag([0.3302, 2.4526, 0.0163, 0.2441])
PI = np.array([[5.4819, 0, 0.2037, 0], [15.8935, -1.2, 0, 2.6342], [-0.2506, 0, 0.0511, 0], [1.2650, 0, -0.8091, 0]])
NODES = [f"nodes{i}" for i in range(4)]
DEMOGRAPHICS = ["income", "income_squared", "age", "child"]
INSTRUMENTS = [f"demand_instruments{i}" for i in range(20)]


def problem(products, people):
    linear = pyblp.Formulation("0 + prices", absorb="C(product_ids)")
    tastes = pyblp.Formulation("1 + prices + sugar + mushy")
    return pyblp.Problem((linear, tastes), products, pyblp.Formulation("0 + income + income_squared + age + child"), people)


def plain(x):
    return np.nan_to_num(x).tolist()  # entries that are not estimated have no error


def few(products, people):
    kept = sorted(products.market_ids.unique())[:12]
    products = products[products.market_ids.isin(kept)].reset_index(drop=True)
    people = people[people.market_ids.isin(kept)].reset_index(drop=True)
    products[INSTRUMENTS] = products[INSTRUMENTS].astype(float).map(lambda x: float(f"{x:.6g}"))
    tight = pyblp.Iteration("squarem", {"atol": 1e-14})
    solved = problem(products, people).solve(SIGMA, PI, optimization=pyblp.Optimization("return"), iteration=tight, method="1s")
    costs = solved.compute_costs()
    merged = products.firm_ids.replace(2, 1)
    prices = solved.compute_prices(firm_ids=merged, costs=costs, iteration=pyblp.Iteration("simple", {"atol": 1e-13}))
    first = (products.market_ids == kept[0]).to_numpy()
    columns = ["market_ids", "product_ids", "firm_ids", "shares", "prices", "sugar", "mushy", *INSTRUMENTS]
    return {
        "products": {c: plain(products[c]) for c in columns},
        "people": {c: plain(people[c]) for c in ["market_ids", "weights", *NODES, *DEMOGRAPHICS]},
        "objective": float(solved.objective),
        "gradient": plain(solved.gradient.ravel()),
        "beta": float(solved.beta[0, 0]),
        "delta": plain(solved.delta[first, 0]),
        "costs": plain(costs[first, 0]),
        "merged_prices": plain(prices[first, 0]),
        "elasticities": plain(solved.compute_elasticities(market_id=kept[0])),
    }


def tutorial(products, people):
    # Where the tutorial's search ends (nine minutes); it goes on from there.
    sigma = np.diag([0.55809356, 3.3124889, -0.0057835514, 0.09341447])
    pi = np.array(
        [
            [2.2919715, 0, 1.284432, 0],
            [588.32509, -30.192013, 0, 11.054628],
            [-0.38495407, 0, 0.052234271, 0],
            [0.7483723, 0, -1.3533932, 0],
        ]
    )
    search = pyblp.Optimization("bfgs", {"gtol": 1e-6})
    solved = problem(products, people).solve(sigma, pi, optimization=search, method="1s")
    return {
        "objective": float(solved.objective),
        "sigma": plain(np.diag(solved.sigma)),
        "pi": plain(solved.pi),
        "beta": float(solved.beta[0, 0]),
        "sigma_errors": plain(np.diag(solved.sigma_se)),
        "pi_errors": plain(solved.pi_se),
        "beta_error": float(solved.beta_se[0, 0]),
        "mean_own_elasticity": float(np.mean(solved.extract_diagonal_means(solved.compute_elasticities()))),
    }


if __name__ == "__main__":
    products = pd.read_csv(pyblp.data.NEVO_PRODUCTS_LOCATION)
    people = pd.read_csv(pyblp.data.NEVO_AGENTS_LOCATION)
    found = {"pyblp": pyblp.__version__, "few": few(products, people), "tutorial": tutorial(products, people)}
    Path(__file__).with_suffix(".json").write_text(json.dumps(found) + "\n")

#!/usr/bin/env python3
"""Fit demand with covariates, reference prices and instruments: an independent check.

Needs numpy (and scipy, for tuna.py). From the repository root:

    python3 tests/golden/covariates.py [-o OUTPUT.json]

The tuna table as a shop of its first five cans. Covariates are the displays and
the log of the price of can 7 (a rival's); the reference price w of a can is the
first week's price, and then w_t+1 = m w_t + (1 - m) price_t. Instruments are
the cans' wholesale costs.

    logit    u_k = a_k + x c + r (w_k - p_k) - b_k p_k
    log-log  ln(units_k / customers) = a_k + sum_j B_kj ln p_j + x c_k
                                       + r_k (ln w_k - ln p_k)

Least squares and two-stage least squares solve the whole stacked system at
once: regressors are projected on all instruments and on everything else that
moves demand, a block a can. Maximum likelihood is by Newton's method on the
multinomial likelihood. Ridge regression as in log_log.py. Standard errors of
two-stage least squares: weekly scores, Bartlett's kernel over as many weeks as
the cube root of their number, rounded up; no correction for small samples.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from log_log import CROSS, OTHER, calendar
from tuna import ROOT, keep, read

CANS = 5
WEEKS_OUT = [76]
MEMORY = 0.5


def usual(price, memory):
    w = np.empty_like(price)
    w[0] = price[0]
    for t in range(1, len(price)):
        w[t] = memory * w[t - 1] + (1 - memory) * price[t - 1]
    return w


def project(x, z):
    return z @ np.linalg.lstsq(z, x, rcond=None)[0]


def logit_design(t, by_product, memory, seasons):
    """Rows week by week and can by can: regressors [T K, columns] and names."""
    weeks, n = t["price"].shape
    dummies = np.tile(np.eye(n), (weeks, 1))
    price = -t["price"].reshape(-1, 1)
    columns = [dummies, dummies * price if by_product else price]
    columns.append(t["display"].reshape(-1, 1))
    columns.append(np.repeat(np.log(t["rival"]), n)[:, None])
    if memory is not None:
        columns.append(usual(t["price"], memory).reshape(-1, 1))
    if seasons is not None:
        columns.append(np.repeat(seasons, n, axis=0))
    return np.concatenate(columns, axis=1)


def unpack(theta, n, by_product, memory, seasons):
    b = theta[n : 2 * n] if by_product else np.repeat(theta[n], n)
    rest = list(theta[(2 * n if by_product else n + 1) :])
    out = {"a": theta[:n], "covariates": rest[:2]}
    r = rest[2] if memory is not None else 0.0
    if memory is not None:
        out["reference"] = r
    if seasons is not None:
        out["calendar"] = rest[-3:]
    out["b"] = b - r
    return {key: np.asarray(value).tolist() for key, value in out.items()}


def two_stage(t, by_product, memory, seasons):
    weeks, n = t["price"].shape
    x = logit_design(t, by_product, memory, seasons)
    dummies = np.tile(np.eye(n), (weeks, 1))
    exogenous = [t["wholesale"].reshape(-1, 1), t["display"].reshape(-1, 1)]
    exogenous.append(np.repeat(np.log(t["rival"]), n)[:, None])
    if memory is not None:
        exogenous.append(usual(t["price"], memory).reshape(-1, 1))
    if seasons is not None:
        exogenous.extend(np.repeat(seasons, n, axis=0).T[:, :, None])
    z = np.concatenate([dummies] + [dummies * e for e in exogenous], axis=1)
    rest = t["customers"] - t["units"].sum(axis=1)
    y = (np.log(np.maximum(t["units"], 0.5)) - np.log(rest)[:, None]).reshape(-1)
    hat = project(x, z)
    bread = np.linalg.inv(hat.T @ hat)
    theta = bread @ (hat.T @ y)
    score = (hat * (y - x @ theta)[:, None]).reshape(weeks, n, -1).sum(axis=1)
    block = int(np.ceil(np.cbrt(weeks)))
    meat = score.T @ score
    for lag in range(1, block):
        cross = score[lag:].T @ score[:-lag]
        meat += (1 - lag / block) * (cross + cross.T)
    errors = np.sqrt(np.diag(bread @ meat @ bread))
    first = []
    for k in range(n):
        e = np.stack([np.ones(weeks)] + [col.reshape(weeks, n)[:, k] for col in exogenous], axis=1)
        p = t["price"][:, k]
        rss = [((p - project(p, m)) ** 2).sum() for m in (e, np.delete(e, 1, axis=1))]
        first.append((rss[1] - rss[0]) / (rss[0] / (weeks - e.shape[1])))
    return {**unpack(theta, n, by_product, memory, seasons), "errors": errors.tolist(), "first_stage": first}


def likelihood(t, by_product, memory, seasons):
    weeks, n = t["price"].shape
    x = logit_design(t, by_product, memory, seasons).reshape(weeks, n, -1)
    counts = np.column_stack([t["units"], t["customers"] - t["units"].sum(axis=1)])
    everybody = counts.sum()

    def loss(theta):
        u = np.column_stack([x @ theta, np.zeros(weeks)])
        top = u.max(axis=1, keepdims=True)
        logs = u - top - np.log(np.exp(u - top).sum(axis=1, keepdims=True))
        share = np.exp(logs[:, :n])
        slope = np.einsum("tk,tki->i", t["units"] - t["customers"][:, None] * share, x)
        mean = np.einsum("tk,tki->ti", share, x)
        hessian = np.einsum("t,tk,tki,tkj->ij", t["customers"], share, x, x)
        hessian -= np.einsum("t,ti,tj->ij", t["customers"], mean, mean)
        return -(counts * logs).sum() / everybody, -slope / everybody, hessian / everybody

    theta = np.zeros(x.shape[2])
    theta[:n] = np.log(t["units"].sum(axis=0) / counts[:, -1].sum())
    for _ in range(100):
        value, slope, hessian = loss(theta)
        step = np.linalg.solve(hessian, -slope)
        rate = 1.0
        while loss(theta + rate * step)[0] > value + 1e-15 and rate > 1e-9:
            rate /= 2
        theta = theta + rate * step
        if abs(slope @ step) < 1e-20:
            break
    return unpack(theta, n, by_product, memory, seasons)


def log_log(t, memory, seasons, instrumented):
    weeks, n = t["price"].shape
    found = {"a": [], "B": [], "covariates": [], "calendar": [], "reference": []}
    for k in range(n):
        logs = np.log(t["price"])
        exogenous = [np.ones((weeks, 1)), t["display"][:, [k]], np.log(t["rival"])[:, None]]
        if memory is not None:
            exogenous.append(np.log(usual(t["price"], memory)[:, [k]]))
        if seasons is not None:
            exogenous.append(seasons)
        if instrumented:
            hat = project(logs, np.concatenate(exogenous + [np.log(t["wholesale"])], axis=1))
        else:
            hat = logs
        x = np.concatenate([hat] + exogenous[1:], axis=1)
        y = np.log(np.maximum(t["units"][:, k], 0.5) / t["customers"])
        mean, size = x.mean(axis=0), x.std(axis=0)
        cross = (np.arange(x.shape[1]) < n) & (np.arange(x.shape[1]) != k)
        weight = np.sqrt(weeks * np.where(cross, CROSS, OTHER))
        rows = np.concatenate([(x - mean) / size, np.diag(weight)])
        right = np.concatenate([y - y.mean(), np.zeros(len(weight))])
        b = np.linalg.lstsq(rows, right, rcond=None)[0] / size
        a = y.mean() - mean @ b
        real = np.concatenate([logs] + exogenous[1:], axis=1)
        expected = t["customers"] * np.exp(np.minimum(a + real @ b, 0))
        r = b[n + 2] if memory is not None else 0.0
        own = b[:n].copy()
        own[k] += r
        found["a"].append(a + np.log(t["units"][:, k].sum() / expected.sum()))
        found["B"].append(own.tolist())
        found["covariates"].append(b[n : n + 2].tolist())
        found["reference"].append(r)
        found["calendar"].append(b[-3:].tolist() if seasons is not None else [])
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", type=Path, default=ROOT / "tests/golden/covariates.json")
    args = parser.parse_args()
    t = keep(read(ROOT / "scenarios/data/tuna.csv"), WEEKS_OUT)
    t["rival"] = t["price"][:, 6].copy()
    for key in ("units", "price", "wholesale", "display"):
        t[key] = t[key][:, :CANS]
    week = t["week"] - 1.0
    seasons = calendar(week, week.mean())
    out = {
        "least-squares": two_stage({**t, "wholesale": t["price"]}, False, None, None),
        "maximum-likelihood": likelihood(t, True, MEMORY, None),
        "two-stage": two_stage(t, True, MEMORY, seasons),
        "log-log": log_log(t, MEMORY, seasons, False),
        "log-log two-stage": log_log(t, None, seasons, True),
    }
    args.o.write_text(json.dumps(out, indent=1) + "\n")


main()

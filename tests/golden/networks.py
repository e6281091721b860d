#!/usr/bin/env python3
"""What pytabkit's RealMLP and TabM find on two tables, on given rows: what agents/tests/tables.rs compares with.

    pip install pytabkit scikit-learn
    python3 tests/golden/networks.py           # writes tests/golden/networks.json

Tables: breast cancer (of tests/golden/tables.json) for classes, and for numbers 1,000 rows of Friedman's first function
(scikit-learn's make_friedman1, noise 1, seed 0: the best possible RMSE is 1). Parts as in tables.py: row i is in the test
part where i % 5 is 4, in the validation part where it is 3. Models with pytabkit's own defaults, except that the epoch
with the lowest log loss of the validation part answers, as here (its default is the error), that TabM has the layers that
are the default here (two of 128) and that 256 epochs are the most; seeds 0, 1 and 2, of which all are kept.
"""
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor, TabM_D_Classifier, TabM_D_Regressor
from sklearn.datasets import make_friedman1
from sklearn.metrics import accuracy_score, log_loss

HERE = Path(__file__).resolve().parent
SEEDS = [0, 1, 2]
SMALL = {"d_block": 128, "n_blocks": 2, "n_epochs": 256}


def found(x, y, classes):
    rows = np.arange(len(y))
    train, validation, test = rows[rows % 5 < 3], rows[rows % 5 == 3], rows[rows % 5 == 4]
    models = {
        "realmlp": (RealMLP_TD_Classifier if classes else RealMLP_TD_Regressor, {}),
        "tabm": (TabM_D_Classifier if classes else TabM_D_Regressor, SMALL),
    }
    out = {}
    for name, (model, settings) in models.items():
        for seed in SEEDS:
            criterion = {"val_metric_name": "cross_entropy" if classes else "rmse"}
            own = model(random_state=seed, device="cpu", **settings, **criterion)
            own.fit(x[train], y[train], x[validation], y[validation])
            if classes:
                p = own.predict_proba(x[test])
                one = {"accuracy": accuracy_score(y[test], p.argmax(1)), "log_loss": log_loss(y[test], p)}
            else:
                one = {"rmse": float(np.sqrt(np.mean((own.predict(x[test]).ravel() - y[test]) ** 2)))}
            for metric, value in one.items():
                out.setdefault(name, {}).setdefault(metric, []).append(float(value))
            print(name, seed, one, flush=True)
    return out


def main():
    cancer = json.loads((HERE / "tables.json").read_text())["tables"]["cancer"]
    x, y = make_friedman1(n_samples=1000, noise=1.0, random_state=0)
    x, y = x.round(4), y.round(4)
    out = {
        "pytabkit": version("pytabkit"),
        "cancer": found(np.array(cancer["x"], dtype=np.float32), np.array(cancer["y"]).astype(int), True),
        "friedman": {"x": x.tolist(), "y": y.tolist()} | found(x.astype(np.float32), y.astype(np.float32), False),
    }
    (HERE / "networks.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What fairlearn and scikit-learn say of groups of rows: the ground truth of agents/tests/slices.rs.

    pip install fairlearn scikit-learn
    python3 tests/golden/slices.py             # writes tests/golden/slices.json

300 rows of a group, a truth and a prediction, drawn so that groups differ. Of two classes: every metric of each group,
demographic parity and equalised odds. Of numbers: RMSE of each group and the gap.
"""
import json
from pathlib import Path

import fairlearn
import numpy as np
import sklearn
from fairlearn.metrics import (MetricFrame, demographic_parity_difference, equalized_odds_difference, false_positive_rate,
                               selection_rate, true_positive_rate)
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, log_loss, root_mean_squared_error, roc_auc_score

HERE = Path(__file__).resolve().parent


def main() -> None:
    rng = np.random.default_rng(7)
    group = rng.choice(["north", "south", "west"], 300, p=[0.5, 0.3, 0.2])
    shift = np.select([group == "north", group == "south"], [0.4, -0.5], 0.0)
    z = rng.normal(size=300) + shift
    y = (z + 0.8 * rng.normal(size=300) > 0).astype(int)
    p = 1.0 / (1.0 + np.exp(-(1.5 * z + 0.5 * shift)))
    guess = (p > 0.5).astype(int)
    names = sorted(set(group))

    def each(of):
        return {name: of(group == name) for name in names}

    frame = MetricFrame(metrics={"positive rate": selection_rate, "true positive rate": true_positive_rate,
                                 "false positive rate": false_positive_rate}, y_true=y, y_pred=guess, sensitive_features=group)
    classes = {
        "y": y.tolist(), "p": p.tolist(),
        "groups": {
            "log_loss": each(lambda at: log_loss(y[at], p[at])),
            "accuracy": each(lambda at: accuracy_score(y[at], guess[at])),
            "f1": each(lambda at: f1_score(y[at], guess[at])),
            "auc": each(lambda at: roc_auc_score(y[at], p[at])),
            "brier": each(lambda at: brier_score_loss(y[at], p[at])),
        },
        "gaps": {name: float(value) for name, value in frame.difference(method="between_groups").items()} | {
            "equalised odds": float(equalized_odds_difference(y, guess, sensitive_features=group)),
        },
    }
    parity = float(demographic_parity_difference(y, guess, sensitive_features=group))
    assert abs(parity - classes["gaps"]["positive rate"]) < 1e-12
    truth = 10.0 * z
    forecast = truth + shift + rng.normal(size=300) * (1.0 + (group == "west"))
    numbers = {
        "y": truth.tolist(), "p": forecast.tolist(),
        "groups": {"rmse": each(lambda at: root_mean_squared_error(truth[at], forecast[at]))},
    }
    rmse = MetricFrame(metrics=root_mean_squared_error, y_true=truth, y_pred=forecast, sensitive_features=group)
    numbers["gaps"] = {"rmse": float(rmse.difference(method="between_groups"))}
    golden = {"fairlearn": fairlearn.__version__, "sklearn": sklearn.__version__, "group": group.tolist(),
              "classes": classes, "numbers": numbers}
    (HERE / "slices.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()

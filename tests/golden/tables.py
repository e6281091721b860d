#!/usr/bin/env python3
"""What scikit-learn finds on classic tables, on given rows: the ground truth of agents/tests/tables.rs.

    pip install scikit-learn
    python3 tests/golden/tables.py             # writes tests/golden/tables.json
    python3 tests/golden/tables.py --export FOLDER   # writes the tables as CSV files, to try `agon train --data` on

The tables come with scikit-learn: iris, wine and breast cancer for classes; for numbers, a wine's proline from its other
measurements. Parts: row i is in the test part where i % 5 is 4,
in the validation part where it is 3. Numbers are standardised by the training part (population deviation). Ridge and
logistic regression do not penalise their intercepts. Boosting: HistGradientBoosting with its defaults, 100 rounds, no
early stopping. Forests: 200 trees with scikit-learn's defaults, the mean and the deviation over 20 seeds. The decision
tree has leaves of five rows or more; its answers are those of the training part, since a threshold may lie anywhere
between two rows.
"""
import json
import sys
from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.ensemble import (HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier,
                              RandomForestRegressor)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, balanced_accuracy_score, brier_score_loss, f1_score, log_loss, mean_squared_error, roc_auc_score
from sklearn.tree import DecisionTreeRegressor

HERE = Path(__file__).resolve().parent
TABLES = {
    "iris": load_iris(),
    "wine": load_wine(),
    "cancer": load_breast_cancer(),
}


def of_numbers(x, y, train, test):
    out = {}
    for name, model in [("least_squares", LinearRegression()), ("ridge", Ridge(alpha=1.0))]:
        p = model.fit(x[train], y[train]).predict(x[test])
        out[name] = {"p": p.tolist(), "coefficients": model.coef_.tolist(), "intercept": float(model.intercept_)}
    p = HistGradientBoostingRegressor(early_stopping=False).fit(x[train], y[train]).predict(x[test])
    tree = DecisionTreeRegressor(min_samples_leaf=5, random_state=0).fit(x[train], y[train])
    forests = [RandomForestRegressor(200, random_state=i).fit(x[train], y[train]).predict(x[test]) for i in range(20)]
    rmse = [mean_squared_error(y[test], p) ** 0.5 for p in forests]
    return out | {
        "boosting": {"rmse": mean_squared_error(y[test], p) ** 0.5},
        "tree": {"p": tree.predict(x[train]).tolist()},
        "forest": {"rmse": [float(np.mean(rmse)), float(np.std(rmse))]},
    }


def of_classes(x, y, train, test):
    model = LogisticRegression(C=1.0, tol=1e-12, max_iter=100_000).fit(x[train], y[train])
    p = model.predict_proba(x[test])
    guess = p.argmax(1)
    two = p.shape[1] == 2
    metrics = {
        "log_loss": log_loss(y[test], p),
        "accuracy": accuracy_score(y[test], guess),
        "balanced_accuracy": balanced_accuracy_score(y[test], guess),
        "f1": f1_score(y[test], guess, average="binary" if two else "macro"),
        "auc": roc_auc_score(y[test], p[:, 1] if two else p, multi_class="ovr"),
        "brier": brier_score_loss(y[test], p[:, 1]) if two else float(((p - np.eye(p.shape[1])[y[test]]) ** 2).sum(1).mean()),
    }
    boosted = HistGradientBoostingClassifier(early_stopping=False).fit(x[train], y[train]).predict_proba(x[test])
    boosting = {"log_loss": log_loss(y[test], boosted), "accuracy": accuracy_score(y[test], boosted.argmax(1))}
    forests = [RandomForestClassifier(200, random_state=i).fit(x[train], y[train]).predict_proba(x[test]) for i in range(20)]
    accuracy = [accuracy_score(y[test], p.argmax(1)) for p in forests]
    forest = {"accuracy": [float(np.mean(accuracy)), float(np.std(accuracy))]}
    return {"logistic": {"p": p.ravel().tolist(), "metrics": metrics}, "boosting": boosting, "forest": forest}


def of(x, y, names, judge):
    rows = np.arange(len(y))
    train, test = rows[rows % 5 < 3], rows[rows % 5 == 4]
    scaled = (x - x[train].mean(0)) / x[train].std(0)
    return {"names": names, "x": x.tolist(), "y": y.tolist()} | judge(scaled, y, train, test)


def main() -> None:
    if sys.argv[1:2] == ["--export"]:
        for name, table in TABLES.items():
            with open(Path(sys.argv[2]) / f"{name}.csv", "w") as out:
                out.write(",".join([*table.feature_names, "target"]) + "\n")
                names = getattr(table, "target_names", None)
                for row, y in zip(table.data, table.target):
                    out.write(",".join([*map(repr, map(float, row)), str(y if names is None else names[y])]) + "\n")
        return
    golden = {"sklearn": sklearn.__version__, "tables": {}}
    for name, table in TABLES.items():
        golden["tables"][name] = of(table.data.astype(float), table.target, list(table.feature_names), of_classes)
    wine = TABLES["wine"]
    names = [name for name in wine.feature_names if name != "proline"]
    at = list(wine.feature_names).index("proline")
    x = np.delete(wine.data, at, 1).astype(float)
    golden["tables"]["proline"] = of(x, wine.data[:, at], names, of_numbers)
    (HERE / "tables.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()

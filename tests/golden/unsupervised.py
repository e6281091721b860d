#!/usr/bin/env python3
"""What scikit-learn finds in classic tables without their targets: the ground truth of agents/tests/unsupervised.rs.

    pip install scikit-learn
    python3 tests/golden/unsupervised.py             # writes tests/golden/unsupervised.json

Rows are those of tests/golden/tables.json (iris, wine, breast cancer), standardised by the whole table (population
deviation). k-means and the Gaussian mixture begin where the file says, so that there is one answer: rows 0, 50, 100 of
iris, and so on. Isolation forests are random: the area under the curve of malignant tumours is the mean over ten seeds.
"""
import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, roc_auc_score, silhouette_score
from sklearn.mixture import GaussianMixture

HERE = Path(__file__).resolve().parent
TABLES = json.loads((HERE / "tables.json").read_text())["tables"]


def of(x, y):
    x = (x - x.mean(0)) / x.std(0)
    n, d = x.shape
    start = [0, n // 3, 2 * n // 3]
    k = len(start)
    means = KMeans(k, init=x[start], n_init=1, tol=0, max_iter=1000).fit(x)
    best = KMeans(k, n_init=50, random_state=0).fit(x)
    out = {
        "start": start,
        "kmeans": {
            "inertia": means.inertia_,
            "centres": means.cluster_centers_.ravel().tolist(),
            "adjusted_rand": adjusted_rand_score(y, means.labels_),
            "mutual_information": normalized_mutual_info_score(y, means.labels_),
            "silhouette": silhouette_score(x, means.labels_),
            "best_inertia": best.inertia_,
        },
    }
    for kind in ["full", "diag"]:
        # Unit covariances, equal shares, and the same rows as means.
        unit = np.array([np.eye(d)] * k) if kind == "full" else np.ones((k, d))
        mixture = GaussianMixture(
            k, covariance_type=kind, means_init=x[start], weights_init=[1 / k] * k, precisions_init=unit, tol=1e-9, max_iter=5000, reg_covar=1e-3
        ).fit(x)
        out["gmm_" + kind] = {
            "log_likelihood": mixture.score(x),
            "bic": mixture.bic(x),
            "shares": mixture.weights_.tolist(),
            "means": mixture.means_.ravel().tolist(),
        }
    pca = PCA().fit(x)
    out["pca"] = {"variances": pca.explained_variance_.tolist(), "ratios": pca.explained_variance_ratio_.tolist()}
    distances = EmpiricalCovariance().fit(x).mahalanobis(x)
    out["mahalanobis"] = np.sqrt(distances).tolist()
    density = HDBSCAN(min_cluster_size=15, copy=True).fit(x)
    out["hdbscan"] = {"labels": density.labels_.tolist(), "probabilities": density.probabilities_.tolist()}
    return out


def main():
    out = {"scikit-learn": sklearn.__version__, "tables": {}}
    for name in ["iris", "wine", "cancer"]:
        x, y = np.array(TABLES[name]["x"]), np.array(TABLES[name]["y"])
        out["tables"][name] = of(x, y)
        if name == "cancer":
            # 0 is malignant.
            areas = []
            for seed in range(10):
                forest = IsolationForest(random_state=seed).fit(x)
                areas.append(roc_auc_score(y == 0, -forest.score_samples(x)))
            out["tables"][name]["isolation_forest"] = {"auc": float(np.mean(areas)), "deviation": float(np.std(areas))}
    (HERE / "unsupervised.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()

"""What one explained row costs in other libraries: 500 trees of depth 8, one row, one thread.

    reasons.py [TREES] [DEPTH]

Needs lightgbm, xgboost (or xgboost-cpu) and numpy; shap if it is there. Rows are made up, as in `benches`' `scoring`. The
figures contain each library's call from Python, which for a row of this size is the smaller part. Least disturbed of
five rounds.
"""

import sys
import time
import warnings

import lightgbm
import numpy
import xgboost

warnings.filterwarnings("ignore")
TREES = int(sys.argv[1]) if len(sys.argv) > 1 else 500
DEPTH = int(sys.argv[2]) if len(sys.argv) > 2 else 8
random = numpy.random.default_rng(1)
rows = random.random((67_000, 28))
rows[:, 0::4] = -numpy.log1p(-rows[:, 0::4]) * 100
rows[:, 1::4] = numpy.floor(rows[:, 1::4] ** 2 * 300)
rows[:, 2::4] = numpy.where(rows[:, 2::4] < 0.95, 0, numpy.floor((rows[:, 2::4] - 0.95) * 400) / 20)
risk = 0.002 + 0.3 * (rows[:, 0] > 350) + 0.1 * rows[:, 2] * (rows[:, 2] > 0.6)
risk += 0.1 * ((rows[:, 1] > 200) & (rows[:, 3] > 0.9))
labels = (random.random(len(rows)) < risk).astype(int)


def measure(name, explain, count=200):
    best = [float("inf")] * 2
    for _ in range(5):
        times = []
        for row in rows[:count]:
            one = row[None, :]
            start = time.perf_counter()
            explain(one)
            times.append((time.perf_counter() - start) * 1e6)
        times.sort()
        best = [min(pair) for pair in zip(best, (times[count // 2], times[count * 99 // 100]))]
    print(f"{name:<44} p50 {best[0]:10.1f} us   p99 {best[1]:10.1f} us", flush=True)


booster = lightgbm.train(
    {"objective": "binary", "max_depth": DEPTH, "num_leaves": 2**DEPTH - 1, "learning_rate": 0.08,
     "num_threads": 1, "verbose": -1, "min_data_in_leaf": 4},
    lightgbm.Dataset(rows, labels), TREES)
leaves = sum(tree["num_leaves"] for tree in booster.dump_model()["tree_info"]) / TREES
print(f"LightGBM {lightgbm.__version__}: {leaves:.1f} leaves a tree")
measure("  score", lambda row: booster.predict(row, raw_score=True, num_threads=1))
measure("  pred_contrib", lambda row: booster.predict(row, pred_contrib=True, num_threads=1))

forest = xgboost.train(
    {"objective": "binary:logistic", "max_depth": DEPTH, "eta": 0.08, "nthread": 1, "base_score": 0.5, "lambda": 10},
    xgboost.DMatrix(rows, labels), TREES)
leaves = sum(dump.count("leaf=") for dump in forest.get_dump()) / TREES
print(f"XGBoost {xgboost.__version__}: {leaves:.1f} leaves a tree")
measure("  score", lambda row: forest.inplace_predict(row))
measure("  pred_contribs", lambda row: forest.predict(xgboost.DMatrix(row, nthread=1), pred_contribs=True))

try:
    import shap
except ImportError:
    print("shap: not installed")
else:
    explainer = shap.TreeExplainer(forest)
    print(f"shap {shap.__version__}, the trees of XGBoost")
    measure("  TreeExplainer, path dependent", lambda row: explainer.shap_values(row), 50)

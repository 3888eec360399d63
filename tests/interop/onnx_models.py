"""Trains small models with the libraries of others, exports them to ONNX as their users do, scores rows with ONNX Runtime.

    onnx_models.py DIRECTORY SEED

Writes NAME.onnx, NAME.rows (little-endian f32, row by row) and NAME.scores (one little-endian f32 a row) for each model
and prints one line `NAME FEATURES KIND` for each, KIND being `probability` or `sum`.
"""

import pathlib
import sys
import warnings

import lightgbm
import numpy
import onnxruntime
import sklearn.ensemble
import xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx

FEATURES = 6
ROWS = 1500

warnings.filterwarnings("ignore")
directory = pathlib.Path(sys.argv[1])
seed = int(sys.argv[2])
random = numpy.random.default_rng(seed)


def draw(missing):
    # Values from a small set fall on thresholds; the others between them.
    coarse = random.integers(-3, 4, size=(ROWS, FEATURES)) / 2
    fine = random.normal(size=(ROWS, FEATURES))
    rows = numpy.where(random.random((ROWS, FEATURES)) < 0.5, coarse, fine).astype(numpy.float32)
    if missing:
        rows[random.random(rows.shape) < 0.05] = numpy.nan
    return rows


def write(name, model, rows):
    data = model.SerializeToString()
    (directory / f"{name}.onnx").write_bytes(data)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    scores = session.run(None, {session.get_inputs()[0].name: rows})[-1]
    if isinstance(scores, list):
        scores = numpy.array([score[1] for score in scores])
    kind = "sum" if scores.ndim == 1 or scores.shape[1] == 1 else "probability"
    if kind == "probability" and scores.ndim == 2:
        scores = scores[:, 1]
    if name.endswith("_classes"):
        kind = "probability"
    (directory / f"{name}.rows").write_bytes(rows.astype("<f4").tobytes())
    (directory / f"{name}.scores").write_bytes(scores.astype("<f4").tobytes())
    print(name, FEATURES, kind)


x = [("X", FloatTensorType([None, FEATURES]))]
full, gaps = draw(False), draw(True)


def label(rows):
    rows = numpy.nan_to_num(rows, nan=0.3)
    risk = (rows[:, 0] * rows[:, 1] + rows[:, 2] > 0.7) | (rows[:, 3] > 1.5)
    return (risk ^ (random.random(ROWS) < 0.05)).astype(int)


shape = {"n_estimators": 40, "max_depth": 6, "random_state": seed}

model = lightgbm.LGBMClassifier(verbose=-1, **shape).fit(gaps, label(gaps))
write("lightgbm", convert_lightgbm(model, initial_types=x, zipmap=False), gaps)
write("lightgbm_classes", convert_lightgbm(model, initial_types=x), gaps)
model = lightgbm.LGBMRegressor(verbose=-1, **shape).fit(gaps, label(gaps) * 4.0 - 2.0)
write("lightgbm_regressor", convert_lightgbm(model, initial_types=x), gaps)

model = xgboost.XGBClassifier(**shape).fit(gaps, label(gaps))
write("xgboost", convert_xgboost(model, initial_types=x), gaps)
model = xgboost.XGBRegressor(**shape).fit(gaps, label(gaps) * 4.0 - 2.0)
write("xgboost_regressor", convert_xgboost(model, initial_types=x), gaps)

model = sklearn.ensemble.GradientBoostingClassifier(**shape).fit(full, label(full))
write("sklearn", to_onnx(model, full[:1], options={id(model): {"zipmap": False}}), full)
write("sklearn_classes", to_onnx(model, full[:1]), full)
model = sklearn.ensemble.GradientBoostingRegressor(**shape).fit(full, label(full) * 4.0 - 2.0)
write("sklearn_regressor", to_onnx(model, full[:1]), full)

# What is no sum of logits, to be refused.
model = sklearn.ensemble.RandomForestClassifier(**shape).fit(full, label(full))
write("refused_forest", to_onnx(model, full[:1], options={id(model): {"zipmap": False}}), full)
model = lightgbm.LGBMClassifier(verbose=-1, **shape).fit(full, random.integers(0, 3, size=ROWS))
write("refused_three", convert_lightgbm(model, initial_types=x, zipmap=False), full)

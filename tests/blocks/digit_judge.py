# SPDX-License-Identifier: GPL-3.0-or-later
"""Which digit a picture is, by the classifier of tests/data (make_digit_classifier.py says how right it is)."""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np

FILE = Path(__file__).resolve().parents[1] / "data" / "digit_classifier.onnx"


@lru_cache(maxsize=1)
def session():
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(FILE), options, providers=["CPUExecutionProvider"])


def judge(pictures):
    """The likeliest digit of each of [n, 784] pictures, in the units of gr_diffsem.models.digit_images."""
    pictures = np.asarray(pictures, np.float32).reshape(-1, 28, 28)
    return session().run(None, {"x": pictures})[0].argmax(1)


def said_right():
    """Its share of right answers on the test pictures, as its maker measured it."""
    text = session().get_modelmeta().custom_metadata_map["diffsem.trained_on"]
    return float(text.split("; ")[1].split()[0])

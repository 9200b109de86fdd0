# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that the core registers; a test compares them with `diffsem.core`."""

NAMES = {
    "priors": ["onnx", "gaussian", "gmm", "none"],
    "operators": ["identity", "mask", "matrix", "transform"],
    "starts": ["matched", "noise", "level", "renoise"],
    "samplers": ["one_step", "posterior_mean", "ddim", "ddpm", "euler", "heun", "dpmpp_2m"],
    "plans": ["geometric", "karras", "linear_vp", "cosine"],
}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemes behind a matrix, behind a network, and with a codec: the block gives what the core gives, and what an answer
leaves of its measurement is said."""

import argparse

import numpy as np
import pytest
from gr_diffsem.eval import scheme_eval

SCHEMES = ("compressed_mixture", "encoded_digits", "digits_latent", "digits")


@pytest.fixture(scope="module", autouse=True)
def digits():
    """Pictures that the prior of `digits_latent` draws, in the place of a data set that need not be there."""
    diffsem = pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")
    from gr_diffsem.models import digit_images

    labels = np.arange(40) % 10
    nothing = np.zeros((40, 32), np.float32)
    drawn = diffsem.scheme("digits_latent:guidance=2").estimate(nothing, np.inf, seed=1, condition={"class": labels})[0]
    drawn = drawn.astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digit_images, "load", lambda part="train": (drawn, labels))
        yield


def report(name, *words):
    parser = argparse.ArgumentParser()
    scheme_eval.add_arguments(parser)
    return scheme_eval.run(parser.parse_args([name, "--realisations", "12", "--evaluations", *words]))


@pytest.mark.parametrize("name", SCHEMES)
def test_the_block_gives_what_the_core_gives(name):
    core, block = report(name), report(name, "--chain", "block")
    assert set(core["nmse_db"]) == set(block["nmse_db"]) >= {"diffusion"}
    for member, row in core["nmse_db"].items():
        np.testing.assert_allclose(block["nmse_db"][member], row, atol=0.05)
        np.testing.assert_allclose(block["residual"][member], core["residual"][member], atol=0.02)


def test_what_answers_leave_of_the_measurement():
    """Behind the network 30 steps leave the noise and not more (docs/openings/network_operators.md); least squares of a
    measurement without an operator leave nothing."""
    found = report("encoded_digits")
    assert max(found["residual"]["diffusion"]) < found["residual_limit"] < 1.25
    assert "residual: mean |y - A x|^2" in scheme_eval.table(found) and "contradicts" not in scheme_eval.table(found)
    found["residual"]["diffusion"][0] = 2.0
    assert "2.00*" in scheme_eval.table(found) and "contradicts" in scheme_eval.table(found)
    assert max(report("digits", "--members", "pixels")["residual"]["ls"]) < 1e-6


def test_a_variance_that_nobody_states_is_left_out():
    """The guidance of `diffusion` states none, though its prior has one."""
    found = report("compressed_mixture")["calibration"]
    assert set(found) == {"lmmse", "gmm"}

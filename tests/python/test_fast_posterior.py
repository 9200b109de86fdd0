# SPDX-License-Identifier: GPL-3.0-or-later
"""`mimo_fast_posterior`: channels from pilots that its network was never told of."""

import numpy as np
import pytest
from gr_diffsem.base import model_packages, signal
from gr_diffsem.schemes import mimo_chanest
from gr_diffsem.schemes import mimo_fast_posterior as fast
from gr_diffsem.schemes import mimo_pilot_posterior as few


@pytest.fixture(scope="module")
def case():
    pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")
    package, _ = model_packages.locate("mimo_fast_posterior", checkout_first=True)
    h = mimo_chanest.draw("los", np.random.default_rng(17), 6, few.RX, few.TX)
    x = (h @ few.BASIS).astype(np.complex64)
    noise = signal.complex_noise(np.random.default_rng(18), x.shape, 0.1)
    y = np.where(few.observed(0.6), x + noise, 0).astype(np.complex64)
    return package, x, y.reshape(6, -1), few.observed(0.6).ravel()


def error_db(found, x):
    return 10 * np.log10(np.sum(np.abs(found.reshape(x.shape) - x) ** 2) / np.sum(np.abs(x) ** 2))


@pytest.mark.parametrize("member, most", [("flow", -15.0), ("sure", -15.0), ("flow1", -1.0)])
def test_no_worse_than_when_shipped(case, member, most):
    from gnuradio import diffsem

    package, x, y, seen = case
    found, _, info = diffsem.scheme(f"{package}/{member}").estimate(y, np.float32(0.1), observed=seen)
    assert not np.any(info["bypassed"])
    assert info["steps"][0] == (1 if member == "flow1" else fast.EVALUATIONS)
    assert error_db(found, x) < most


def test_it_states_no_variance_and_the_same_answer_twice(case):
    from gnuradio import diffsem

    package, _, y, seen = case
    scheme = diffsem.scheme(f"{package}/flow")
    first, _, _ = scheme.estimate(y[:2], np.float32(0.1), observed=seen, seed=1)
    again, _, _ = scheme.estimate(y[:2], np.float32(0.1), observed=seen, seed=2)
    np.testing.assert_array_equal(first, again)
    assert not scheme.info()["has_variance"]

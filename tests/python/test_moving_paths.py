# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths that move, and what DVB-T's symbols hold."""

import numpy as np
import pytest
from gr_diffsem.air import moving_paths
from gr_diffsem.base.errors import UserError
from gr_diffsem.receivers.dvbt.dvbt_layout import Layout


def test_an_ofdm_symbol_sees_what_the_response_says():
    """Fractional delays, a channel that hardly moves within the symbol."""
    rng = np.random.default_rng(1)
    paths = moving_paths.draw(rng, [0, 3.3, 17.8], [0, -3, -6], 1e-6)
    n, guard, used = 512, 64, np.arange(-150, 151)
    spectrum = np.zeros(n, complex)
    spectrum[used] = np.exp(2j * np.pi * rng.random(len(used)))
    body = np.fft.ifft(spectrum)
    x = np.tile(np.concatenate([body[-guard:], body]), 20)
    y = paths.through(moving_paths.delayed(x, paths.delays))
    at = 11 * (n + guard) + guard
    got = np.fft.fft(y[at : at + n])[used] / spectrum[used]
    np.testing.assert_allclose(got, paths.response([at + n / 2], used, n)[0], atol=5e-3)


def test_powers_and_coherence_are_clarkes():
    rng = np.random.default_rng(2)
    gains = np.stack([moving_paths.draw(rng, [0, 1], [0, -6], 0.01).gains([0, 10]) for _ in range(3000)])
    power = np.mean(np.abs(gains) ** 2, 0)
    assert np.sum(power[:, 0]) == pytest.approx(1, abs=0.05)
    assert power[0, 0] / power[1, 0] == pytest.approx(10**0.6, rel=0.1)
    coherence = np.mean(gains[:, 0, 1] * np.conj(gains[:, 0, 0])) / power[0, 0]
    assert coherence == pytest.approx(0.9037, abs=0.05)  # J0(2 pi 0.1)


def test_pieces_are_the_whole():
    paths = moving_paths.draw(np.random.default_rng(3), [0, 2], [0, 0], 1e-5)
    copies = moving_paths.delayed(np.ones(5 * moving_paths.STEP), paths.delays)
    cut = 2 * moving_paths.STEP
    parts = [paths.through(copies[:, :cut]), paths.through(copies[:, cut:], cut)]
    np.testing.assert_allclose(np.concatenate(parts), paths.through(copies), atol=1e-6)


@pytest.mark.parametrize(("mode", "times"), [("2k", 1), ("8k", 4)])
def test_layout(mode, times):
    here = Layout(mode, "1/8")
    assert here.symbol == 2304 * times and here.carriers == 1704 * times + 1
    for symbol in range(5):
        data = here.data(symbol)
        assert len(data) == here.data_len == 1512 * times
        assert not set(data) & set(here.pilots[symbol % 4])


def test_what_is_no_mode_is_named():
    with pytest.raises(UserError, match="mode is '4k'.*2k, 8k"):
        Layout("4k")
    with pytest.raises(UserError, match="guard is '1/5'"):
        Layout("2k", "1/5")

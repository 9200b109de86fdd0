# SPDX-License-Identifier: GPL-3.0-or-later
"""Taps that move: the filter against a plain sum, frames that pass into each other, layouts that are no channel's."""

import numpy as np
import pytest
from gr_diffsem.base.tap_frames import MovingFilter, TapLayout


def plain(x, path, interval):
    """y[n] = sum_l h_l(n) x[n - l], taps on straight lines between the rows of `path`."""
    taps = path.shape[1]
    x = np.concatenate((np.zeros(taps - 1), x))
    y = np.zeros(len(x) - taps + 1, complex)
    for n in range(len(y)):
        k, f = n // interval, n % interval / interval
        h = (1 - f) * path[k] + f * path[k + 1]
        y[n] = np.sum(h * x[n + taps - 1 - np.arange(taps)])
    return y


@pytest.mark.parametrize("interval", [1, 3, 7, 64])
def test_the_filter_is_the_plain_sum_however_it_is_cut(interval):
    rng = np.random.default_rng(1)
    x = (rng.standard_normal(300) + 1j * rng.standard_normal(300)).astype(np.complex64)
    path = (rng.standard_normal((310, 5)) + 1j * rng.standard_normal((310, 5))).astype(np.complex64)
    path[:, 2] = 0  # a tap that is not there
    moving, at, row, y = MovingFilter(5, interval), 0, 2, np.zeros(300, np.complex64)
    moving.begin(path[:2])
    padded = np.concatenate((np.zeros(4, np.complex64), x))
    while at < 300:
        n = min(int(rng.integers(1, 90)), 300 - at)
        needs = moving.needs(n)
        moving.run(padded[at : at + n + 4], path[row : row + needs], y[at : at + n])
        at, row = at + n, row + needs
    np.testing.assert_allclose(y, plain(x, path, interval), atol=2e-4)


def test_a_longer_interval_goes_on_from_where_the_taps_are():
    moving = MovingFilter(1, 10)
    moving.begin(np.array([[0], [1]], np.complex64))
    y = np.zeros(6, np.complex64)
    moving.run(np.ones(5, np.complex64), np.zeros((0, 1), np.complex64), y[:5])
    moving.set_interval(100)
    moving.run(np.ones(1, np.complex64), np.zeros((0, 1), np.complex64), y[5:])
    assert y[4] == pytest.approx(0.4) and y[5] == pytest.approx(0.5)


def test_frames_pass_into_each_other_at_the_same_power():
    rng = np.random.default_rng(2)
    layout = TapLayout((64,), ("time",), (0, 2), (1.0, 0.5))
    assert (layout.items, layout.instants, layout.hop, layout.taps) == (2, 64, 32, 3)
    still = np.repeat(
        (rng.standard_normal((4000, 2)) + 1j * rng.standard_normal((4000, 2)))[..., None], 64, 2
    ) / np.sqrt(2)
    frames = [layout.frame(draws) for draws in still]
    rows = np.stack([layout.blended(a, b) for a, b in zip(frames[:-1], frames[1:], strict=True)])
    power = np.mean(np.abs(rows) ** 2, 0)
    np.testing.assert_allclose(power[:, 0], 1, rtol=0.1)
    np.testing.assert_allclose(power[:, 2], 0.25, rtol=0.1)
    assert np.all(power[:, 1] == 0)
    stream = rows.reshape(-1, 3)
    assert np.abs(np.diff(stream[:, 0])).max() < 4 * np.pi / 2 / 32  # no jump where one frame ends


def test_a_path_between_two_samples_has_its_delay():
    layout = TapLayout((16,), ("time",), (3.4,), (1.0,))
    h = layout.frame(np.ones((1, 16)))[0]
    k = np.arange(-16, 17)
    response = np.exp(-2j * np.pi * np.outer(k / 64, np.arange(layout.taps))) @ h
    np.testing.assert_allclose(response, np.exp(-2j * np.pi * k / 64 * 3.4), atol=0.06)


@pytest.mark.parametrize(
    ("shape", "axes", "instants", "taps"),
    [((64,), ("carrier",), 32, 64), ((16, 64), ("symbol", "carrier"), 16, 64), ((8, 40), ("delay", "time"), 40, 8)],
)
def test_other_generators_have_paths_of_their_own(shape, axes, instants, taps):
    rng = np.random.default_rng(3)
    draw = rng.standard_normal((1, *shape)) + 1j * rng.standard_normal((1, *shape))
    layout = TapLayout(shape, axes)
    frame = layout.frame(draw)
    assert frame.shape == (instants, taps) and layout.items == 1 and layout.still == (axes == ("carrier",))
    if "carrier" in axes:  # the taps' response is what was drawn
        response = np.fft.fftshift(np.fft.fft(frame, axis=1), axes=1)
        np.testing.assert_allclose(response, np.broadcast_to(draw[0], response.shape), atol=1e-4)
    else:
        np.testing.assert_allclose(frame, draw[0].T, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "axes", "words"),
    [
        ((28, 28), ("row", "column"), "no taps are made"),
        ((16, 64), ("receive antenna", "transmit antenna"), "no taps are made"),
        ((64, 64), ("carrier", "delay"), "the same thing twice"),
        ((2,), ("time",), "4 or more"),
        ((64,), (), "no taps are made"),
    ],
)
def test_what_is_no_channel_is_refused(shape, axes, words):
    with pytest.raises(ValueError, match=words):
        TapLayout(shape, axes)

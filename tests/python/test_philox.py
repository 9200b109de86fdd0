# SPDX-License-Identifier: GPL-3.0-or-later
"""The random numbers: published known answers, moments, and independence of batch and chunk."""

import numpy as np
import pytest
from gr_diffsem.base import philox

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    "counter, key, answer",
    [  # the known-answer vectors that the authors of Philox publish
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers(counter, key, answer):
    assert tuple(int(word) for word in philox.philox4x32(counter, key)) == answer


def test_moments():
    draws = philox.complex_normals(64, 3, np.arange(4000), seed=5)
    assert np.mean(np.abs(draws) ** 2) == pytest.approx(1.0, abs=0.01)
    assert abs(np.mean(draws**2)) < 0.01 and abs(np.mean(draws)) < 0.01
    assert np.mean(np.abs(draws) ** 4) == pytest.approx(2.0, abs=0.05)


def test_batch_and_chunk_do_not_matter():
    whole = philox.complex_normals(7, 2, np.arange(10), seed=9, stream=1)
    np.testing.assert_array_equal(whole[4:], philox.complex_normals(7, 2, np.arange(4, 10), 9, 1))
    np.testing.assert_array_equal(whole[:, :3], philox.complex_normals(3, 2, np.arange(10), 9, 1))
    np.testing.assert_array_equal(whole[4:], philox.Rng(9, 1, first=4)(1, (6, 7)))


def test_seed_stream_step_and_item_all_matter():
    base = philox.normals(8, 1, [5], seed=1, stream=0)
    for other in (
        philox.normals(8, 2, [5], 1, 0),
        philox.normals(8, 1, [6], 1, 0),
        philox.normals(8, 1, [5 + (1 << 32)], 1, 0),
        philox.normals(8, 1, [5], 2, 0),
        philox.normals(8, 1, [5], 1, 1),
    ):
        assert np.abs(np.corrcoef(base[0], other[0])[0, 1]) < 0.95
        assert not np.any(base == other)


def test_large_seeds_wrap():
    np.testing.assert_array_equal(
        philox.normals(4, 0, [0], seed=(1 << 64) - 1, stream=3),
        philox.normals(4, 0, [0], seed=(3 * 0x9E3779B97F4A7C15 - 1) % (1 << 64)),
    )

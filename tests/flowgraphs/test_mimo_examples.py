# SPDX-License-Identifier: GPL-3.0-or-later
"""Flowgraphs of large arrays: what they show is nearer to what was sent than what stands beside it."""

import numpy as np
import pytest

pytest.importorskip("gnuradio.diffsem")
pytest.importorskip("PyQt5")

from test_examples import run_example

pytestmark = pytest.mark.timing  # they run in real time


def means(name, folder, snr_db, items, *blocks, settle):
    """{block: mean of its last `items` numbers of settle + items}; the first ones waited in the buffers while
    the slider stood elsewhere."""
    take = {block: [block, settle + items, 0, "float32"] for block in blocks}
    read = {block: f"taken['{block}'].tolist()" for block in blocks}
    until = " and ".join(f"tb.{block}.nitems_written(0) > {settle + items}" for block in blocks)
    steps = [
        {"set": {"snr_db": float(snr_db)}, "seconds": 120, "until": until, "read": read},
        {"seconds": 1, "read": {}},
    ]
    got = run_example(name, folder, steps, seconds=200, take=take)[0]
    assert all(len(got[block]) == settle + items for block in blocks), got
    return {block: float(np.mean(got[block][settle:])) for block in blocks}


def errors(name, folder, snr_db, items, size, *methods, settle):
    """NMSE in dB of methods on channels of `size` elements of unit power."""
    got = means(name, folder, snr_db, items, *(f"error_{m}" for m in methods), settle=settle)
    return [10 * np.log10(got[f"error_{m}"] / size) for m in methods]


def test_phase_noise_in_the_model(tmp_path):
    told, ignored = errors("ris_chanest", tmp_path, 20, 60, 256, "told", "ignored", settle=60)
    assert told < -8 and told < ignored - 0.3, (told, ignored)


def test_few_pilots_are_enough(tmp_path):
    posterior, least = errors("mimo_pilot_posterior", tmp_path, 10, 20, 1024, "posterior", "least", settle=20)
    assert posterior < -11 and posterior < least - 5, (posterior, least)


def test_one_bit_in_the_model(tmp_path):
    bits, ignored = errors("lowres_chanest", tmp_path, 10, 20, 1024, "bits", "ignored", settle=20)
    assert bits < -6 and bits < ignored - 1, (bits, ignored)


def test_symbols_help_the_channel(tmp_path):
    """At 20 dB, 30 pilots for 32 users: the channel is 6 dB nearer, and a fifth of the wrong symbols is left."""
    blocks = ("error_joint", "error_alone", "sum_joint", "sum_alone")
    got = means("joint_detection", tmp_path, 20, 4, *blocks, settle=0)
    assert got["error_joint"] < got["error_alone"] / 4, got
    assert got["sum_joint"] < got["sum_alone"] / 5 and 0 < got["sum_alone"] < 0.5 * 32 * 50, got


def test_a_channel_from_few_pilots_lies_within_its_stated_deviation(tmp_path):
    """An antenna in the middle, 12 channels: what was sent lies within two stated deviations, but for some in a
    hundred, also where no pilot was sent; the mean is nearer to it than what was received."""
    lines = ("sent", "received", "mean", "low", "high")
    take = {name: ["band", 12, port, "float32"] for port, name in enumerate(lines)}
    read = {name: f"taken['{name}'].tolist()" for name in lines}
    step = {"seconds": 60, "until": "tb.band.nitems_written(0) >= 13", "read": read}
    got = run_example("mimo_few_pilots", tmp_path, [step], take=take)[-1]
    sent, received, mean, low, high = (np.reshape(got[name], (12, 64)) for name in lines)
    within = (low <= sent) & (sent <= high)
    assert within[:, :38].mean() > 0.9 and within[:, 38:].mean() > 0.85
    assert np.mean((mean - sent)[:, :38] ** 2) < 0.7 * np.mean((received - sent)[:, :38] ** 2)
    assert np.mean((mean - sent) ** 2) < 0.2 * np.mean(sent**2)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture through `send`, what real radios and their neighbours do to samples, and `receive`. The whole table is
`make impair`; here are the rows that once gave no picture, and what the receiver says of them."""

import numpy as np
import pmt
import pytest
from gr_diffsem.air import impairments as air

pytest.importorskip("gnuradio.diffsem")
from gr_diffsem.apps import cli, impair

ROWS = ("dc -10", "iq image", "dc 20", "tone 0", "neighbour 20", "impulses")


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """(picture, samples of `send`)."""
    from gr_diffsem.base import picture_files

    picture = next(iter(picture_files.bundled(160, 1).values()))
    return picture, impair.transmitted(picture, tmp_path_factory.mktemp("sent"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return {r["name"]: r for r in impair.measured(("clean", *ROWS), "linear", 160, 1)}


@pytest.mark.parametrize("name", ROWS)
def test_the_floor_holds(rows, name):
    row = rows[name]
    print(f"{name}: {row['psnr']:.2f} dB, floor {row['floor']:.2f}; clean {rows['clean']['psnr']:.2f}")
    assert row["psnr"] >= row["floor"]
    assert row["frames"] == rows["clean"]["frames"]


def test_dc_below_the_signal_costs_less_than_a_decibel(rows):
    assert rows["dc -10"]["psnr"] > rows["clean"]["psnr"] - 1


def statistics(samples):
    """The last that frame_sync_cvc says of samples."""
    from gnuradio import blocks, diffsem, gr
    from gr_diffsem.codec.frame_layout import Layout
    from gr_diffsem.eval.flowgraph import run_limited

    tb = gr.top_block("statistics")
    sync = diffsem.frame_sync_cvc(diffsem.frame_format_of(Layout()))
    sink, debug = blocks.null_sink(64 * gr.sizeof_gr_complex), blocks.message_debug()
    tb.connect(blocks.vector_source_c(samples.tolist()), blocks.throttle(gr.sizeof_gr_complex, 40000), sync, sink)
    tb.msg_connect(sync, "stats", debug, "store")
    run_limited(tb, 60)
    return pmt.to_python(debug.get_message(debug.num_messages() - 1)), sync


@pytest.mark.timing
@pytest.mark.parametrize("name, word", [("dc 20", "DC"), ("neighbour 20", "neighbour"), ("tone 0", "tone")])
def test_the_statistics_name_what_is_taken_out(sent, name, word):
    x = impair.impaired(impair.ROWS[name], sent[1], 1)
    said, sync = statistics(x[: int(40000 * 1.2)])
    assert said["interference"] == word
    assert sync.frames_out() > 0


def test_receive_says_what_the_sender_does_otherwise(sent, tmp_path, capsys):
    picture, x = sent
    _, report = impair.received(air.swapped_iq(x).astype(np.complex64), picture, tmp_path / "swapped", "linear")
    assert report["frames"] == 0
    assert "I and Q are swapped" in report["hint"]
    from gr_diffsem.apps import receive

    assert "I and Q are swapped" in receive.table(report)
    _, report = impair.received(x, picture, tmp_path / "right", "linear")
    assert "hint" not in report


def test_impairments_do_what_they_say():
    rng = np.random.default_rng(1)
    x = air.noise(rng, 200000, 1.0)
    of = air.power
    assert of(air.dc(x, 10) - x) == pytest.approx(10, rel=0.02)
    assert of(air.tone(x, -3, 0.2) - x) == pytest.approx(0.5, rel=0.02)
    assert of(air.impulses(x, rng, 1e-3, 40) - x) == pytest.approx(1e4, rel=0.02)
    beside = air.neighbour(x, rng, 20) - x
    assert of(beside) == pytest.approx(100, rel=0.02)
    spectrum = np.abs(np.fft.fft(beside)) ** 2
    inside = np.abs(np.fft.fftfreq(x.size)) < 28 / 64
    assert spectrum[inside].sum() < 1e-6 * spectrum.sum()
    # the image: |E x^2| / E|x|^2 = 2 |a b| / (|a|^2 + |b|^2) of x -> a x + b conj(x)
    y = air.iq_image(x, 3, 10)
    g, p = 10 ** (3 / 20), np.deg2rad(10)
    a, b = (1 + g * np.exp(-1j * p)) / 2, (1 - g * np.exp(1j * p)) / 2
    ratio = 2 * abs(a * b) / (abs(a) ** 2 + abs(b) ** 2)
    assert abs(np.mean(y**2)) / of(y) == pytest.approx(ratio, abs=0.01)
    assert of(y) == pytest.approx(1, rel=0.02)
    assert x.size - air.gaps(x, rng, 1000, 10).size == pytest.approx(2000, rel=0.25)
    assert of(air.quantise(x, 8) - x) == pytest.approx(2 * (10 ** (12 / 20) * np.sqrt(0.5) / 128) ** 2 / 12, rel=0.3)
    assert np.abs(air.clip(x, 0).real).max() <= np.sqrt(of(x) / 2) + 1e-6
    assert of(air.lte(x, rng, -5, 0.1, rate_over=1.3) - x) == pytest.approx(10**-0.5, rel=0.05)
    np.testing.assert_allclose(np.fft.fft(air.swapped_iq(x))[1:6], 1j * np.conj(np.fft.fft(x)[-1:-6:-1]), rtol=1e-9)


def test_a_floor_that_does_not_hold_is_a_failure(monkeypatch, capsys):
    rows = [{"name": "clean", "what": "", "psnr": 20.0, "floor": 18.0, "held": True, "frames": 1, "found": 1}]
    monkeypatch.setattr(impair, "measured", lambda *_: rows)
    assert cli.main(["eval", "impair"]) == 0
    rows.append({**rows[0], "floor": 21.0, "held": False})
    assert cli.main(["eval", "impair"]) == 1
    assert "**no**" in capsys.readouterr().out

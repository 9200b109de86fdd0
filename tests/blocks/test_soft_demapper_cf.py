# SPDX-License-Identifier: GPL-3.0-or-later
"""The soft demapper: values against the definition, sign and scale against gr-fec, noise from tags."""

import flow
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, digital, fec, gr

NAMES = {"bpsk": 1, "qpsk": 2, "16qam": 4, "64qam": 6}


def by_definition(y, points, noise, lsb=False):
    """LLRs of the definition, [symbols, bits]."""
    bits = int(np.log2(len(points)))
    distance = np.abs(y[:, None] - np.asarray(points)[None]) ** 2
    order = range(bits) if lsb else range(bits - 1, -1, -1)
    one = [(np.arange(len(points)) >> b) & 1 == 1 for b in order]
    return np.stack([distance[:, ~o].min(1) - distance[:, o].min(1) for o in one], 1) / np.asarray(noise)[:, None]


def run(block, y, noise=None, tags=(), chunk=None):
    tb = gr.top_block()
    sink = blocks.vector_sink_f()
    tb.connect(flow.source(tb, y, tags, chunk), block, sink)
    if noise is not None:
        second = blocks.vector_source_f(np.asarray(noise, float).tolist())
        tb.connect(second, (block, 1))
    flow.run(tb)
    return np.array(sink.data()), sink


@pytest.fixture
def symbols():
    rng = np.random.default_rng(1)
    return rng.standard_normal(500) + 1j * rng.standard_normal(500), rng.uniform(0.05, 2, 500)


@pytest.mark.parametrize("name", NAMES)
def test_named_constellations(name, symbols):
    y, noise = symbols
    points = np.array(diffsem.core.constellation_points(name))
    assert len(points) == 2 ** NAMES[name] and np.isclose(np.mean(np.abs(points) ** 2), 1)
    for order in ("msb", "lsb"):
        out, _ = run(diffsem.soft_demapper_cf(name, noise_input=True, bit_order=order), y, noise)
        expected = by_definition(y, points, noise, order == "lsb")
        np.testing.assert_allclose(out.reshape(expected.shape), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_named_constellations_are_gray(name):
    points = np.array(diffsem.core.constellation_points(name))
    least = np.min(np.abs(points[:, None] - points[None])[~np.eye(len(points), dtype=bool)])
    for i in range(len(points)):
        for j in range(i):
            if abs(points[i] - points[j]) < 1.01 * least:
                assert bin(i ^ j).count("1") == 1


def test_names_are_those_of_80211():
    """The first bits choose I, the others Q; 00 01 11 10 from left to right (IEEE 802.11-2020, table 17-15)."""
    points = np.array(diffsem.core.constellation_points("16qam")) * np.sqrt(10)
    np.testing.assert_allclose([points[b << 2].real for b in (0b00, 0b01, 0b11, 0b10)], [-3, -1, 1, 3], rtol=1e-6)
    np.testing.assert_allclose([points[b].imag for b in (0b00, 0b01, 0b11, 0b10)], [-3, -1, 1, 3], rtol=1e-6)


@pytest.mark.parametrize(
    "make",
    ["constellation_bpsk", "constellation_qpsk", "constellation_8psk", "constellation_16qam", "constellation_dqpsk"],
)
def test_gr_digital_constellations(make, symbols):
    y, noise = symbols
    c = getattr(digital, make)()
    points = np.array(c.points())
    if c.apply_pre_diff_code():
        points = points[np.array(c.pre_diff_code())]
    out, _ = run(diffsem.soft_demapper_cf(c.base(), noise_input=True), y, noise)
    expected = by_definition(y, points, noise)
    np.testing.assert_allclose(out.reshape(expected.shape), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("make", ["constellation_bpsk", "constellation_qpsk", "constellation_16qam"])
def test_signs_agree_with_gr_digital(make):
    """Decisions on noiseless symbols are gr-digital's labels, and what its soft decoder decides (not for its
    16-QAM: in GNU Radio 3.10.12 the soft decoder contradicts that constellation's own labels)."""
    c = getattr(digital, make)()
    points = list(c.points())
    out, _ = run(diffsem.soft_demapper_cf(c.base()), points)
    k = c.bits_per_symbol()
    expected = [(v >> b) & 1 for v in range(len(points)) for b in range(k - 1, -1, -1)]
    assert (out > 0).astype(int).tolist() == expected
    if make == "constellation_16qam":
        return
    stock, _ = run(digital.constellation_soft_decoder_cf(c.base()), points)
    assert ((stock > 0) == (out > 0)).all()


def test_scale_suits_the_viterbi_decoder_of_gr_fec():
    """A K=7 rate-1/2 code over noisy QPSK with known, unequal noise: soft beats blind to the noise."""
    rng = np.random.default_rng(2)
    bits, frame = 4000, 200
    data = rng.integers(0, 2, bits).astype(np.uint8)
    arguments = (frame, 7, 2, [79, 109], 0, -1, fec.CC_STREAMING, False)
    tb = gr.top_block()
    coded_sink = blocks.vector_sink_b()
    encoder = fec.extended_encoder(fec.cc_encoder_make(*arguments[:5], *arguments[6:]), None, "11")
    source = blocks.vector_source_b([*data.tolist(), *([0] * 400)])
    tb.connect(source, encoder, coded_sink)
    flow.run(tb)
    coded = np.array(coded_sink.data())
    points = np.array(diffsem.core.constellation_points("qpsk"))
    x = points[coded[0::2] * 2 + coded[1::2]]
    noise = np.where(rng.random(x.size) < 0.2, 3.0, 0.15)
    y = x + np.sqrt(noise / 2) * (rng.standard_normal(x.size) + 1j * rng.standard_normal(x.size))

    def errors(told):
        tb = gr.top_block()
        source = blocks.vector_source_c(y.tolist())
        level = blocks.vector_source_f(told.tolist())
        demapper = diffsem.soft_demapper_cf("qpsk", noise_input=True, scale=0.3)
        decoder = fec.extended_decoder(fec.cc_decoder.make(*arguments), None)
        sink = blocks.vector_sink_b()
        tb.connect(source, demapper, decoder, sink)
        tb.connect(level, (demapper, 1))
        flow.run(tb)
        got = np.array(sink.data())[:bits]
        assert got.size >= bits - frame
        return np.mean(got != data[: got.size])

    informed, blind = errors(noise), errors(np.full_like(noise, noise.mean()))
    assert informed < 3e-3 and informed < 0.1 * blind, (informed, blind)


def test_llr_is_the_log_likelihood_ratio():
    """BPSK: 4 Re(y)/v exactly."""
    y = np.linspace(-2, 2, 41) + 1j
    out, _ = run(diffsem.soft_demapper_cf("bpsk", noise_var=0.5), y)
    np.testing.assert_allclose(out, 4 * y.real / 0.5, rtol=1e-4, atol=1e-5)


def test_scale_and_clip():
    y = np.linspace(-2, 2, 41)
    block = diffsem.soft_demapper_cf("bpsk", noise_var=0.5, scale=0.25, clip=1.5)
    out, _ = run(block, y)
    np.testing.assert_allclose(out, np.clip(2 * y, -1.5, 1.5), rtol=1e-4, atol=1e-6)
    block.set_scale(1.0)
    block.set_clip(0.0)
    block.set_noise_var(1.0)
    out, _ = run(block, y)
    np.testing.assert_allclose(out, 4 * y, rtol=1e-4, atol=1e-5)


def test_nothing_is_known_of_bad_symbols():
    y = [1, np.nan, complex(1, np.inf), 1, 1, 1, 1, 1e30, 1]
    noise = [1, 1, 1, 0, -1, np.inf, np.nan, 1, 1e-45]
    out, _ = run(diffsem.soft_demapper_cf("qpsk", noise_input=True, clip=10), y, noise)
    out = out.reshape(-1, 2)
    assert np.isfinite(out).all()
    assert not out[1:7].any() and out[0].any()


@pytest.mark.parametrize("chunk", [None, 1, 7])
@pytest.mark.parametrize("error_var", [False, True])
def test_noise_of_each_carrier_from_tags(error_var, chunk):
    rng = np.random.default_rng(3)
    fft_len, occupied = 16, [[-3, -2, -1, 1, 2, 3], [-5, 4]]
    carriers = [(k % fft_len + fft_len // 2) % fft_len for s in occupied for k in s]
    first = len(occupied[0])
    y, tags, noise = [], [], []
    for length in (20, 13, 1):
        h = rng.standard_normal(fft_len) + 1j * rng.standard_normal(fft_len)
        e = rng.uniform(0, 1, fft_len)
        v = float(rng.uniform(0.1, 1))
        tags.append(flow.tag(len(y), "packet_len", length))
        tags.append(flow.tag(len(y), "diffsem_noise_var", v))

        tags.append(flow.tag(len(y), "ofdm_sync_chan_taps", pmt.init_c32vector(fft_len, h.tolist())))
        if error_var:
            tags.append(flow.tag(len(y), "diffsem_error_var", pmt.init_f32vector(fft_len, e.tolist())))
        k = np.array(carriers)[(first + np.arange(length)) % len(carriers)]
        noise += ((v + error_var * e[k]) / np.abs(h[k]) ** 2).tolist()
        y += (rng.standard_normal(length) + 1j * rng.standard_normal(length)).tolist()
    block = diffsem.soft_demapper_cf(
        "16qam", occupied_carriers=occupied, fft_len=fft_len, symbols_skipped=1, len_tag_key="packet_len"
    )
    out, sink = run(block, y, tags=tags, chunk=chunk)
    expected = by_definition(np.array(y), diffsem.core.constellation_points("16qam"), np.array(noise))
    np.testing.assert_allclose(out.reshape(expected.shape), expected, rtol=2e-3, atol=2e-3)
    assert flow.tag_values(sink, "packet_len") == {0: 80, 80: 52, 132: 4}
    assert sorted(flow.tag_values(sink, "diffsem_noise_var")) == [0, 80, 132]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"constellation": "8psk"}, "constellation is '8psk'.*64qam"),
        ({"noise_var": 0.0}, "noise_var is 0"),
        ({"scale": 0.0}, "scale is 0"),
        ({"clip": -1.0}, "clip is -1"),
        ({"bit_order": "little"}, "bit_order is 'little'"),
        ({"occupied_carriers": [[1]]}, "fft_len is 0"),
        ({"occupied_carriers": [[16]], "fft_len": 16}, "carrier 16"),
        ({"symbols_skipped": -1}, "symbols_skipped is -1"),
    ],
)
def test_wrong_parameters_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        diffsem.soft_demapper_cf(**{"constellation": "qpsk", **arguments})

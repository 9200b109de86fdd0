# SPDX-License-Identifier: GPL-3.0-or-later
"""Known answers of the legacy OFDM transmitter (IEEE 802.11-2016, clause 17 and annex I)."""

import numpy as np
import pytest
from gr_diffsem.phy import constellation, convolutional, soft_demap, viterbi
from gr_diffsem.receivers.wifi import wifi_bits, wifi_phy, wifi_tables

# The message of annex I.1.2 without its FCS.
MESSAGE = bytes.fromhex("0402002E006008CD37A60020D6013CF1006008AD3BAF0000") + (
    b"Joy, bright spark of divinity,\nDaughter of Elysium,\nFire-insired we trea"
)


def text(bits):
    return "".join(map(str, np.asarray(bits).tolist()))


def test_scrambler_of_all_ones():
    expected = (
        "00001110 11110010 11001001 00000010 00100110 00101110 10110110 00001100"
        "11010100 11100111 10110100 00101010 11111010 01010001 10111000 1111111"
    )
    assert text(wifi_bits.scrambler_sequence(127, 127)) == expected.replace(" ", "")
    assert text(wifi_bits.scrambler_sequence(127, 130)[127:]) == "000"


def test_seed_is_read_back():
    for seed in range(1, 128):
        assert wifi_bits.seed_from_service(wifi_bits.scrambler_sequence(seed, 7)) == seed
    assert wifi_bits.seed_from_service(np.zeros(7, int)) is None
    with pytest.raises(ValueError, match="seed"):
        wifi_bits.scrambler_sequence(0, 7)


def test_fcs_of_the_annex():
    psdu = wifi_bits.append_fcs(MESSAGE)
    assert psdu[-4:].hex() == "673321b6"
    assert wifi_bits.fcs_ok(psdu)
    assert not wifi_bits.fcs_ok(psdu[:-1] + b"\0")
    assert not wifi_bits.fcs_ok(b"")


def test_signal_field_of_the_annex():
    bits = wifi_phy.signal_bits(36, 100)
    assert text(bits) == "101100010011000000000000"
    coded = convolutional.encode(bits)
    assert text(coded) == "110100011010000100000010001111100111000000000000"
    assert text(wifi_bits.interleave(coded, 1)) == "100101001101000000010100100000110010010010010100"
    symbol = wifi_phy.signal_symbol(36, 100)
    assert symbol[wifi_tables.DC - 26] == 1 and symbol[wifi_tables.DC - 25] == -1
    assert np.array_equal(symbol[wifi_tables.PILOTS], [1, 1, 1, -1])


def test_preamble_of_the_annex():
    x = wifi_phy.preamble() / 8  # the annex uses an inverse FFT with 1/64
    assert len(x) == 320
    short = [0.046 + 0.046j, -0.132 + 0.002j, -0.013 - 0.079j, 0.143 - 0.013j, 0.092 + 0j]
    assert np.allclose(x[:5], short, atol=1e-3)
    assert np.allclose(x[:144], x[16:160])
    long = [0.156 + 0j, -0.005 - 0.120j, 0.040 - 0.111j, 0.097 + 0.083j]
    assert np.allclose(x[192:196], long, atol=1e-3)
    assert np.allclose(x[160:192], x[224:256])
    assert np.allclose(x[192:256], x[256:])


def test_training_sequences_have_the_right_power():
    assert np.sum(np.abs(wifi_tables.LTF) ** 2) == 52
    assert np.sum(np.abs(wifi_tables.STF) ** 2) == pytest.approx(52)
    assert wifi_tables.USED_MASK.sum() == 52


def test_pilot_polarity_begins_as_in_17_25():
    expected = [1, 1, 1, 1, -1, -1, -1, 1, -1, -1, -1, -1, 1, 1, -1, 1, -1, -1, 1, 1]
    assert wifi_phy.pilot_polarity(20).tolist() == expected
    assert np.array_equal(wifi_phy.pilot_polarity(3, 126), wifi_phy.pilot_polarity(130)[126:129])


def test_interleaver_spreads_neighbours():
    p = wifi_bits.interleaver(48, 1)
    assert p[:17].tolist() == [*range(0, 48, 3), 1]
    for rate in wifi_tables.RATES.values():
        p = wifi_bits.interleaver(rate.n_cbps, rate.n_bpsc)
        assert sorted(p) == list(range(rate.n_cbps))
        x = np.arange(2 * rate.n_cbps).reshape(2, -1)
        assert np.array_equal(wifi_bits.deinterleave(wifi_bits.interleave(x, rate.n_bpsc), rate.n_bpsc), x)
    # 16-QAM: neighbours alternate between the significant and the less significant bit.
    assert wifi_bits.interleaver(192, 4)[:4].tolist() == [0, 13, 24, 37]


def test_rate_table():
    n_dbps = {6: 24, 9: 36, 12: 48, 18: 72, 24: 96, 36: 144, 48: 192, 54: 216}
    assert {m: r.n_dbps for m, r in wifi_tables.RATES.items()} == n_dbps
    assert wifi_tables.RATES[36].n_symbols(100) == 6
    with pytest.raises(ValueError, match="rate"):
        wifi_phy.get_rate(11)
    with pytest.raises(ValueError, match="length"):
        wifi_phy.signal_bits(6, 4096)


@pytest.mark.parametrize("order", [1, 2, 4, 6])
def test_constellations_are_gray_and_normalised(order):
    index = np.arange(1 << order)
    bits = ((index[:, None] >> np.arange(order - 1, -1, -1)) & 1).astype(np.uint8)
    points = constellation.modulate(bits.ravel(), order)
    assert np.mean(np.abs(points) ** 2) == pytest.approx(1)
    distance = np.abs(points[:, None] - points)
    near = distance < np.min(distance[distance > 0]) * 1.01
    flips = (bits[:, None] != bits).sum(-1)
    assert np.all(flips[near & (distance > 0)] == 1)
    soft = soft_demap.max_log(points.reshape(1, -1), np.ones(len(points)), order)
    assert np.array_equal(soft[0] < 0, bits.ravel() == 1)


def test_sixteen_qam_by_the_table():
    points = constellation.modulate(np.array([0, 0, 0, 1, 1, 0, 1, 1], np.uint8), 4) * np.sqrt(10)
    assert np.allclose(points, [-3 - 1j, 3 + 1j])


def test_puncturing():
    coded = np.arange(12)
    assert convolutional.puncture(coded, (3, 4)).tolist() == [0, 1, 2, 5, 6, 7, 8, 11]
    assert convolutional.puncture(coded, (2, 3)).tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    for code in convolutional.PUNCTURE:
        kept = convolutional.puncture(coded + 1.0, code)
        back = convolutional.depuncture(kept, code)
        assert np.array_equal(back[back != 0], kept) and len(back) == 12
    with pytest.raises(ValueError, match="puncturing"):
        convolutional.depuncture(np.ones(5), (3, 4))


def test_first_symbol_of_the_annex_message():
    """SERVICE and the first octets, scrambled by 1011101 (first bit in x7), as in table I-15."""
    psdu = wifi_bits.append_fcs(MESSAGE)
    seed = wifi_bits.seed_from_service([0, 1, 1, 0, 1, 1, 0])
    bits = wifi_phy.data_bits(psdu, 36, seed)
    assert len(bits) == 864
    assert text(bits[:24]) == "011011000001100110001001"
    assert not bits[816:822].any()


def test_viterbi_corrects_and_batches_agree():
    rng = np.random.default_rng(5)
    lengths = rng.integers(20, 400, 40)
    sent, soft = [], []
    for n in lengths:
        bits = rng.integers(0, 2, n).astype(np.uint8)
        bits[-6:] = 0
        sent.append(bits)
        soft.append(1 - 2.0 * convolutional.encode(bits) + 0.6 * rng.normal(size=2 * n))
    together = viterbi.decode(soft, lengths)
    assert sum(np.array_equal(a, b) for a, b in zip(together, sent, strict=True)) >= 38
    for i in range(5):
        assert np.array_equal(viterbi.decode([soft[i]], [lengths[i]])[0], together[i])


def test_viterbi_is_maximum_likelihood():
    rng = np.random.default_rng(6)
    free = 6
    words = [np.array([(i >> b) & 1 for b in range(free)] + [0] * 6, np.uint8) for i in range(64)]
    signs = np.array([1 - 2.0 * convolutional.encode(w) for w in words])
    for _ in range(20):
        soft = rng.normal(size=24)
        best = words[int(np.argmax(signs @ soft))]
        assert np.array_equal(viterbi.decode([soft], [12])[0], best)


def test_viterbi_survives_bad_values():
    soft = np.full(60, np.nan)
    soft[3] = np.inf
    assert len(viterbi.decode([soft], [30])[0]) == 30
    assert viterbi.decode([], []) == []
    with pytest.raises(ValueError, match="needs 80"):
        viterbi.decode([np.zeros(10)], [40])

# SPDX-License-Identifier: GPL-3.0-or-later
"""Synchroniser, tracking and decoder on recordings made by our own transmitter."""

import numpy as np
import pytest
from gr_diffsem.receivers.wifi import (
    phase_tracking,
    reference_channel,
    wifi_bits,
    wifi_decoder,
    wifi_finder,
    wifi_frontend,
    wifi_phy,
    wifi_simulate,
    wifi_sync,
)
from gr_diffsem.receivers.wifi.wifi_capture import Capture
from gr_diffsem.receivers.wifi.wifi_tables import LTF_OFFSET, RATES, USED, WINDOW_ADVANCE


def received(tmp_path, packets, air, seed=3):
    x, truth = wifi_simulate.recording(packets, air, seed)
    path = tmp_path / "x.cf32"
    wifi_simulate.write(path, x)
    return list(wifi_finder.receive(Capture(path))), truth, x


def good(items):
    return [i.result.psdu for i in items if i.result.fcs_ok]


@pytest.mark.parametrize(
    "air",
    [
        wifi_simulate.Conditions(),
        wifi_simulate.Conditions(cfo_hz=230e3, dc=2 + 1j, gain=1e-5),
        wifi_simulate.Conditions(cfo_hz=-230e3, gain=3e4, gap=200),
        wifi_simulate.Conditions(snr_db=35, delay_spread=2, cfo_hz=50e3, clock_ppm=30),
    ],
    ids=["plain", "weak with dc", "strong, close packets", "multipath and clock"],
)
def test_all_rates_come_back(tmp_path, air):
    packets = wifi_simulate.packet_list(16, np.random.default_rng(1))
    items, truth, _ = received(tmp_path, packets, air)
    assert good(items) == [p[1] for p in packets]
    assert [i.result.mbps for i in items] == [p[0] for p in packets]
    assert [i.result.seed for i in items] == [p[2] for p in packets]
    for item, entry in zip(items, truth, strict=True):
        late = item.position + LTF_OFFSET - WINDOW_ADVANCE - entry["start"]
        assert -4 <= late <= 2
        assert abs(item.sync.cfo_hz - air.cfo_hz) < 3e3


@pytest.mark.parametrize(
    ("mbps", "snr_db"), [(6, 4), (9, 8), (12, 7), (18, 11), (24, 14), (36, 18), (48, 22), (54, 24)]
)
def test_each_rate_over_noise(tmp_path, mbps, snr_db):
    packets = wifi_simulate.packet_list(20, np.random.default_rng(mbps), (mbps,), (60,))
    items, _, _ = received(tmp_path, packets, wifi_simulate.Conditions(snr_db=snr_db, cfo_hz=70e3))
    assert len(good(items)) >= 18


def test_longest_packet_with_a_drifting_clock(tmp_path):
    packets = wifi_simulate.packet_list(2, np.random.default_rng(2), (6,), (4095,))
    for ppm in (40, -40):
        items, _, _ = received(tmp_path, packets, wifi_simulate.Conditions(clock_ppm=ppm, cfo_hz=20e3))
        assert good(items) == [p[1] for p in packets]


def test_detection_at_low_snr(tmp_path):
    packets = wifi_simulate.packet_list(30, np.random.default_rng(4), (6,), (30,))
    items, _, _ = received(tmp_path, packets, wifi_simulate.Conditions(snr_db=1, cfo_hz=-90e3, dc=0.5))
    assert len(items) >= 27


def test_nothing_is_found_where_nothing_is():
    rng = np.random.default_rng(7)
    noise = rng.normal(size=(300_000, 2)).view(complex)[:, 0]
    assert len(wifi_sync.find(noise)) <= 2
    assert wifi_sync.find(np.zeros(5000, complex)) == []
    assert wifi_sync.find(np.full(5000, 1 + 1j)) == []
    assert wifi_sync.find(np.zeros(10, complex)) == []
    tone = np.exp(2j * np.pi * 0.11 * np.arange(20_000))
    assert len(wifi_sync.find(tone)) == 0


def test_packets_across_chunk_borders(tmp_path):
    packets = wifi_simulate.packet_list(12, np.random.default_rng(8))
    x, _ = wifi_simulate.recording(packets, wifi_simulate.Conditions())
    path = tmp_path / "x.cf32"
    wifi_simulate.write(path, x)

    class Small(Capture):
        def chunks(self, size=1777, overlap=12_000):
            return super().chunks(size, overlap)

    assert good(wifi_finder.receive(Small(path))) == [p[1] for p in packets]


def test_cut_packets(tmp_path):
    packets = wifi_simulate.packet_list(1, np.random.default_rng(9), (12,), (138,))
    x, truth = wifi_simulate.recording(packets, wifi_simulate.Conditions())
    path = tmp_path / "x.cf32"
    end = truth[0]["start"] + 144 + 80 * 10
    for stop in (end, truth[0]["start"] + 300, truth[0]["start"] + 200, truth[0]["start"] + 10, 500):
        wifi_simulate.write(path, x[:stop])
        items = list(wifi_finder.receive(Capture(path)))
        assert good(items) == []
        assert all(i.result.reason.startswith("cut") for i in items)
    wifi_simulate.write(path, x[:end])
    assert len(list(wifi_finder.receive(Capture(path)))) == 1
    wifi_simulate.write(path, x[truth[0]["start"] - 60 :])  # the short training field is mostly gone
    assert len(good(wifi_finder.receive(Capture(path)))) <= 1


def test_bad_samples_inside_a_recording(tmp_path):
    packets = wifi_simulate.packet_list(6, np.random.default_rng(10), (12,))
    x, truth = wifi_simulate.recording(packets, wifi_simulate.Conditions())
    x[truth[2]["start"] + 600] = np.nan
    x[truth[4]["start"] + 20] = np.inf + 1j
    x[0] = -np.inf
    path = tmp_path / "x.cf32"
    wifi_simulate.write(path, x)
    capture = Capture(path)
    assert len(good(wifi_finder.receive(capture))) >= 5
    assert any("not finite" in note for note in capture.notes)
    assert len(wifi_sync.find(x)) >= 5


def test_decode_with_a_given_channel():
    psdu = wifi_bits.append_fcs(bytes(range(50)))
    air = wifi_simulate.Conditions(snr_db=28, cfo_hz=30e3, delay_spread=1, gain=7.0)
    x, truth = wifi_simulate.recording([(24, psdu, 17)], air, seed=12)
    s = wifi_sync.find(x)[0]
    ltf, _ = wifi_frontend.demodulate(x, s, 1)
    y, noise_var = wifi_frontend.ltf_observation(ltf)
    result = wifi_decoder.decode(x, s, y, 2 * noise_var, noise_var)
    assert result.fcs_ok and result.psdu == psdu and (result.mbps, result.length) == (24, 54)
    assert result.evm_db < -15
    # The simulator's own channel serves as well: only its phase is free.
    h = truth[0]["h"] * np.exp(1j * np.angle(np.vdot(truth[0]["h"][USED], y[USED]))) * air.gain
    shift = s.start - truth[0]["start"]
    h = h * np.exp(2j * np.pi * (np.arange(64) - 32) * shift / 64)
    assert np.sum(np.abs(h - y)[USED] ** 2) < 0.02 * np.sum(np.abs(h[USED]) ** 2)
    assert wifi_decoder.decode(x, s, h, 2 * noise_var).psdu == psdu


def test_decode_refuses_and_survives():
    x, _ = wifi_simulate.recording(wifi_simulate.packet_list(1, np.random.default_rng(0)), wifi_simulate.Conditions())
    s = wifi_sync.find(x)[0]
    with pytest.raises(ValueError, match="64 carriers"):
        wifi_decoder.decode(x, s, np.ones(52), 0.1)
    with pytest.raises(ValueError, match="noise_var"):
        wifi_decoder.decode(x, s, np.ones(64), -1.0)
    with pytest.raises(ValueError, match="do not hold"):
        wifi_decoder.decode(x[: s.start + 100], s, np.ones(64), 0.1)
    for h in (np.zeros(64), np.full(64, np.nan), np.ones(64)):
        assert not wifi_decoder.decode(x, s, h, 0.0).fcs_ok
    x[s.start + 200 : s.start + 260] = np.nan
    assert not wifi_decoder.decode(x, s, np.ones(64), 0.1).fcs_ok


def test_signal_field_checks():
    bits = wifi_phy.signal_bits(54, 1234)
    assert wifi_decoder.parse_signal(bits) == (54, 1234)
    for wrong in (0, 4, 17, 20):
        flipped = bits.copy()
        flipped[wrong] ^= 1
        assert wifi_decoder.parse_signal(flipped) is None


def test_error_variance_weights_the_carriers():
    """A carrier whose estimate is known to be bad must not spoil the packet."""
    psdu = wifi_bits.append_fcs(bytes(60))
    sent = wifi_phy.encode(psdu, 54, 5)
    h = np.where(np.abs(wifi_phy.LTF) > 0, 1.0 + 0j, 0)
    wrong = h.copy()
    wrong[USED[::6]] *= -1
    var = np.zeros(64)
    var[USED[::6]] = 1e6
    plain, told = wifi_decoder.decode_batch(
        [wifi_decoder.Job(sent * h, wrong, 1e-3), wifi_decoder.Job(sent * h, wrong, 1e-3, var)]
    )
    assert not plain.fcs_ok and told.fcs_ok


def test_phase_smoother_beats_single_symbols():
    rng = np.random.default_rng(11)
    n, variance = 60, 0.1
    theta = 0.05 * (np.arange(n) + phase_tracking.T0) + np.cumsum(rng.normal(size=n)) * 0.014
    noise = rng.normal(size=n) * np.sqrt(variance)
    found = phase_tracking.smooth_phase(np.exp(1j * (theta + noise)), np.full(n, variance), 0.1)
    assert np.mean((found - theta) ** 2) < 0.2 * variance
    assert len(phase_tracking.smooth_phase(np.zeros(0), np.zeros(0), 0.1)) == 0


def test_seed_is_found_from_the_symbols():
    for mbps in RATES:
        psdu = wifi_bits.append_fcs(bytes(range(30)))
        sent = wifi_phy.encode(psdu, mbps, 99)
        seed, score = reference_channel.find_seed(sent, np.where(wifi_phy.LTF != 0, 1 + 0j, 0), 1e-3, psdu, mbps)
        assert seed == 99 and score > 0.99

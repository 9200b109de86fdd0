# SPDX-License-Identifier: GPL-3.0-or-later
"""Synchroniser, tracking and decoder on recordings made by our own transmitter."""

import numpy as np
import pytest
from gr_diffsem.wifi import coding, frontend, phy, receive, receiver, reference, simulate, sync, tracking
from gr_diffsem.wifi.capture import Capture
from gr_diffsem.wifi.tables import LTF_OFFSET, RATES, USED, WINDOW_ADVANCE


def received(tmp_path, packets, air, seed=3):
    x, truth = simulate.recording(packets, air, seed)
    path = tmp_path / "x.cf32"
    simulate.write(path, x)
    return list(receive.receive(Capture(path))), truth, x


def good(items):
    return [i.result.psdu for i in items if i.result.fcs_ok]


@pytest.mark.parametrize(
    "air",
    [
        simulate.Air(),
        simulate.Air(cfo_hz=230e3, dc=2 + 1j, gain=1e-5),
        simulate.Air(cfo_hz=-230e3, gain=3e4, gap=200),
        simulate.Air(snr_db=35, delay_spread=2, cfo_hz=50e3, clock_ppm=30),
    ],
    ids=["plain", "weak with dc", "strong, close packets", "multipath and clock"],
)
def test_all_rates_come_back(tmp_path, air):
    packets = simulate.packet_list(16, np.random.default_rng(1))
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
    packets = simulate.packet_list(20, np.random.default_rng(mbps), (mbps,), (60,))
    items, _, _ = received(tmp_path, packets, simulate.Air(snr_db=snr_db, cfo_hz=70e3))
    assert len(good(items)) >= 18


def test_longest_packet_with_a_drifting_clock(tmp_path):
    packets = simulate.packet_list(2, np.random.default_rng(2), (6,), (4095,))
    for ppm in (40, -40):
        items, _, _ = received(tmp_path, packets, simulate.Air(clock_ppm=ppm, cfo_hz=20e3))
        assert good(items) == [p[1] for p in packets]


def test_detection_at_low_snr(tmp_path):
    packets = simulate.packet_list(30, np.random.default_rng(4), (6,), (30,))
    items, _, _ = received(tmp_path, packets, simulate.Air(snr_db=1, cfo_hz=-90e3, dc=0.5))
    assert len(items) >= 27


def test_nothing_is_found_where_nothing_is():
    rng = np.random.default_rng(7)
    noise = rng.normal(size=(300_000, 2)).view(complex)[:, 0]
    assert len(sync.find(noise)) <= 2
    assert sync.find(np.zeros(5000, complex)) == []
    assert sync.find(np.full(5000, 1 + 1j)) == []
    assert sync.find(np.zeros(10, complex)) == []
    tone = np.exp(2j * np.pi * 0.11 * np.arange(20_000))
    assert len(sync.find(tone)) == 0


def test_packets_across_chunk_borders(tmp_path):
    packets = simulate.packet_list(12, np.random.default_rng(8))
    x, _ = simulate.recording(packets, simulate.Air())
    path = tmp_path / "x.cf32"
    simulate.write(path, x)

    class Small(Capture):
        def chunks(self, size=1777, overlap=12_000):
            return super().chunks(size, overlap)

    assert good(receive.receive(Small(path))) == [p[1] for p in packets]


def test_cut_packets(tmp_path):
    packets = simulate.packet_list(1, np.random.default_rng(9), (12,), (138,))
    x, truth = simulate.recording(packets, simulate.Air())
    path = tmp_path / "x.cf32"
    end = truth[0]["start"] + 144 + 80 * 10
    for stop in (end, truth[0]["start"] + 300, truth[0]["start"] + 200, truth[0]["start"] + 10, 500):
        simulate.write(path, x[:stop])
        items = list(receive.receive(Capture(path)))
        assert good(items) == []
        assert all(i.result.reason.startswith("cut") for i in items)
    simulate.write(path, x[:end])
    assert len(list(receive.receive(Capture(path)))) == 1
    simulate.write(path, x[truth[0]["start"] - 60 :])  # the short training field is mostly gone
    assert len(good(receive.receive(Capture(path)))) <= 1


def test_bad_samples_inside_a_recording(tmp_path):
    packets = simulate.packet_list(6, np.random.default_rng(10), (12,))
    x, truth = simulate.recording(packets, simulate.Air())
    x[truth[2]["start"] + 600] = np.nan
    x[truth[4]["start"] + 20] = np.inf + 1j
    x[0] = -np.inf
    path = tmp_path / "x.cf32"
    simulate.write(path, x)
    capture = Capture(path)
    assert len(good(receive.receive(capture))) >= 5
    assert any("not finite" in note for note in capture.notes)
    assert len(sync.find(x)) >= 5


def test_decode_with_a_given_channel():
    psdu = coding.append_fcs(bytes(range(50)))
    air = simulate.Air(snr_db=28, cfo_hz=30e3, delay_spread=1, gain=7.0)
    x, truth = simulate.recording([(24, psdu, 17)], air, seed=12)
    s = sync.find(x)[0]
    ltf, _ = frontend.demodulate(x, s, 1)
    y, noise_var = frontend.ltf_observation(ltf)
    result = receiver.decode(x, s, y, 2 * noise_var, noise_var)
    assert result.fcs_ok and result.psdu == psdu and (result.mbps, result.length) == (24, 54)
    assert result.evm_db < -15
    # The simulator's own channel serves as well: only its phase is free.
    h = truth[0]["h"] * np.exp(1j * np.angle(np.vdot(truth[0]["h"][USED], y[USED]))) * air.gain
    shift = s.start - truth[0]["start"]
    h = h * np.exp(2j * np.pi * (np.arange(64) - 32) * shift / 64)
    assert np.sum(np.abs(h - y)[USED] ** 2) < 0.02 * np.sum(np.abs(h[USED]) ** 2)
    assert receiver.decode(x, s, h, 2 * noise_var).psdu == psdu


def test_decode_refuses_and_survives():
    x, _ = simulate.recording(simulate.packet_list(1, np.random.default_rng(0)), simulate.Air())
    s = sync.find(x)[0]
    with pytest.raises(ValueError, match="64 carriers"):
        receiver.decode(x, s, np.ones(52), 0.1)
    with pytest.raises(ValueError, match="noise_var"):
        receiver.decode(x, s, np.ones(64), -1.0)
    with pytest.raises(ValueError, match="do not hold"):
        receiver.decode(x[: s.start + 100], s, np.ones(64), 0.1)
    for h in (np.zeros(64), np.full(64, np.nan), np.ones(64)):
        assert not receiver.decode(x, s, h, 0.0).fcs_ok
    x[s.start + 200 : s.start + 260] = np.nan
    assert not receiver.decode(x, s, np.ones(64), 0.1).fcs_ok


def test_signal_field_checks():
    bits = phy.signal_bits(54, 1234)
    assert receiver.parse_signal(bits) == (54, 1234)
    for wrong in (0, 4, 17, 20):
        flipped = bits.copy()
        flipped[wrong] ^= 1
        assert receiver.parse_signal(flipped) is None


def test_error_variance_weights_the_carriers():
    """A carrier whose estimate is known to be bad must not spoil the packet."""
    psdu = coding.append_fcs(bytes(60))
    sent = phy.encode(psdu, 54, 5)
    h = np.where(np.abs(phy.LTF) > 0, 1.0 + 0j, 0)
    wrong = h.copy()
    wrong[USED[::6]] *= -1
    var = np.zeros(64)
    var[USED[::6]] = 1e6
    plain, told = receiver.decode_batch([receiver.Job(sent * h, wrong, 1e-3), receiver.Job(sent * h, wrong, 1e-3, var)])
    assert not plain.fcs_ok and told.fcs_ok


def test_phase_smoother_beats_single_symbols():
    rng = np.random.default_rng(11)
    n, variance = 60, 0.1
    theta = 0.05 * (np.arange(n) + tracking.T0) + np.cumsum(rng.normal(size=n)) * 0.014
    noise = rng.normal(size=n) * np.sqrt(variance)
    found = tracking.smooth_phase(np.exp(1j * (theta + noise)), np.full(n, variance), 0.1)
    assert np.mean((found - theta) ** 2) < 0.2 * variance
    assert len(tracking.smooth_phase(np.zeros(0), np.zeros(0), 0.1)) == 0


def test_seed_is_found_from_the_symbols():
    for mbps in RATES:
        psdu = coding.append_fcs(bytes(range(30)))
        sent = phy.encode(psdu, mbps, 99)
        seed, score = reference.find_seed(sent, np.where(phy.LTF != 0, 1 + 0j, 0), 1e-3, psdu, mbps)
        assert seed == 99 and score > 0.99

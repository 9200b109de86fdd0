# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated OFDM link: packets, channel, receivers, scores. Seeds are fixed, sizes small."""

import json

import numpy as np
import pytest

pytest.importorskip("gnuradio.diffsem")

from gr_diffsem.air import multipath, sample_channel, tdl
from gr_diffsem.air.fading import PACKET_LINK
from gr_diffsem.eval import link_estimates, link_measure, link_scores, link_sync, link_throughput
from gr_diffsem.eval.link_transmitter import payload_symbols, transmit
from gr_diffsem.phy import constellation, packet_frame
from gr_diffsem.phy.ofdm_layout import LAYOUT_64 as LAYOUT

CONFIGS = link_scores.configurations()


@pytest.fixture(scope="module")
def sent():
    """20 QPSK packets: (payloads, samples)."""
    payloads = packet_frame.payloads(packet_frame.FORMATS["qpsk"], 20, 3)
    return payloads, transmit(packet_frame.FORMATS["qpsk"], payloads)


@pytest.mark.parametrize("name", packet_frame.FORMATS)
def test_packet_sizes_fill_whole_symbols(name):
    fmt = packet_frame.FORMATS[name]
    assert fmt.coded_bits % (8 * fmt.bits) == 0
    assert 0 <= fmt.coded_bits - fmt.code_bits < 32
    assert sorted(fmt.interleaver()) == list(range(fmt.coded_bits))
    points = fmt.points()
    assert np.isclose(np.mean(np.abs(points) ** 2), 1)
    # Gray: nearest neighbours differ in one bit
    distance = np.abs(points[:, None] - points)
    near = np.isclose(distance, distance[distance > 1e-6].min())
    labels = np.arange(points.size)
    differ = labels[:, None] ^ labels
    assert all(bin(bits).count("1") == 1 for bits in differ[near])


def test_transmitter_sends_unit_power_and_our_points(sent):
    _, samples = sent
    assert samples.shape == (20, packet_frame.PACKET_SAMPLES)
    assert np.isclose(np.mean(np.abs(samples) ** 2), 1, atol=0.05)
    symbols = payload_symbols(samples)
    nearest = np.abs(symbols.ravel()[:, None] - constellation.points(2)).min(1)
    assert nearest.max() < 1e-5


def test_whole_sample_delays_are_a_convolution(sent):
    _, samples = sent
    delays = np.tile([0.0, 3.0, 16.0], (len(samples), 1))
    gains = np.tile([0.8, 0.5j, -0.3], (len(samples), 1))
    taps = np.zeros(17, complex)
    taps[[0, 3, 16]] = gains[0]
    got = multipath.through_paths(samples, delays, gains)
    for packet, out in zip(samples, got, strict=True):
        assert np.allclose(np.convolve(packet, taps)[: out.size], out, atol=1e-5)


def test_paths_beyond_the_prefix_are_refused(sent):
    _, samples = sent
    with pytest.raises(ValueError, match="cyclic prefix"):
        multipath.through_paths(samples, np.full((20, 1), 16.5), np.ones((20, 1)))


@pytest.mark.parametrize("spread", PACKET_LINK)
def test_true_taps_and_snr_are_what_is_stated(sent, spread):
    _, samples = sent
    snr_db = 7.0
    air = sample_channel.send_packets(np.tile(samples, (20, 1)), spread, snr_db, 5)
    synced = link_sync.ideal(air)
    truth = link_estimates.perfect(synced).taps[:, LAYOUT.carrier_bins] / link_estimates.GAIN
    ours = air.response()[:, LAYOUT.carrier_bins]
    turn = np.angle(np.sum(truth * ours.conj(), 1, keepdims=True))  # a common phase is drawn too
    assert np.abs(truth * np.exp(-1j * turn) - ours).max() < 1e-4
    noise = synced.windows(synced.noisy - synced.noiseless)
    signal = synced.windows(synced.noiseless)[:, :, LAYOUT.carrier_bins]
    ratio = np.mean(np.abs(signal) ** 2) / np.mean(np.abs(noise) ** 2)
    fading = np.mean(np.abs(ours) ** 2)
    assert abs(10 * np.log10(ratio / fading) - snr_db) < 0.1


def test_genie_lmmse_has_the_error_it_states(sent):
    _, samples = sent
    air = sample_channel.send_packets(np.tile(samples, (40, 1)), "long", 10.0, 6)
    synced = link_sync.ideal(air)
    taps, truth = link_estimates.genie_lmmse(synced, air), link_estimates.perfect(synced)
    bins = LAYOUT.carrier_bins
    actual = np.mean(np.abs(taps.taps - truth.taps)[:, bins] ** 2)
    assert 0.9 < actual / np.mean(taps.error_var[:, bins]) < 1.1
    eigenvalues = np.linalg.eigvalsh(tdl.covariance("B", 3.0, 64)[np.ix_(bins, bins)])
    mmse = np.mean(0.1 * eigenvalues / (eigenvalues + 0.1)) * link_estimates.GAIN**2
    assert np.isclose(mmse, np.mean(taps.error_var[:, bins]), rtol=1e-3)


@pytest.mark.parametrize("spread", PACKET_LINK)
def test_stock_detector_finds_the_packets(sent, spread):
    _, samples = sent
    air = sample_channel.send_packets(samples, spread, 25.0, 7)
    synced = link_sync.schmidl_cox(air)
    assert sorted(set(synced.packet[synced.packet >= 0])) == list(range(20))
    early = synced.timing[synced.packet >= 0]
    assert (early >= 0).all() and (early <= LAYOUT.cp_len).all()


@pytest.mark.parametrize("name", [n for n in CONFIGS if "short" in n])
def test_every_packet_arrives_at_high_snr(name):
    outcome = link_scores.run_config(CONFIGS[name], 12, [45.0], ["ls", "diffusion"], seed=2)
    entry = link_scores.score(outcome)
    for scores in entry["methods"].values():
        assert scores["per"] == [0.0]


def test_primary_gate_with_few_packets():
    """SINR: at least 1.5 dB better than ls, near the genie (0.3 dB; 0.15 for so few packets)."""
    for spread in ("short", "long"):
        config = CONFIGS[f"qpsk_{spread}_ideal"]
        methods = ["ls", "genie_lmmse", "diffusion", "perfect"]
        scores = link_scores.score(link_scores.run_config(config, 80, [0.0, 10.0, 20.0], methods))["methods"]
        loss = {m: np.array(scores[m]["sinr_loss_db"]) for m in methods}
        assert (loss["ls"] - loss["diffusion"] >= 1.5).all()
        assert (loss["diffusion"] - loss["genie_lmmse"] <= 0.45).all()
        assert np.allclose(loss["perfect"], 0)


def test_cut_and_demux_receivers_agree():
    """The same packets through either receiver: the same estimates, nearly the same fate."""
    cut = link_scores.run_config(CONFIGS["qpsk_short_ideal"], 20, [14.0], ["diffusion"], seed=4)
    one = cut.received["diffusion"]
    from gr_diffsem.eval.link_demux import receive_demux
    from gr_diffsem.eval.link_receiver import Method

    fmt = packet_frame.FORMATS["qpsk"]
    noise = np.full(20, link_estimates.GAIN**2 * 10**-1.4)
    payloads = packet_frame.payloads(fmt, 20, 4)
    method = Method("ofdm_chanest/diffusion")
    other = receive_demux(cut.synced, fmt, payloads, method, noise, carrier_search=False)
    assert np.allclose(one.taps, other.taps, atol=1e-3 * np.abs(one.taps).max())
    assert np.sum(one.payload_ok != other.payload_ok) <= 1


def test_monotone_and_interpolation():
    assert np.allclose(link_measure.monotone([1, 0.4, 0.6, 0.1]), [1, 0.5, 0.5, 0.1])
    snr = np.array([0.0, 10.0])
    assert np.isclose(link_measure.snr_at(np.array([1.0, 0.01]), snr, 1000), 5.0)
    assert np.isnan(link_measure.snr_at(np.array([1.0, 0.5]), snr, 1000))


def test_report_is_strict_json():
    from gr_diffsem.base.jsonio import dumps

    outcome = link_scores.run_config(CONFIGS["qpsk_short_sc"], 25, [2.0, 20.0], ["ls", "diffusion", "perfect"])
    report = json.loads(dumps({"configs": [link_scores.score(outcome)]}))
    entry = report["configs"][0]
    assert {"name", "snr_db", "packets", "methods"} <= set(entry)
    keys = {"nmse_db", "sinr_loss_db", "per", "snr_at_per_10", "ci95"}
    for scores in entry["methods"].values():
        assert keys <= set(scores)
        assert len(scores["per"]) == len(scores["nmse_db"]) == len(scores["sinr_loss_db"]) == 2
    assert entry["methods"]["perfect"]["sinr_loss_db"][1] == 0


def test_receivers_are_compared_on_the_same_packets():
    report = link_throughput.compare("ofdm_chanest/lmmse", packets=30, repeats=1)
    assert list(report["ratio"]) == ["stock", "ours", "tracking", "stock_polite", "ours_polite", "tracking_polite"]
    assert report["ratio"]["stock"] == 1 and all(ratio > 0 for ratio in report["ratio"].values())
    assert min(report["decoded"].values()) >= 27

# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluation on recordings made by our own transmitter: definitions, fairness, reports."""

import argparse
import json

import numpy as np
import pytest
from gr_diffsem.base import jsonio
from gr_diffsem.base.errors import UserError
from gr_diffsem.eval import wifi_eval, wifi_scores
from gr_diffsem.receivers.wifi import decided_data, reference_channel, wifi_finder, wifi_simulate, wifi_sync
from gr_diffsem.receivers.wifi.wifi_capture import Capture
from gr_diffsem.receivers.wifi.wifi_tables import DC, USED, USED_MASK


def window(y, noise_var, mask, first=-2, n=20):
    """Least squares on n delays."""
    f = np.exp(-2j * np.pi * np.outer(USED - DC, np.arange(first, first + n)) / 64)
    p = f @ np.linalg.pinv(f)
    h, var = np.zeros_like(y), np.zeros(y.shape)
    h[:, USED] = y[:, USED] @ p.T
    var[:, USED] = noise_var[:, None] * np.diag(p).real
    return h, var


AIR = wifi_simulate.Conditions(snr_db=32, cfo_hz=-35e3, delay_spread=1, gain=0.2)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wifi")
    packets = wifi_simulate.packet_list(40, np.random.default_rng(21), (6, 12, 24, 36), (60, 138))
    x, truth = wifi_simulate.recording(packets, AIR, 22)
    wifi_simulate.write(folder / "made.dat", x, "sc16")
    for entry in truth:
        entry["channel"] = entry.pop("h")
    plain = [{k: v for k, v in e.items() if k not in ("channel", "seed")} for e in truth]
    (folder / "truth.json").write_text(json.dumps({"made.dat": plain}))
    capture = Capture(folder / "made.dat")
    known = [reference_channel.from_received(i, "made.dat") for i in wifi_finder.receive(capture)]
    return folder, [k for k in known if k], truth


def test_reference_channel_is_the_channel(made):
    _, known, truth = made
    assert len(known) >= 39
    for p in known:
        entry = next(e for e in truth if e["psdu"] == p.psdu.hex())
        k = np.arange(64) - 32
        begin = p.name[1] + 192 - 3
        h = entry["channel"] * np.exp(2j * np.pi * k * (begin - entry["start"]) / 64)
        h, got = h[USED], p.h[USED]
        h = h * np.vdot(h, got) / np.vdot(h, h)
        error = np.sum(np.abs(h - got) ** 2) / np.sum(np.abs(h) ** 2)
        assert error < 10**-3.2
        assert 0.3 < error / p.floor < 3
        assert abs(p.sync.cfo_hz - AIR.cfo_hz) < 300


def test_ltf_takes_part_in_the_reference_only_on_request(made):
    p = made[1][0]
    both = reference_channel.add_reference(p, with_ltf=True)
    assert both.floor < p.floor
    assert wifi_scores.nmse(both.h[None], p.h[None])[0] < 4 * p.floor


def test_decided_data_are_a_second_training_field(made):
    """Symbols that the decoder decided join the training field: what was sent where it was right, and a measurement
    with less noise; a packet that decides nothing keeps its own."""
    packets = [p for p in made[1] if p.n_symbols > 20]
    y, noise_var, symbols = wifi_scores.observe(packets, 20)
    jobs, results = wifi_scores._decode(packets, symbols, y, None, noise_var)
    for p, job, result, look, level in zip(packets, jobs, results, y, noise_var, strict=True):
        sent = decided_data.sent_again(result)
        assert result.fcs_ok and len(sent) >= p.n_symbols - 2
        assert np.allclose(sent, p.sent[: len(sent)])
        again, less = decided_data.observe(look, level, job, result)
        assert less < 6 * level / len(sent)
        gain = wifi_scores.nmse(look[None], p.h[None]) / wifi_scores.nmse(again[None], p.h[None])
        assert gain > len(sent) / 5
        result.bits = None
        same, equal = decided_data.observe(look, level, job, result)
        assert same is look and equal == level


def test_wrong_decisions_cost_little(made):
    """At 7 dB a good part of the packets fails; the second look is better in the mean, and receives no fewer."""
    once, twice = (lambda *a: window(*a) for _ in range(2))
    twice.passes = 2
    once, twice = wifi_scores.evaluate(made[1][:20], {"once": once, "twice": twice}, (7,))["methods"].values()
    assert 5 < once["fcs_ok"][0] < 16
    assert twice["fcs_ok"][0] >= once["fcs_ok"][0]
    assert twice["nmse_db"][0] < once["nmse_db"][0] - 1


def test_least_squares_error_is_the_theory(made):
    """Mean of two symbols: noise / 2 over 64 / 52 of the packet's power per carrier."""
    out = wifi_scores.evaluate(made[1], {"ls": wifi_scores.least_squares, "window": window}, (0, 10, 20))
    ls, win = (np.array(out["methods"][m]["nmse_db"]) for m in ("ls", "window"))
    snr = np.array(out["snr_db"])
    theory = -snr + 10 * np.log10(52 / 64 / 2)
    assert np.all(np.abs(ls - theory)[:2] < 0.35)
    assert np.all(np.abs(win - ls - 10 * np.log10(20 / 52)) < 0.6)
    evm = {m: np.array(out["methods"][m]["evm_db"]) for m in out["methods"]}
    assert np.all(evm["window"] < evm["ls"])
    assert np.all(np.array(out["reference"]["evm_db"]) < evm["window"] + 0.1)
    assert out["methods"]["window"]["fcs_ok"][2] >= 38
    assert out["packets"] == out["fcs_ok_clean"] == len(made[1])
    assert out["reference"]["fcs_ok"][2] >= 38
    json.loads(jsonio.dumps(out))


def test_noise_variance_and_noise(made):
    p = made[1][:20]
    y, noise_var, _ = wifi_scores.observe(p, 5, seed=4)
    for i, packet in enumerate(p):
        expected = packet.power * 10**-0.5 / 2
        assert 0.4 < noise_var[i] / expected < 2.5
    ratio = np.mean(noise_var / [q.power for q in p]) * 2 * 10**0.5
    assert abs(10 * np.log10(ratio)) < 0.5
    assert not np.any(y[:, ~USED_MASK])
    again = wifi_scores.observe(p[::-1], 5, seed=4)[0][::-1]
    assert np.array_equal(y, again)
    assert not np.array_equal(y, wifi_scores.observe(p, 5, seed=5)[0])
    added = wifi_scores.add_noise(p[0], 3, 0) - p[0].samples
    assert np.mean(np.abs(added) ** 2) == pytest.approx(p[0].power * 10**-0.3, rel=0.1)


def test_estimators_are_checked(made):
    p = made[1][:2]
    with pytest.raises(ValueError, match="method bad: returned shape"):
        wifi_scores.evaluate(p, {"bad": lambda y, v, m: y[:, :52]}, (10,))
    with pytest.raises(ValueError, match="method nan"):
        wifi_scores.evaluate(p, {"nan": lambda y, v, m: y * np.nan}, (10,))
    out = wifi_scores.evaluate(p, {"plain": lambda y, v, m: y}, (10,))
    assert list(out["methods"]) == ["plain"]
    assert wifi_scores.evaluate([], None, (10,))["packets"] == 0


def options(*words):
    parser = argparse.ArgumentParser()
    wifi_eval.add_arguments(parser)
    return parser.parse_args([str(w) for w in words])


def test_command(made, capsys, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    folder, known, _ = made
    monkeypatch.setattr(
        wifi_eval, "make_estimators", lambda names: {n: {"ls": wifi_scores.least_squares}.get(n, window) for n in names}
    )
    methods = ("--methods", "ls", "window", "--snr", 10, 20)
    received = wifi_eval.run(options(folder / "made.dat", *methods, "--plot", tmp_path / "p.png"))
    with_truth = wifi_eval.run(options(folder / "made.dat", *methods, "--truth", folder / "truth.json"))
    assert (tmp_path / "p.png").stat().st_size > 10_000
    assert received["packets"] == len(known) and with_truth["packets"] == 40
    for report in (received, with_truth):
        assert set(report) == {"packets", "fcs_ok_clean", "snr_db", "methods", "reference"}
        assert list(report["methods"]) == ["ls", "window"]
        assert set(report["methods"]["ls"]) == {"nmse_db", "evm_db", "fcs_ok"}
    assert np.allclose(received["methods"]["ls"]["nmse_db"], with_truth["methods"]["ls"]["nmse_db"], atol=0.5)
    assert "own synchroniser: 40 packets" in capsys.readouterr().err
    shown = wifi_eval.table(received)
    assert "window" in shown and "NMSE" in shown and "(reference)" in shown


def test_command_refusals(made, tmp_path):
    pytest.importorskip("matplotlib")
    folder = made[0]
    dat = folder / "made.dat"
    for words, sentence in [
        ((dat, "--methods", "difusion"), "did you mean 'diffusion'"),
        ((dat, "--snr", "nan"), "--snr"),
        ((dat, "--seed", "-1"), "--seed"),
        ((dat, "--max-packets", "0"), "--max-packets"),
        ((dat, "--plot", "/nowhere/p.png"), "--plot"),
        ((dat, "--truth", "/nowhere.json"), "--truth"),
        ((dat, "--sample-rate", "1e6"), "20 MS/s"),
        (("/nowhere.dat",), "there is no such file"),
    ]:
        with pytest.raises(UserError, match=sentence):
            wifi_eval.run(options(*words))
    np.random.default_rng(0).integers(-99, 99, 50_000).astype(np.int16).tofile(tmp_path / "noise.dat")
    with pytest.raises(UserError, match="no legacy 802.11a/g packet.*--format"):
        wifi_eval.run(options(tmp_path / "noise.dat", "--methods", "ls"))
    for text, sentence in [
        ("{", "not JSON"),
        ("[]", "list of packets per file"),
        ('{"made.dat": [{"start": 1}]}', "lacks cfo_hz, psdu, rate"),
        ('{"other.dat": []}', "does not know 'made.dat'"),
    ]:
        (tmp_path / "t.json").write_text(text)
        with pytest.raises(UserError, match=sentence):
            wifi_eval.run(options(dat, "--truth", tmp_path / "t.json", "--methods", "ls"))


def test_truth_outside_the_recording_is_left_out(made, capsys, monkeypatch, tmp_path):
    folder = made[0]
    entries = json.loads((folder / "truth.json").read_text())["made.dat"][:3]
    entries[0]["start"] = 10**9
    entries[1]["start"] += 3000
    (tmp_path / "t.json").write_text(json.dumps({"made.dat": entries}))
    monkeypatch.setattr(wifi_eval, "make_estimators", lambda names: {"ls": wifi_scores.least_squares})
    args = options(folder / "made.dat", "--truth", tmp_path / "t.json", "--methods", "ls", "--snr", 10)
    assert wifi_eval.run(args)["packets"] == 1
    assert capsys.readouterr().err.count("packet left out") == 2


def test_sync_is_plain_data():
    s = wifi_sync.Sync(500, 1e3)
    assert s.first == 500 + 3 - 192

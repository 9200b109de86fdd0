# SPDX-License-Identifier: GPL-3.0-or-later
"""The LTE receiver: its sequences and code against the standard, and cells of our own simulator, found and read."""

from dataclasses import replace

import numpy as np
import pytest
from gr_diffsem.air import impairments
from gr_diffsem.base.errors import Failed
from gr_diffsem.base.pilot_patterns import pilots
from gr_diffsem.eval import lte_scores
from gr_diffsem.phy import tail_biting
from gr_diffsem.receivers.lte import lte_frontend, lte_pbch, lte_receiver, lte_search, lte_simulate, lte_tables
from gr_diffsem.receivers.lte.lte_capture import Capture
from gr_diffsem.receivers.lte.lte_pbch import Mib
from gr_diffsem.receivers.lte.lte_simulate import Conditions, Station
from gr_diffsem.receivers.lte.lte_tables import EXTENDED, NORMAL
from gr_diffsem.receivers.wifi import wifi_simulate

ONE = Station()


def written(folder, x, form="cf32"):
    path = folder / f"x.{form}"
    wifi_simulate.write(path, x, form)
    return path


# --- the standard ---------------------------------------------------------------------------------------------


def test_synchronisation_sequences_are_told_apart():
    primary = np.stack([lte_tables.primary(n) for n in range(3)])
    assert np.allclose(np.abs(primary), 1)
    assert primary[0, 0] == 1 and np.isclose(primary[1, 1], np.exp(-2j * np.pi * 29 / 63))
    assert np.abs(primary @ primary.conj().T - 62 * np.eye(3)).max() < 25
    every = lte_tables.secondary().transpose(1, 0, 2, 3).reshape(3, -1, 62)
    for of_one in every:  # 168 identities in two subframes
        likeness = of_one @ of_one.T - 62 * np.eye(len(of_one))
        assert np.abs(likeness).max() <= 30


def test_secondary_signal_by_the_standards_own_words():
    """Cell 301: 100 and 1, of which 36.211 table 6.11.2.1-1 has m0 = 13, m1 = 17."""
    s, c, z = ([0, 0, 0, 0, 1] for _ in range(3))
    for i in range(26):
        s.append((s[i + 2] + s[i]) % 2)
        c.append((c[i + 3] + c[i]) % 2)
        z.append((z[i + 4] + z[i + 2] + z[i + 1] + z[i]) % 2)
    s, c, z = (1 - 2 * np.array(v) for v in (s, c, z))
    want = np.empty(62)
    for n in range(31):
        want[2 * n] = s[(n + 13) % 31] * c[(n + 1) % 31]
        want[2 * n + 1] = s[(n + 17) % 31] * c[(n + 1 + 3) % 31] * z[(n + 13 % 8) % 31]
    assert np.array_equal(lte_tables.secondary()[100, 1, 0], want)


def test_extended_reference_signals():
    """Six symbols a slot, another start of the sequence; the middle of a wide cell is a narrow one."""
    wide = pilots("lte_crs", resource_blocks=25, cell_id=7, extended=True)
    assert len(wide) == 120 and [s for s in range(12) if wide[s][0]] == [0, 3, 6, 9]
    assert wide[0] != pilots("lte_crs", resource_blocks=25, cell_id=7)[0]
    narrow = pilots("lte_crs", resource_blocks=6, cell_id=7, extended=True)
    values = dict(zip(*wide[3], strict=True))
    assert all(values[k] == v for k, v in zip(*narrow[3], strict=True))


def test_tail_biting_code():
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2, (50, 40), dtype=np.uint8)
    coded = tail_biting.encode(bits)
    one = np.zeros(40, np.uint8)
    one[10] = 1  # the answer to one bit is the generators: 133, 171, 165
    assert ["".join(map(str, tail_biting.encode(one)[10:17, i])) for i in range(3)] == ["1011011", "1111001", "1110101"]
    assert np.array_equal(tail_biting.encode(np.roll(bits, 7, -1)), np.roll(coded, 7, -2))
    soft = 1.0 - 2 * coded + 0.7 * rng.standard_normal(coded.shape)
    assert (tail_biting.decode(soft) != bits).any(1).sum() <= 1
    assert ((soft < 0) != coded).mean() > 0.05


def test_parity():
    octets = np.unpackbits(np.frombuffer(b"123456789", np.uint8))
    assert int("".join(map(str, lte_pbch.crc16(octets))), 2) == 0x31C3


@pytest.mark.parametrize("ports", lte_pbch.PORTS)
@pytest.mark.parametrize("prefix", lte_tables.PREFIXES)
def test_broadcast_channel_there_and_back(ports, prefix):
    rng = np.random.default_rng(ports)
    mib = Mib(50, "extended", "2", 1022)
    assert Mib.of(mib.bits(), 2) == mib
    symbols = lte_pbch.encode(mib.bits(), ports, 5, prefix)
    assert symbols.shape == (4, 216 if prefix.extended else 240)
    h = rng.standard_normal((ports, 1, 2)) @ [1, 1j] * np.ones(symbols.shape[1])
    y = (h * lte_pbch.to_ports(symbols, ports)).sum(1)
    y = y + 0.2 * rng.standard_normal((*y.shape, 2)) @ [1, 1j]
    matched, power = lte_pbch.from_ports(y, h)
    assert np.mean(np.abs(matched / power - symbols) ** 2) < 0.5
    soft = lte_pbch.soft_bits(matched, 5, prefix, range(4))
    for q in range(4):
        bits, good = lte_pbch.decode(soft[q : q + 1], ports)
        assert good[0] and np.array_equal(bits[0], mib.bits())
    assert not lte_pbch.decode(soft, 5 - ports if ports in (1, 4) else 1)[1].any()
    shifted = lte_pbch.soft_bits(matched, 5, prefix, [1, 2, 3, 0])
    assert not lte_pbch.decode(shifted, ports)[1].any()


# --- cells ----------------------------------------------------------------------------------------------------

CASES = {
    "plain": (ONE, Conditions(), None, "cf32"),
    "one port, sc16, DC": (replace(ONE, identity=0, ports=1), Conditions(5, -52e3, dc=1, spread=5e-7), None, "sc16"),
    "four ports, moving": (replace(ONE, identity=503, ports=4), Conditions(12, 9e3, 8, 5e-7, 100), None, "cf32"),
    "extended, from the middle": (
        replace(ONE, identity=77, prefix=EXTENDED),
        Conditions(offset_hz=-34e3, clock_ppm=15, start=3.3e-3),
        None,
        "sc8",
    ),
    "5 MHz at 8 MS/s": (replace(ONE, mib=Mib(25, "extended", "1/6", 1022)), Conditions(8, spread=3e-7), 8e6, "cu8"),
    "10 MHz through 2.4 MHz": (
        replace(ONE, mib=Mib(50, "normal", "2", 17), multicast=(1, 2, 3)),
        Conditions(20, 97e3, -20),
        2.4e6,
        "cf32",
    ),
    "-4 dB": (ONE, Conditions(-4), None, "cf32"),
}


@pytest.mark.parametrize("name", CASES)
def test_cells_are_found_and_read(tmp_path, name):
    station, air, rate, form = CASES[name]
    rate = rate or 1.92e6
    x = lte_simulate.recording(station, 3, air, rate, 5)
    capture = Capture(written(tmp_path, x, form), None, rate)
    got = lte_receiver.receive(capture, lte_scores.linear)
    first = 1 if air.start or air.clock_ppm > 0 else 0  # frames of which the recording has no beginning
    mib = replace(station.mib, frame=(station.mib.frame + first) % 1024)
    assert (got.cell.identity, got.cell.prefix, got.ports) == (station.identity, station.prefix, station.ports)
    assert got.mib == mib or got.mib == station.mib
    assert abs(got.cell.offset - air.offset_hz) < 60 and abs(1e6 * got.cell.clock - air.clock_ppm) < 40
    assert got.blocks == (12 if rate == 2.4e6 else station.mib.resource_blocks)
    tones = lte_frontend.tones(got.grid, got.cell, got.blocks, 0)
    unit = air.gain**2 * got.size / lte_tables.USUAL_FFT[station.mib.resource_blocks]
    noise = lte_frontend.own_noise(tones, got.cell)[tones.observed].mean() / unit
    assert 0.7 * 10 ** (-air.snr_db / 10) < noise < 1.5 * 10 ** (-air.snr_db / 10) + 0.01


def test_search_says_nothing_of_noise_and_finds_two_cells():
    rng = np.random.default_rng(2)
    noise = (rng.standard_normal((40000, 2)) @ [1, 1j]).astype(np.complex64)
    assert lte_search.search(noise) == [] and lte_search.search(noise[:500]) == []
    assert lte_search.search(np.zeros(40000, np.complex64)) == []
    x = [lte_simulate.recording(replace(ONE, identity=i), 2, Conditions(20), None, i) for i in (10, 21)]
    found = [c.identity for c in lte_search.search(x[0] + 0.7 * np.roll(x[1], 4000))[:2]]
    assert found == [10, 21]


def test_every_path_of_refusal_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(lte_receiver, "PLACES", 1)
    x = lte_simulate.recording(ONE, 2, Conditions(20), None, 3)

    def said(samples):
        with pytest.raises(Failed) as caught:
            lte_receiver.receive(Capture(written(tmp_path, samples), None, 1.92e6), lte_scores.linear)
        return str(caught.value)

    assert "too short to find a cell; record 40 ms" in said(x[:9000])
    assert "no whole broadcast channel in 8" in said(x[3000:19000])
    assert "all samples are equal" in said(np.zeros(40000))
    assert "no LTE cell found at 1.92 MS/s; check --fs" in said(np.random.default_rng(1).standard_normal(40000))
    packets = wifi_simulate.packet_list(20, np.random.default_rng(1), (6,), (400,))
    wifi = wifi_simulate.recording(packets, wifi_simulate.Conditions(gain=0.2), 2)[0]
    assert "no LTE cell found" in said(wifi)
    monkeypatch.setattr(lte_simulate, "broadcast", lambda *args: None)
    dumb = lte_simulate.recording(ONE, 2, Conditions(20), None, 3)
    assert "cell 301 (normal prefix) is there, but its broadcast channel cannot be read" in said(dumb)


def test_what_is_no_cell_is_refused_before_its_broadcast_channel_is_tried(tmp_path, monkeypatch):
    """A mirrored spectrum, in which the search takes much for cells."""
    x = lte_simulate.recording(replace(ONE, identity=7), 4, Conditions(20), None, 3)
    mirrored = Capture(written(tmp_path, x), None, 1.92e6, True)
    assert len(lte_search.search(mirrored.samples(1.92e6, 0, 76800))) > 3
    tried = []
    monkeypatch.setattr(lte_receiver, "decode_frames", lambda *args: tried.append(args) or [])
    with pytest.raises(Failed, match="no LTE cell found"):
        lte_receiver.receive(mirrored, lte_scores.linear)
    assert not tried


@pytest.mark.parametrize(("uplink", "multicast"), [((), ()), ((2, 3, 7, 8), ()), ((), (1, 2, 3, 6, 7, 8))])
def test_weak_reference_signals_are_heard(tmp_path, uplink, multicast):
    """At -8 dB, and a moving channel; and what another cell sends is none."""
    station = replace(ONE, uplink=uplink, multicast=multicast)
    x = lte_simulate.recording(station, 8, Conditions(-8, spread=5e-7, doppler_hz=100), None, 1)
    capture = Capture(written(tmp_path, x), None, 1.92e6)
    for identity, there in ((301, True), (302, False)):
        cell = lte_search.Cell(identity, NORMAL, 0.0, 0.0, time_division=bool(uplink))
        grid = lte_frontend.spectra(capture, cell, 128, 6, 0, 79)
        assert lte_frontend.heard(lte_frontend.tones(grid, cell, 6, 0), cell) == there


def test_frames_that_are_observed_alike_are_estimated_together(tmp_path):
    x = lte_simulate.recording(ONE, 4, Conditions(0), None, 1)
    cell = lte_search.Cell(301, NORMAL, 0.0, 0.0)
    grid = lte_frontend.spectra(Capture(written(tmp_path, x), None, 1.92e6), cell, 128, 6, 0, 39)
    calls = []

    def estimate(y, observed, noise_var):
        calls.append(len(y))
        return lte_scores.linear(y, observed, noise_var)

    read = lte_receiver.decode_frames(grid, cell, 2, estimate)
    assert [m.frame for *_, m in read] == [400, 401, 402, 403]
    assert sum(calls) == 8 and len(calls) < 8


@pytest.mark.parametrize("prefix", lte_tables.PREFIXES)
def test_a_cell_that_alternates_with_the_uplink_is_read(tmp_path, prefix):
    """TDD, configuration 1: reference signals are taken where they are sent, and nowhere else."""
    station = replace(ONE, prefix=prefix, uplink=(2, 3, 7, 8))
    x = lte_simulate.recording(station, 4, Conditions(20, 5e3, 10, 3e-7, 10, 0.002))
    got = lte_receiver.receive(Capture(written(tmp_path, x), None, 1.92e6), lte_scores.linear)
    assert got.cell.time_division and got.cell.identity == 301 and got.mib.frame == 401
    tones = lte_frontend.tones(got.grid, got.cell, got.blocks, 0)
    subframes = set(tones.rows // (2 * prefix.symbols) % 10)
    assert subframes == {0, 1, 4, 5, 6, 9}
    assert lte_frontend.mean_noise([tones], got.cell) < 0.1 * np.mean(np.abs(tones.values[tones.observed]) ** 2)


def test_what_radios_do(tmp_path):
    """20 ppm, IQ image, DC, gain steps; samples lost, which ends what is used, and is said."""
    x = lte_simulate.recording(ONE, 4, Conditions(20, 5e3, 20, 3e-7, 10, 0.002, dc=0.3))
    worse = impairments.gain_steps(impairments.iq_image(x, 1, 5), 14000, (0, -12, 6))
    whole = Capture(written(tmp_path, worse), None, 1.92e6)
    got = lte_receiver.receive(whole, lte_scores.linear)
    assert got.mib.frame == 401 and len(got.grid) == 29 * 14 and whole.notes == []
    gap = Capture(written(tmp_path, np.delete(x, slice(60000, 60777)), "sc16"), None, 1.92e6)
    got = lte_receiver.receive(gap, lte_scores.linear)
    assert got.mib.frame == 401 and "samples are lost" in gap.notes[0]
    assert (60000 - 15360) / 1920 - 2 < len(got.grid) / 14 <= (60000 - 15360) / 1920 + 3


def test_lattice_gives_the_channel_between_its_points():
    """`Tones.at`: of paths in the prefix, to -25 dB."""
    cell = lte_search.Cell(4, NORMAL, 0.0, 0.0)
    k = np.arange(72)
    delays = lte_frontend.ADVANCE + np.array([0, 0.01, 0.03])
    h = np.ones((28, 1)) * (np.exp(-2j * np.pi * np.outer(k, delays)) @ [0.8, 0.5j, -0.3])
    grid = h * lte_tables.reference(4, 6, 0, NORMAL)[:28]
    t = lte_frontend.tones(grid, cell, 6, 0)
    assert t.values.shape == (8, 24) and list(t.rows[:3]) == [0, 4, 7]
    lattice = h[t.rows][:, t.columns] * np.exp(2j * np.pi * lte_frontend.EARLY * t.columns)
    assert np.allclose(t.values[t.observed], lattice[t.observed], atol=1e-5)
    error = t.at(lattice, np.arange(7, 11)) - h[7:11]
    inside = slice(t.columns[0], t.columns[-1] + 1)
    assert np.mean(np.abs(error[:, inside]) ** 2) < 10**-2.5 * np.mean(np.abs(h) ** 2)

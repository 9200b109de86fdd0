# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the channels of recordings, for `gr-diffsem train ofdm_grid --from`: nobody has to know the channels.

Wi-Fi: each packet with a good FCS says all that it sent, so that each of its elements is a look. LTE: the reference
signals of each port, on their own grid (a row for each symbol that has some, every third carrier), as in `eval lte`.
"""

import os
import sys

import numpy as np

from ..air import looks as looks_file
from ..air.grid_pilots import TILE
from ..air.looks import Looks
from ..base import regular_file
from ..base.errors import Failed, UserError
from ..receivers.lte import lte_capture, lte_receiver
from ..receivers.wifi import phase_tracking, wifi_frontend, wifi_truth
from ..receivers.wifi.wifi_capture import Capture
from ..receivers.wifi.wifi_tables import N_FFT, USED
from . import lte_scores

ROWS = TILE[0]  # symbols of a grid
MOST = 4000  # grids of a recording


def read(paths):
    """A list of `Looks`, one or more for each .npz or recording."""
    out = []
    for path in paths:
        found = [looks_file.read(path)] if os.fspath(path).lower().endswith(".npz") else of_recording(path)
        for looks in found:
            n, symbols, carriers = looks.y.shape
            print(f"{looks.source}: {n} grids of {symbols} x {carriers}", file=sys.stderr)
        out += found
    return out


def check(path, picture):
    """UserError where looks cannot be written there; picture: (option, value) of what would show an evaluation."""
    option = "--looks"
    if not os.path.basename(path).lower().removeprefix(".npz").endswith(".npz"):
        raise UserError(f"{option} {path}: give a name that ends in .npz")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise UserError(f"{option} {path}: {folder} is no folder; make it first, or give another place")
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"{option} {path}: {regular_file.fault(path)}; give another name")
    if picture[1] is not None:
        raise UserError(f"--looks evaluates nothing that {picture[0]} could show; leave one of them out")


def write(path, found):
    """One file of several `Looks` of one size; its report."""
    y, noise_var = (np.concatenate([getattr(x, name) for x in found]) for name in ("y", "noise_var"))
    Looks(y, noise_var, found[0].source).save(path)
    grids, symbols, carriers = y.shape
    return {"looks": str(path), "grids": grids, "symbols": symbols, "carriers": carriers}


def table(report):
    """What `write` returned, for people."""
    size = f"{report['grids']} grids of {report['symbols']} x {report['carriers']}"
    return f"{report['looks']}: {size}\nnext: gr-diffsem train ofdm_grid --from {report['looks']}"


def of_recording(path):
    """The `Looks` of a recording of Wi-Fi, or else of LTE, by its extension; UserError where it is neither."""
    if fault := regular_file.fault(path):
        raise UserError(f"--from {path}: {fault}; give a recording, or an .npz of looks")
    try:
        capture = Capture(path)
        packets = wifi_truth.from_receiver(capture, [])[0]
        said = "none has a good FCS"
    except UserError as error:
        packets, said = [], str(error)
    if packets:
        return [of_packets(packets, os.path.basename(path))]
    try:
        return of_reception(lte_receiver.receive(lte_capture.Capture(path), lte_scores.linear), os.path.basename(path))
    except UserError as error:
        raise Failed(
            f"--from {path}: no 802.11 packet ({said}), and no LTE cell ({error}); `gr-diffsem eval wifi` or "
            "`eval lte` take its format and rate, and write looks with --looks"
        ) from None


def of_packets(packets, source):
    """`Looks` of `reference_channel.Packet`s: grids of 16 symbols x 64 carriers, each symbol turned straight."""
    grids, levels = [], []
    for packet in packets:
        y, noise_var = elements(packet)
        for i in range(0, len(y), ROWS):
            rows = [(0, max(ROWS - len(y[i:]), 0)), (0, 0)]
            grids.append(np.pad(y[i : i + ROWS], rows))
            levels.append(np.pad(noise_var[i : i + ROWS], rows, constant_values=np.inf))
    grids, levels = np.array(grids[:MOST], np.complex64), np.array(levels[:MOST], np.float32)
    return looks_file.checked(grids, levels, source, source)


def elements(packet):
    """(y [symbols, 64], noise variance [symbols, 64]) of one packet: the long training field, then each symbol over
    what it sent. The noise is what is left behind the channel that all of them say."""
    ltf, symbols = wifi_frontend.demodulate(packet.samples, packet.sync, packet.n_symbols, packet.drift)
    first, guess = wifi_frontend.ltf_observation(ltf)
    known, h = packet.sent[:, USED], packet.h[USED]
    theta, drift = phase_tracking.follow(symbols, known, USED, packet.h, 2 * max(float(guess), 1e-30))
    straight = (symbols * phase_tracking.rotation(theta, drift))[:, USED]
    noise = max(np.mean(np.abs(straight - known * h) ** 2) * len(known) / max(len(known) - 1, 1), 1e-30)
    y, noise_var = np.zeros((1 + len(known), N_FFT), complex), np.full((1 + len(known), N_FFT), np.inf)
    y[0, USED], noise_var[0, USED] = first[USED], noise / 2
    power = np.abs(known) ** 2
    y[1:, USED], noise_var[1:, USED] = straight * known.conj() / power, noise / power
    return y, noise_var


def of_reception(reception, source):
    """`Looks` of each port of an `lte_receiver.Reception`: grids of 16 rows."""
    out = []
    for port in range(reception.ports):
        one = lte_scores.Port(reception, port)
        if len(one.tones.rows) < 2 or not one.noise[one.tones.observed].any():
            continue  # nobody knows how noisy its looks are
        seen = one.tones.observed
        level = np.where(seen, one.noise.sum(1, keepdims=True) / np.maximum(seen.sum(1, keepdims=True), 1), np.inf)
        whole = len(seen) // ROWS * ROWS or len(seen)
        shape = (-1, min(ROWS, whole), seen.shape[1])
        y, level = (x[:whole].reshape(shape) for x in (one.tones.values, level))
        out.append(looks_file.checked(y, level, f"{source}, port {port}", source))
    if not out:
        raise Failed(f"{source}: no port has reference signals in two slots; record 40 ms or more")
    return out

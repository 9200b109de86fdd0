# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of Wi-Fi cards as one thing: estimates over carriers, and the looks that a prior learns from.

A card's estimate is y = h + n of unknown gain and unknown delay, and few cards say how large n is. Here it is found
from the estimate itself: a channel's delays fill a part of a symbol, so that what is left behind a least-squares fit of
`WINDOW` of the delays is noise (the idea of the "denoising" window of J.-J. van de Beek et al., 1995).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...air import looks as looks_file
from ...base import regular_file
from ...base.errors import UserError
from . import feitcsi, intel5300, nexmon

MOST_OCTETS = 1 << 30
TILE = 64  #: carriers of a look's grid: wider channels are cut
WINDOW = 0.25  # share of a symbol that a channel's delays fill
LEAST_NOISE = 1e-4  # -40 dB: no card's estimate is better, whatever is left of the fit
PLACE = 0.04  # of a symbol, where the middle of a channel's power is put: a prior's delays begin a little before 0
POINTS = 256  # of the spectrum of delays
FEWEST = 12  # carriers of a grid
MORE = 3  # vectors than the window has delays: what lies at its edges


@dataclass
class CardLog:
    """Estimates of one layout. csi: [n, rx, tx, K] complex64; carriers: [K] indices, 0 the middle; used: [K] bool, what
    is a look; seconds: [n]; lost: records that were left out; what: the card and its mode, in words."""

    csi: np.ndarray
    carriers: np.ndarray
    used: np.ndarray
    seconds: np.ndarray
    lost: int
    what: str

    def __len__(self):
        return len(self.csi)


def known(path):
    """Whether a file begins as a log of one of these cards."""
    with open(path, "rb") as file:
        data = file.read(1 << 16)
    return any(reader.begins(data) for reader in (nexmon, feitcsi, intel5300))


def read(path):
    """A `CardLog` of the commonest layout in a file. UserError for a file that is none, or holds nothing."""
    if fault := regular_file.fault(path):
        raise UserError(f"{path}: {fault}; give a log of Intel 5300 (.dat), FeitCSI (.csi) or Nexmon (.pcap)")
    if Path(path).stat().st_size > MOST_OCTETS:
        raise UserError(f"{path}: is larger than 1 GiB; cut it into parts")
    data = Path(path).read_bytes()
    for reader, make in ((nexmon, _of_nexmon), (feitcsi, _of_feitcsi), (intel5300, _of_intel)):
        if reader.begins(data):
            found, lost = reader.read(data)
            if not found:
                raise UserError(
                    f"{path}: begins like a log of {_name(reader)}, but holds no whole estimate; record again"
                )
            return make(path, found, lost)
    raise UserError(
        f"{path}: is no log of Intel 5300, FeitCSI or Nexmon (its first octets are {data[:8].hex() or 'missing'}); "
        "give one of these, a recording of samples, or an .npz of looks"
    )


def _name(reader):
    return {intel5300: "the Intel 5300", feitcsi: "FeitCSI", nexmon: "Nexmon"}[reader]


def _commonest(found, key):
    """(key, the items that have it, the number of the others)."""
    keys = [key(one) for one in found]
    best = max(dict.fromkeys(keys), key=keys.count)
    same = [one for one, k in zip(found, keys, strict=True) if k == best]
    return best, same, len(found) - len(same)


def _log(same, lost, index, used, what):
    csi = np.stack([one["csi"] for one in same]).astype(np.complex64)
    return CardLog(csi, index, used, np.array([one["seconds"] for one in same]), lost, what)


def _of_intel(path, found, lost):
    (shape, wide), same, others = _commonest(found, lambda one: (one["csi"].shape, one["wide"]))
    text = f"Intel 5300, {40 if wide else 20} MHz, {shape[0]} x {shape[1]} antennas"
    return _log(same, lost + others, intel5300.carriers(wide), np.ones(30, bool), text)


def _of_feitcsi(path, found, lost):
    (shape, kind, mhz), same, others = _commonest(found, lambda one: (one["csi"].shape, one["kind"], one["mhz"]))
    layout = feitcsi.carriers(kind, mhz, shape[2])
    if layout is None:
        raise UserError(
            f"{path}: {kind.upper()} of {mhz} MHz with {shape[2]} carriers is not known; record another mode"
        )
    text = f"FeitCSI, {kind.upper()} {mhz} MHz, {shape[0]} x {shape[1]} antennas"
    return _log(same, lost + others, *layout, text)


def _of_nexmon(path, found, lost):
    size, same, others = _commonest(found, lambda one: one["size"])
    return _log(same, lost + others, *nexmon.carriers(size), f"Nexmon, {nexmon.SIZES[size]} MHz")


def starts(carriers):
    """Where grids of 64 carriers begin: about the middle, or side by side from the lowest carrier on."""
    low, high = int(carriers[0]), int(carriers[-1])
    return [-TILE // 2] if low >= -TILE // 2 and high < TILE // 2 else list(range(low, high + 1, TILE))


def aligned(y, carriers):
    """Estimates [n, K] with the middle of their power at delay zero: cards begin their symbol where they like."""
    step = int(np.gcd.reduce(np.diff(carriers)))
    cycles = np.arange(POINTS) / POINTS  # of delay, over a period of the carriers' comb
    power = np.abs(y @ np.exp(2j * np.pi * np.outer(carriers / step, cycles))) ** 2
    middle = np.angle(np.sum(power**2 * np.exp(2j * np.pi * cycles), 1)) / (2 * np.pi)
    return y * np.exp(2j * np.pi * middle[:, None] * carriers / step)


def noise_variance(y, carriers):
    """Variance of the noise of aligned estimates [n, K], one for each: what a window of delays leaves. The window's
    vectors are those that hold most of its power (prolate spheroidal sequences, Slepian 1978)."""
    span = carriers[-1] - carriers[0] + 1
    # A comb of every s-th carrier tells delays apart within 1/s of a symbol: half of that may be the channel's.
    window = min(WINDOW, 0.5 / int(np.gcd.reduce(np.diff(carriers))))
    count = min(int(window * span) + MORE, int(0.7 * len(carriers)))
    _, vectors = np.linalg.eigh(np.sinc(window * np.subtract.outer(carriers, carriers)))
    basis = vectors[:, len(carriers) - count :]
    rest = y - (y @ basis) @ basis.T
    power = np.mean(np.abs(y) ** 2, 1)
    return np.maximum(np.sum(np.abs(rest) ** 2, 1) / (len(carriers) - count), LEAST_NOISE * power)


def looks(log, source, snr_db=None):
    """`Looks` of a `CardLog`: each estimate of each pair of antennas a grid of one symbol and 64 carriers, of unit
    power; of wider channels each part of 64. snr_db: of the estimates, where it is known; None: measured.
    UserError where a file has too few carriers."""
    y = log.csi.reshape(-1, log.csi.shape[-1])
    live = log.used & (np.mean(np.abs(y) ** 2, 0) > 0)
    y = y[np.isfinite(y).all(1) & (np.mean(y[:, live] == 0, 1) < 0.5)]
    grids, levels = [], []
    for start in starts(log.carriers):
        part = np.flatnonzero(live & (log.carriers >= start) & (log.carriers < start + TILE))
        if len(part) < FEWEST or not len(y):
            continue
        straight = aligned(y[:, part], log.carriers[part])
        straight = straight / np.sqrt(np.mean(np.abs(straight) ** 2, 1, keepdims=True))
        given = None if snr_db is None else np.full(len(y), 10 ** (-snr_db / 10))
        noise = noise_variance(straight, log.carriers[part]) if given is None else given
        grid = np.zeros((len(y), 1, TILE), np.complex64)
        level = np.full((len(y), 1, TILE), np.inf, np.float32)
        grid[:, 0, log.carriers[part] - start] = straight * np.exp(-2j * np.pi * PLACE * log.carriers[part])
        level[:, 0, log.carriers[part] - start] = noise[:, None]
        grids.append(grid)
        levels.append(level)
    if not grids:
        raise UserError(f"{source}: has no 12 carriers of an estimate side by side; give a file of another mode")
    return looks_file.checked(np.concatenate(grids), np.concatenate(levels), f"{source} ({log.what})", source)

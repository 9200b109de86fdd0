# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel estimators on the reference signals of an LTE recording: tones held out, and the broadcast channel decoded.

The grid is that of the reference signals themselves (`lte_frontend.Tones`): a row for each symbol that has some, a
column for every third carrier. So a tile of 16 rows x 48 columns is 4 ms x 2.2 MHz, and every method is given the same.
Estimators are called with (y complex [n, R, C], observed bool [R, C], noise variance) and give [n, R, C].
"""

from collections import defaultdict
from dataclasses import replace
from functools import cache, partial

import numpy as np

from ..base.errors import UserError
from ..base.signal import complex_noise, db_to_linear, linear_to_db
from ..models import grid_bank
from ..receivers.lte import lte_frontend, lte_pbch, lte_receiver
from ..receivers.lte.lte_tables import MIDDLE
from . import scores
from .tiled_grid import TiledGrid

SNR_DB = (-12.0, -9.0, -6.0, -3.0, 0.0, 5.0, 10.0)
TILE = (16, 48)  # rows, columns
BURST = 3.0  # of the usual noise of a tile
OURS = "ofdm_grid/full"
_CLASSICAL = {"wiener": grid_bank.adaptive, "bank": grid_bank.bank_of_180, "robust": grid_bank.robust}
METHODS = ("linear", *_CLASSICAL, OURS)


# --- methods --------------------------------------------------------------------------------------------------


@cache
def _made(name, rows, columns):
    return _CLASSICAL[name](rows, columns)


def _classical(name, y, observed, noise_var):
    return _made(name, *observed.shape)(y, observed, noise_var)


def linear(y, observed, noise_var=None):
    """Linear interpolation between the tones of each row, and of the rows."""
    return grid_bank.interpolate(y, observed)


def make_methods(names):
    """{name: estimator}; UserError for what cannot be loaded."""
    out = {}
    for name in names:
        if name == "linear":
            out[name] = linear
        elif name in _CLASSICAL:
            out[name] = partial(_classical, name)
        else:
            try:
                out[name] = TiledGrid(name, TILE)
            except ValueError as error:
                raise UserError(f"--methods {name}: {error}") from None
            except ImportError as error:
                raise UserError(
                    f"--methods {name}: runs in the core, which cannot be imported ({error}); run `make`, or give "
                    "--methods linear wiener"
                ) from None
    return out


# --- held-out tones -------------------------------------------------------------------------------------------


class Port:
    """Reference tones of one port of a `Reception`. tones: all of them; noise: the recording's own at each [R, C];
    power: of a tone without it; kept: bool [R, C], the half that estimators see: every second one of a row, the others
    in the next rows but one."""

    def __init__(self, reception, port):
        cell = reception.cell
        self.tones = lte_frontend.tones(reception.grid, cell, reception.blocks, port)
        self.noise = lte_frontend.own_noise(self.tones, cell)
        observed = self.tones.observed
        within = np.cumsum(observed, 1) - 1
        turn = np.arange(len(observed))[:, None] // (2 if port < 2 else 1)
        self.kept = observed & ((within + turn) % 2 == 0)
        without = np.abs(self.tones.values[observed]) ** 2 - self.noise[observed]
        self.power = float(without.mean()) if observed.any() else 0.0

    def tiles(self):
        """Slices (rows, columns) of whole tiles; a smaller grid is one tile. Tiles that the recording has a burst of
        noise in are left out: what is compared with them says little."""
        size = [min(n, m) for n, m in zip(self.tones.values.shape, TILE, strict=True)]
        if min(size) < 2:
            return []
        firsts = [range(0, n - m + 1, m) for n, m in zip(self.tones.values.shape, size, strict=True)]
        every = [(slice(r, r + size[0]), slice(c, c + size[1])) for r in firsts[0] for c in firsts[1]]
        own = np.array([self.own(tile) for tile in every])
        return [tile for tile, noise in zip(every, own, strict=True) if noise <= BURST * np.median(own)]

    def own(self, tile):
        """Noise of the recording itself in a tile, mean over its tones."""
        return float(self.noise[tile][self.tones.observed[tile]].mean()) if self.tones.observed[tile].any() else 0.0


def held_out(ports, methods, snr_db, power, rng, tick):
    """Errors of each method over the tiles of all ports: ({name: [T]}, power [T]), less the recording's own noise."""
    added = power / db_to_linear(snr_db)
    jobs = defaultdict(list)
    for port in ports:
        values = port.tones.values
        noisy = values + complex_noise(rng, values.shape, added)
        for tile in port.tiles():
            kept = port.kept[tile]
            own = port.own(tile)
            out = port.tones.observed[tile] & ~kept
            floor = float(out.sum() * own)
            jobs[kept.tobytes(), kept.shape, _rounded(added + own)].append(
                (noisy[tile] * kept, values[tile], out, floor)
            )
    errors, energies = {name: [] for name in methods}, []
    for (pattern, shape, noise_var), items in jobs.items():
        kept = np.frombuffer(pattern, bool).reshape(shape)
        y, clean, out, floor = (np.array(column) for column in zip(*items, strict=True))
        energies.append((np.abs(clean) ** 2 * out).sum((1, 2)) - floor)
        for name, method in methods.items():
            h = method(y.astype(np.complex64), kept, noise_var)
            errors[name].append((np.abs(h - clean) ** 2 * out).sum((1, 2)) - floor)
            tick(1)
    joined = {name: np.concatenate(e) if e else np.zeros(0) for name, e in errors.items()}
    return joined, np.concatenate(energies) if energies else np.zeros(0)


def _rounded(noise_var):
    """To a whole dB: tiles of one pattern and noise are estimated together."""
    return float(db_to_linear(np.round(linear_to_db(max(noise_var, 1e-12)))))


# --- broadcast channel ----------------------------------------------------------------------------------------


class Broadcasts:
    """The broadcast channel of every frame of a `Reception`, decoded under added noise."""

    def __init__(self, reception):
        self.cell, self.ports = reception.cell, reception.ports
        grid = lte_receiver.middle(reception.grid)
        seen = [lte_frontend.tones(grid, self.cell, MIDDLE, port) for port in range(self.ports)]
        self.noise = lte_frontend.mean_noise(seen, self.cell)
        self.mib, self.frames = reception.mib, []
        frame = 0
        while part := lte_receiver.Broadcast.of(grid, seen, self.cell, frame):
            if all(len(t.rows) > 1 for t in part.tones):
                self.frames.append((frame, part))
            frame += 1

    def under_noise(self, added, draws, rng):
        """The frames' symbols under added noise, [draws, 4, 72] each, and jobs for `estimates`."""
        jobs, noisy = defaultdict(list), []
        for i, (_, part) in enumerate(self.frames):
            noisy.append(part.symbols + complex_noise(rng, (draws, *part.symbols.shape), added))
            for port, t in enumerate(part.tones):
                y = (t.values + complex_noise(rng, (draws, *t.values.shape), added)) * t.observed
                jobs[t.observed.tobytes(), t.observed.shape].append((i, port, y.astype(np.complex64)))
        return noisy, jobs

    def matched(self, method, noisy, jobs, noise_var):
        """What was sent in each frame times the channel's power, and that power: [draws, n] each."""
        h = [[None] * self.ports for _ in self.frames]
        for (pattern, shape), items in jobs.items():
            observed = np.frombuffer(pattern, bool).reshape(shape)
            answer = method(np.concatenate([y for *_, y in items]), observed, noise_var)
            for (i, port, _), one in zip(items, np.split(answer, len(items)), strict=True):
                h[i][port] = one
        parts = (
            (lte_receiver.Broadcast(rows, part.tones, part.first), estimates)
            for rows, estimates, (_, part) in zip(noisy, h, self.frames, strict=True)
        )
        return [part.matched(estimates, self.cell) for part, estimates in parts]

    def decoded(self, methods, added, draws, rng):
        """{name: whether each frame of each draw was decoded rightly, bool [draws * frames]}, each frame by itself."""
        if not self.frames:
            return {name: np.zeros(0, bool) for name in methods}
        noisy, jobs = self.under_noise(added, draws, rng)
        noise_var = _rounded(added + self.noise)
        return {name: self._right(self.matched(method, noisy, jobs, noise_var)) for name, method in methods.items()}

    def equalised(self, method, added, rng):
        """The broadcast channel's symbols of all frames under one draw of noise, through the channel's inverse: complex
        [m]."""
        noisy, jobs = self.under_noise(added, 1, rng)
        frames = self.matched(method, noisy, jobs, _rounded(added + self.noise))
        return np.concatenate([(symbols / power).ravel() for symbols, power in frames])

    def _right(self, matched):
        soft, want = [], []
        for (symbols, _), (frame, _) in zip(matched, self.frames, strict=True):
            mib = replace(self.mib, frame=(self.mib.frame + frame) % 1024)
            symbols = symbols / np.sqrt(np.mean(np.abs(symbols) ** 2))
            quarters = [mib.frame % 4] * len(symbols)
            soft.append(lte_pbch.soft_bits(symbols, self.cell.identity, self.cell.prefix, quarters))
            want.append(np.repeat(mib.bits()[None], len(symbols), 0))
        bits, good = lte_pbch.decode(np.concatenate(soft), self.ports)
        return good & (bits[:, :14] == np.concatenate(want)[:, :14]).all(1)  # ten more are spare, or of later releases


# --- all of it ------------------------------------------------------------------------------------------------


def evaluate(reception, methods, snr_db=SNR_DB, draws=10, seed=0, progress=None):
    """Every method over the same noise.

    reception: `lte_receiver.Reception`; snr_db: power of a reference tone, mean of all ports and without the
    recording's own noise, over that of the noise added to each carrier. draws: of noise on each broadcast channel.
    Returns {"methods": {name: {"snr_db", "heldout_nmse_db", "mib_ok"}}, "mib_of", "tones", "own_noise_db",
    "against": {other: {"snr_db", "nmse_db", "interval", "mib_db", "mib_interval"}}}: the last is OURS less the other
    method, where both are there (negative NMSE: ours is better; positive mib_db: decoded so many dB earlier).
    """
    tick = progress or (lambda n: None)
    ports = [Port(reception, p) for p in range(reception.ports)]
    power = float(np.mean([p.power for p in ports]))
    if not power > 0:
        raise UserError("the reference signals of this recording are weaker than its noise; record with more gain")
    broadcasts = Broadcasts(reception)
    out = {name: {"snr_db": [], "heldout_nmse_db": [], "mib_ok": []} for name in methods}
    errors, energies, good = [], [], []
    for i, snr in enumerate(snr_db):
        rng = np.random.default_rng([seed, i])
        error, energy = held_out(ports, methods, snr, power, rng, tick)
        right = broadcasts.decoded(methods, power / db_to_linear(snr), draws, rng)
        tick(len(methods))
        for name, m in out.items():
            m["snr_db"].append(float(snr))
            m["heldout_nmse_db"].append(_nmse_db(error[name], energy))
            m["mib_ok"].append(int(right[name].sum()))
        errors.append(error)
        energies.append(energy)
        good.append(right)
    own = lte_frontend.mean_noise([p.tones for p in ports], reception.cell)
    return {
        "methods": out,
        "mib_of": draws * len(broadcasts.frames),
        "tones": int(sum((p.tones.observed & ~p.kept)[tile].sum() for p in ports for tile in p.tiles())),
        "own_noise_db": float(linear_to_db(max(own, 1e-12) / power)),
        "against": {
            name: against(name, list(map(float, snr_db)), errors, good) for name in out if OURS in out and name != OURS
        },
    }


def _nmse_db(error, energy):
    """Infinite (None in JSON) where nothing is left above the recording's own noise."""
    if not error.size:
        return float("nan")
    return float(linear_to_db(max(error.sum(), 0) / energy.sum()))


def against(name, snr_db, errors, good):
    """How OURS compares with one method, with intervals of 95 %, paired over tiles and frames."""
    differences, intervals = [], []
    for e in errors:
        pair = e[OURS], e[name]
        usable = e[OURS].size and min(p.sum() for p in pair) > 0
        differences.append(scores.difference_db(*pair) if usable else float("nan"))
        intervals.append(scores.bootstrap(_ratio_db, pair, 300) if usable else [float("nan")] * 2)
    ours, theirs = (np.array([g[n] for g in good], float).T for n in (OURS, name))
    size = len(ours)
    interval = [float("nan")] * 2
    gain = _half(snr_db, theirs) - _half(snr_db, ours)
    if size:
        rng = np.random.default_rng(0)
        drawn = (rng.integers(size, size=size) for _ in range(300))
        gains = [_half(snr_db, theirs[at]) - _half(snr_db, ours[at]) for at in drawn]
        if np.isfinite(gains).all():
            interval = [float(v) for v in np.percentile(gains, [2.5, 97.5])]
    return {"snr_db": snr_db, "nmse_db": differences, "interval": intervals, "mib_db": gain, "mib_interval": interval}


def _ratio_db(ours, theirs):
    return float(linear_to_db(max(np.sum(ours), 1e-30) / max(np.sum(theirs), 1e-30)))


def _half(snr_db, good):
    """SNR at which half of the frames are decoded: good [frames, SNR]; nan where the SNRs do not say."""
    if not len(good):
        return float("nan")
    share = np.maximum.accumulate(good.mean(0))
    if share[0] >= 0.5 or share[-1] < 0.5:
        return float("nan")
    i = int(np.argmax(share >= 0.5))
    step = (0.5 - share[i - 1]) / (share[i] - share[i - 1])
    return float(snr_db[i - 1] + step * (snr_db[i] - snr_db[i - 1]))

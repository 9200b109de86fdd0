# SPDX-License-Identifier: GPL-3.0-or-later
"""The `linear` encoder of photographs, and its linear MMSE decoder. The encoder has no twin in C++; what the decoder
computes is, in the core, the scheme `linear` (core/picture/picture_receiver.h) over the operator `transform`.

A photograph's cosine transform, in which each coefficient x_k has a variance lambda_k that the spectrum
(zones.py) tells, is sent as it is: y = g x + n. Which coefficients and with which power is the closed form of
least squared error under a power budget (Lee and Petersen 1976; as in SoftCast, Jakubczak and Katabi 2011),

    p = max(0, c sqrt(lambda) - s^2),   s^2 = noise of the SNR that the design assumes,

over the coefficients of largest variance. No slot (half a symbol) is stronger than PEAK times the mean: what has
more power is sent several times, at a share of it. In AWGN that costs the faintest coefficients, a tenth of a dB at
15 dB; under fading it gains 1.5 to 2.5 dB, because copies do not fade together and what a receiver does not know of
its channel scales with a symbol's power. The lowest coefficients go digitally for the same reason.

The digital bytes say all that a receiver needs: size, spectrum, lowest coefficients, scheme.

Order on the air: slots m and N + m, a stronger and a fainter one, make symbol m of N, and symbol m goes where the
multiples of the golden ratio put it, by m * 2654435769 mod 2^32. So whichever run or comb of symbols becomes a frame
or an OFDM symbol holds the same share of every importance, every frame has the mean power 1, and copies lie apart.
(A Hadamard mix of the coefficients would do that too, but then a lost frame is noise on every coefficient, and the
receiver's operator is no longer diagonal.)
"""

from dataclasses import dataclass, replace

import numpy as np

from ..base import picture_transform
from ..base.picture_bands import SCALE
from . import digital_part, frames
from .picture_plan import MAX_PIXELS, MAX_SIDE, MAX_SYMBOLS, STEPS, ContentError, Plan, allocate, code_low
from .range_coder import Encoder
from .zones import BLOCKS, LEVELS, PARAMETRIC, RATIOS, fit_power_law, plane_rows, power_law
from .zones import zones as make_zones

__all__ = ["ContentError", "Encoded", "Plan", "TooFewUses", "encode", "linear", "measurement"]

#: Headers and digital part together take at most this share of the channel uses.
OVERHEAD = 0.3
#: What the next larger digital block is worth under fading, in dB of the mean squared error.
BLOCK_WORTH = 0.1
#: The error is judged at these SNRs, by the mean of its logarithm.
JUDGED_SNR_DB = (0, 5, 10, 15)


@dataclass(frozen=True)
class Encoded:
    """plan, digital part, and analogue symbols complex64 [N] of mean power 1."""

    plan: Plan
    digital: bytes
    symbols: np.ndarray


def encode(
    image,
    uses,
    design_snr_db=5.0,
    scheme_hash=0,
    carriers=frames.CARRIERS,
    frame_symbols=frames.FRAME_SYMBOLS,
    before=b"",
    sent=None,
):
    """A photograph for `uses` channel uses, headers and digital part included.

    image: uint8 [H, W, 3], sides 1 to 4096. design_snr_db: whole dB, -10 .. 21, at which the powers are
    best. scheme_hash: any integer, 16 bits of it are sent (8 with the smallest digital part). carriers,
    frame_symbols: as frames.cut will be told. before: octets in front of the plan's, of content.call_sign. sent: what
    is sent in the picture's place, float [H, W, 3] about 0..1 (learned_code.py). ContentError if image or uses cannot
    be served; it names the smallest number of uses that can.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ContentError(f"image: {image.dtype} {list(image.shape)}, must be uint8 [H, W, 3]: convert it to RGB")
    h, w, _ = image.shape
    if h * w < 2:
        raise ContentError("image: one pixel: there is nothing to send beside its colour; send a picture")
    if max(h, w) > MAX_SIDE or h * w > MAX_PIXELS:
        raise ContentError(f"image: {h} x {w} pixels, a side may have {MAX_SIDE}, all {MAX_PIXELS}: send it smaller")
    design = int(round(design_snr_db))
    if not -10 <= design <= 21:
        raise ContentError(f"design_snr_db: {design_snr_db}, must lie in -10 .. 21")
    spectrum = picture_transform.forward((image / 255.0 if sent is None else np.asarray(sent, float)) - 0.5)
    return encode_spectrum(spectrum, uses, design, scheme_hash, carriers, frame_symbols, before)


def encode_spectrum(spectrum, uses, design, scheme_hash, carriers, frame_symbols, before, clip=None, models=None):
    """As `encode`, of coefficients [P, H, W]: a picture's, or with `clip` those of its frames (video_codec.py). models:
    spectrum models and blocks that are tried, [(model, index of BLOCKS)]; None: all."""
    spent = {"carriers": carriers, "frame_symbols": frame_symbols, "before": len(before)}
    budget = _Budget(int(uses), **spent)
    source = _Source(spectrum, design, int(scheme_hash), clip, models)
    plan = _best(source, budget)
    if plan is not None:
        return _send(spectrum, plan, before)
    h, w = spectrum.shape[1:]
    least = budget.smallest()
    for needed in range(least, 2 * least, 48):
        if _best(source, _Budget(needed, **spent)) is not None:
            break
    else:
        raise ContentError(f"image: {h} x {w} pixels leave nothing to send beside what goes digitally: enlarge it")
    cbr = needed / spectrum.size
    raise TooFewUses(
        f"uses: {uses} are too few for a {'group' if clip else 'picture'} of {h} x {w}: headers and side information "
        f"may take {OVERHEAD:.0%}, "
        f"so it needs {needed} (CBR {f'1/{1 / cbr:.3g}' if cbr < 1 else f'{cbr:.3g}'}); spend more, or send it larger",
        needed,
    )


class TooFewUses(ContentError):
    """A picture that needs more channel uses: `needed` are enough."""

    def __init__(self, text, needed):
        super().__init__(text)
        self.needed = needed


class _Source:
    """What is sent: spectrum [P, H, W], and squares [R, H, W], its squares summed over the planes of each row of
    levels."""

    def __init__(self, spectrum, design, scheme_hash, clip, models):
        self.spectrum, self.design, self.scheme_hash, self.clip, self.models = (
            spectrum,
            design,
            scheme_hash,
            clip,
            models,
        )
        self.rows = plane_rows(clip.frames if clip else 1)
        self.shape = spectrum.shape[1:]
        self.squares = np.array([np.sum(spectrum[self.rows == row] ** 2, 0) for row in range(self.rows[-1] + 1)])


def promised_db(spectrum, uses, clip=None, models=((3, 2), (0, 1)), design=5):
    """The squared error that the linear receiver will leave of coefficients [P, H, W] under the best of few plans, dB,
    mean over JUDGED_SNR_DB; infinite where none fits. Cheaper than `encode_spectrum`, and for comparisons."""
    source = _Source(spectrum, design, 0, clip, models)
    return min(
        (d[0] for d in _drafts(source, _Budget(int(uses), frames.CARRIERS, frames.FRAME_SYMBOLS, 0))), default=np.inf
    )


def _best(source, budget):
    """The plan of least error that the channel uses have room for, or None."""
    for _, draft in sorted(_drafts(source, budget), key=lambda d: d[0]):
        plan = _settle(draft, source, budget)
        if plan is not None:
            return plan
    return None


class _Budget:
    """What the channel uses allow: analogue symbols beside a digital part of n octets, 0 if that is too much."""

    def __init__(self, uses, carriers, frame_symbols, before):
        self.uses, self.carriers, self.frame_symbols, self.before = uses, carriers, frame_symbols, before
        self.frames = -(-uses // (carriers * frame_symbols + frames.HEADER_USES))

    def symbols(self, n_bytes):
        if self.before + n_bytes > digital_part.SIZES[-1]:
            return 0
        block = digital_part.uses(self.before + n_bytes)
        side = frames.digital_symbols(block, self.frames, self.carriers, self.frame_symbols)
        if frames.HEADER_USES * self.frames + side > OVERHEAD * self.uses:
            return 0
        left = frames.analogue_symbols(self.uses, self.before + n_bytes, self.carriers, self.frame_symbols)
        return min(left, MAX_SYMBOLS)

    def smallest(self):
        """Uses that have room for the smallest digital parts, about."""
        uses = max(self.uses, 1)
        while not _Budget(uses, self.carriers, self.frame_symbols, self.before).symbols(16):
            uses += 48
        return uses


@dataclass(frozen=True)
class _Spectrum:
    """Levels of one model: full int [R, zones], before a floor is chosen; number and energy [R, zones] of the
    coefficients."""

    model: int
    block: tuple
    number: np.ndarray
    energy: np.ndarray
    full: np.ndarray
    law: tuple


def _measure(source, model, block):
    """_Spectrum of a _Source, or None where nothing is left beside the digital block."""
    grid = make_zones(*source.shape, model)
    number = grid.numbers(block, source.rows)
    energy = np.array([grid.sums(s, block if row < 3 else (0, 0)) for row, s in enumerate(source.squares)])
    if not number.any():
        return None
    if model == PARAMETRIC:
        law = tuple(fit_power_law(grid.octave, n, e) for n, e in zip(number, energy, strict=True))
        full = np.array([power_law(grid.octave, *row) for row in law])
        return _Spectrum(model, block, number, energy, full, law)
    mean = np.maximum(energy / np.maximum(number, 1), 2.0 ** LEVELS[0])
    full = np.clip(np.round(np.log2(mean)), *LEVELS).astype(np.int64)
    full[number == 0] = LEVELS[0]
    return _Spectrum(model, block, number, energy, full, ())


def _classes(s, n_symbols, design):
    """(level of each class, its coefficients that are sent, power of one) as a receiver will find them."""
    top, bottom = int(s.full.max()), int(s.full.min())
    levels = np.arange(top, bottom - 1, -1)
    counts = np.bincount((top - s.full).ravel(), s.number.ravel(), levels.size).astype(np.int64)
    counts = np.diff(np.minimum(np.cumsum(counts), 2 * n_symbols), prepend=0)
    sent, power, _ = allocate(levels, counts, n_symbols, design)
    return levels, sent, power


def _error_db(s, step, n_symbols, design):
    """Squared error that `linear` will leave, dB, mean over JUDGED_SNR_DB."""
    levels, counts, power = _classes(s, n_symbols, design)
    place = (levels[0] - s.full).ravel()
    energy = np.bincount(place, s.energy.ravel(), levels.size)
    number = np.bincount(place, s.number.ravel(), levels.size)
    sent = np.where((power > 0) & (number > 0), counts / np.maximum(number, 1), 0.0)
    spent = np.sum(sent * energy * power / 2.0**levels)
    at_air = power * (2 * n_symbols / max(spent, 1e-300))
    digital = 3 * s.block[0] * s.block[1] * STEPS[step] ** 2 / 12
    total = 0.0
    for snr in JUDGED_SNR_DB:
        noise = 10 ** (-snr / 10)
        weight = at_air / (at_air + noise)
        analogue = sent * ((1 - weight) ** 2 * energy + weight * (1 - weight) * number * 2.0**levels)
        total += 10 * np.log10(np.sum(analogue + (1 - sent) * energy) + digital)
    return total / len(JUDGED_SNR_DB)


def _plan(s, source, step, low, n_symbols):
    """The plan for this many symbols; its power is not yet known."""
    shape, design, scheme_hash = source.shape, source.design, source.scheme_hash
    floor, levels, tail = LEVELS[0], s.full - LEVELS[0] + 1, ()
    if not s.law:
        found, counts, power = _classes(s, n_symbols, design)
        floor = int(found[(power > 0) & (counts > 0)].min())
        levels = np.where(s.number > 0, np.maximum(s.full - floor + 1, 0), 0)
        rest = (levels == 0) & (s.number > 0)
        left = [np.sum(e[r]) / max(np.sum(n[r]), 1) for e, n, r in zip(s.energy, s.number, rest, strict=True)]
        tail = tuple(int(np.clip(np.round(np.log2(max(x, 1e-9))), *LEVELS)) for x in left)
    scheme_hash &= 0xFF if s.block == BLOCKS[0] else 0xFFFF
    how = floor, levels, tail, s.law, 128, design, scheme_hash, source.clip
    return Plan(shape, n_symbols, s.model, s.block, step, low, *how)


def _quantised(spectrum, block, step):
    return np.round(spectrum[:3, : block[0], : block[1]] / STEPS[step]).astype(np.int64)


def _drafts(source, budget):
    """(error less what the block is worth, plan) of every model, block and step whose digital part seems to fit."""
    spectrum, most = source.spectrum, budget.symbols(0)
    for index, block in enumerate(BLOCKS):
        if not most:
            return
        sizes = []
        for step in range(len(STEPS)):
            coder = Encoder()
            code_low(coder, _quantised(spectrum, block, step))
            sizes.append(len(coder.finish()))
        for model in range(len(RATIOS)):
            if source.models and (model, index) not in source.models:
                continue
            s = _measure(source, model, block)
            if s is None:
                continue
            low = _quantised(spectrum, block, len(STEPS) - 1)
            plan = _plan(s, source, len(STEPS) - 1, low, most)
            other = len(plan.to_bytes()) - sizes[-1]
            for step, size in enumerate(sizes):
                n_symbols = budget.symbols(other + size)
                if n_symbols:
                    error = _error_db(s, step, n_symbols, source.design) - index * BLOCK_WORTH
                    yield error, (s, step)


def _settle(draft, source, budget):
    """The plan of a draft with the symbols that its own bytes leave, or None if they do not fit after all."""
    (s, step), spectrum = draft, source.spectrum
    low = _quantised(spectrum, s.block, step)
    n_bytes = 0
    for _ in range(8):
        n_symbols = budget.symbols(n_bytes)
        if not n_symbols:
            return None
        plan = _plan(s, source, step, low, n_symbols)
        size = len(plan.to_bytes())
        if budget.symbols(size) == n_symbols:
            plan = replace(plan, power=_power(plan, spectrum))
            size = len(plan.to_bytes())  # another octet at most, which may still be too long
            if budget.symbols(size) == n_symbols:
                return plan
        n_bytes = max(n_bytes + 1, size)
    return None


def _slots(plan, spectrum):
    """What every slot carries, float64 [2 N]."""
    return (spectrum.ravel()[plan.order] * plan.gains)[plan.slots]


def _power(plan, spectrum):
    """What brings the mean power of the symbols to 1."""
    mean = np.mean(_slots(plan, spectrum) ** 2) * 2
    return int(np.clip(np.round(128 - 64 * np.log2(max(mean, 1e-30))), 0, 255))


def _send(spectrum, plan, before):
    real, imaginary = _slots(plan, spectrum).reshape(2, -1)
    symbols = (real + 1j * imaginary)[plan.places]
    return Encoded(plan, before + plan.to_bytes(), symbols.astype(np.complex64))


def measurement(plan, symbols, noise_var):
    """What arrived, for each transform coefficient: (y, gains, mask, noise_var), each [P, H, W].

    symbols complex64 [N], noise_var float32 [N] per complex symbol, inf = lost. y = gain * coefficient + noise
    of variance noise_var (real; inf where mask is False). Several slots of one coefficient are combined; the
    lowest coefficients, which came digitally, have gain 1 and the variance of their quantiser.
    """
    symbols, noise_var = np.asarray(symbols), np.asarray(noise_var, np.float64)
    n = plan.n_symbols
    if symbols.shape != (n,) or noise_var.shape != (n,):
        raise ValueError(f"symbols, noise_var: shapes {symbols.shape}, {noise_var.shape}, the plan has {n} symbols")
    good = np.isfinite(noise_var) & np.isfinite(symbols)
    precision, slots = np.zeros(2 * n), np.zeros(2 * n)
    weight = np.where(good, 2 / np.maximum(noise_var, 1e-12), 0.0)
    clean = np.where(good, symbols, 0)
    for part, values in enumerate((clean.real, clean.imag)):
        precision[part * n + plan.places] = weight
        slots[part * n + plan.places] = values
    k, rank = plan.order.size, plan.slots
    total = np.bincount(rank, precision, k)
    seen = total > 0
    shape = (plan.rows.size, *plan.shape)
    y, gains, v = np.zeros(shape), np.zeros(shape), np.full(shape, np.inf)
    y.reshape(-1)[plan.order] = np.bincount(rank, slots * precision, k) / np.where(seen, total, 1)
    v.reshape(-1)[plan.order] = np.where(seen, 1 / np.where(seen, total, 1), np.inf)
    gains.reshape(-1)[plan.order] = plan.gains
    block = (slice(3), slice(plan.block[0]), slice(plan.block[1]))
    y[block], gains[block], v[block] = plan.lowest, 1, STEPS[plan.step] ** 2 / 12
    return y, gains, np.isfinite(v), v


def linear(plan, symbols, noise_var):
    """Linear MMSE under the plan's spectrum: (image float32 [H, W, 3] in 0..1, posterior variance of each
    coefficient float32 [3, H, W])."""
    y, g, mask, v = measurement(plan, symbols, noise_var)
    prior = plan.variances
    finite = np.where(mask, v, 1)
    weight = np.where(mask, prior * g / (prior * g**2 + finite), 0)
    mean = weight * y
    variance = np.where(mask, prior * finite / (prior * g**2 + finite), prior)
    image = picture_transform.inverse(mean) + 0.5
    return image.clip(0, 1).astype(np.float32), variance.astype(np.float32)


def observation(plan, symbols, noise_var):
    """What arrived, as a photo net takes it (models/photo.py): (z, v, spectrum), [P, H, W] each.

    z: coefficients of x = SCALE (image - 1/2); v: variance of their noise, inf where nothing is known.
    """
    y, gain, seen, noise = measurement(plan, symbols, noise_var)
    z = SCALE * np.divide(y, gain, out=np.zeros_like(y), where=seen)
    v = SCALE**2 * np.divide(noise, gain**2, out=np.full_like(y, np.inf), where=seen)
    return (a.astype(np.float32) for a in (z, v, SCALE**2 * plan.variances))

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the digital part of a picture says, and what follows from it: variances, order and powers.

See codec.py for the code itself. Nothing here depends on floats that C++ might round otherwise, except values that
are not decided upon.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .range_coder import Context, Decoder, Encoder, signed
from .video_plan import Clip
from .zones import BLOCKS, LEVELS, PARAMETRIC, RATIOS, LevelContexts, code_levels, plane_rows, power_law, radius
from .zones import zones as make_zones

VERSION, CLIP_VERSION = 4, 3  #: content.PHOTOGRAPH, content.VIDEO
MAX_SIDE = 4096
MAX_PIXELS = 1 << 23
MAX_SYMBOLS = (1 << 20) - 1
LAYERS = 4
#: No slot carries more than this many times the mean power: what is stronger goes in several, which fade apart.
PEAK = 4.0
#: In so many slots at most.
COPIES = 8
#: Steps of the quantiser of the lowest coefficients (transform of an image in 0..1).
STEPS = tuple(0.25 * 2.0 ** (i / 2) for i in range(16))
GOLDEN = 2654435769


class ContentError(ValueError):
    """A picture that cannot be sent so, or bytes that are not a picture's."""


@dataclass(frozen=True)
class Plan:
    """All that a receiver knows of a picture, or of a group of pictures (`clip`), before the analogue symbols.

    Coefficients are planes [P, H, W], P = 3 for a picture and 3 for each frame of a group (zones.plane_rows: P planes
    have R rows of levels). low: quantised lowest coefficients int [3, rows, columns], of the first three planes.
    levels: int [R, zones], 2**(floor + level - 1) is the variance, 0 = not sent. tail: log2 of the mean variance of
    what is not sent, of each row. law: (amplitude, slope) of each row in place of levels and tail, if the spectrum is
    parametric. power: of the symbols, in 1/64 octaves around 128.
    """

    shape: tuple  # (H, W)
    n_symbols: int
    model: int
    block: tuple
    step: int
    low: np.ndarray
    floor: int
    levels: np.ndarray
    tail: tuple
    law: tuple
    power: int
    design_snr: int  # dB
    scheme_hash: int
    clip: Clip | None = None

    def to_bytes(self):
        """The digital part, at most 4 octets longer than its information."""
        coder = Encoder()
        _code_plan(coder, self)
        return coder.finish()

    @classmethod
    def from_bytes(cls, digital):
        """The plan in a digital part. ContentError if it is none, or of another version."""
        try:
            return _code_plan(Decoder(bytes(digital)), None)
        except ContentError:
            raise
        except (ValueError, IndexError) as e:
            raise ContentError(f"digital: {len(digital)} octets that hold no picture: {e}") from None

    def is_for(self, weights):
        """Whether the picture was sent for the scheme whose hash this is (16 bits)."""
        return self.scheme_hash == weights & (0xFF if self.block == BLOCKS[0] else 0xFFFF)

    @cached_property
    def rows(self):
        """Row of levels of each plane, int [P]."""
        return plane_rows(self.clip.frames if self.clip else 1)

    @cached_property
    def zones(self):
        return make_zones(*self.shape, self.model)

    @cached_property
    def variances(self):
        """lambda of each coefficient, float64 [P, H, W]: of the lowest ones, what their quantised values allow."""
        h, w = self.shape
        out = np.empty((self.rows.size, h, w))
        falling = 1 / np.maximum(radius(h, w), 1 / (h * w))
        for row in range(len(self.levels)):
            level = self.levels[row][self.zones.index]
            unsent = level == 0
            weak = falling * (2.0 ** self.tail[row] / falling[unsent].mean()) if unsent.any() else falling
            plane = np.where(unsent, np.minimum(weak, 2.0**self.floor), 2.0 ** (level + float(self.floor) - 1))
            out[self.rows == row] = plane
        out[:3, : self.block[0], : self.block[1]] = self.lowest**2 + STEPS[self.step] ** 2
        return out

    @property
    def lowest(self):
        """Values of the lowest coefficients."""
        return self.low * STEPS[self.step]

    @cached_property
    def order(self):
        """Flat indices of the coefficients that are sent, the strongest first: int64 [K]."""
        return self._allocation[0]

    @cached_property
    def gains(self):
        """Amplitude of each of them in one of its slots, float64 [K]: y = g x + n."""
        return self._allocation[1]

    @property
    def copies(self):
        """Slots that carry each of them, int [K]."""
        return self._allocation[2]

    @cached_property
    def slots(self):
        """Which of the sent coefficients each slot carries, the strongest first: int [2 N]."""
        return np.repeat(np.arange(self.order.size), self.copies)

    @property
    def layers(self):
        """Slots by importance, as slices of `slots`: each frame carries a share of each."""
        cuts = [2 * self.n_symbols * i // LAYERS for i in range(LAYERS + 1)]
        return [slice(a, b) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]

    @cached_property
    def places(self):
        """Symbol at each place on the air: int64 [N]. Symbol m carries slots m and N + m."""
        m = np.arange(self.n_symbols, dtype=np.uint64)
        return np.argsort(m * np.uint64(GOLDEN) % np.uint64(1 << 32), kind="stable")

    @cached_property
    def _allocation(self):
        h, w = self.shape
        level = self.levels[:, self.zones.index][self.rows]
        level[:3, : self.block[0], : self.block[1]] = 0
        reached = np.cumsum(np.bincount(level.ravel())[:0:-1])
        least = max(1, reached.size - int(np.searchsorted(reached, 2 * self.n_symbols)))
        at = np.flatnonzero(level >= least)
        u, v = at // w % h, at % w
        near = (u * w) ** 2 + (v * h) ** 2  # lower frequencies first, in integers
        at = at[np.lexsort((at, near, -level.ravel()[at]))][: 2 * self.n_symbols]
        if not at.size:
            raise ContentError("the digital part names no coefficient that is sent: its bytes are not a picture's")
        counts = np.bincount(level.ravel()[at])[:0:-1]
        classes = np.arange(counts.size - 1, -1, -1) + self.floor
        sent, power, copies = allocate(classes, counts, self.n_symbols, self.design_snr)
        k = int(sent.sum())
        at, copies = at[:k], np.repeat(copies, sent)
        left = 2 * self.n_symbols - int(copies.sum())
        copies += left // k + (np.arange(k) < left % k)
        scale = 2.0 ** ((self.power - 128) / 64)
        share = np.repeat(power, sent) / copies
        return at, np.sqrt(scale * share * 0.5 / 2.0 ** (level.ravel()[at] + float(self.floor) - 1)), copies


def allocate(levels, counts, n_symbols, design_snr):
    """Classes of coefficients, strongest level first: (how many of each are sent, power of one, slots of one),
    int, float64, int. A few strong coefficients take several slots at the cost of the faintest."""
    sent = counts
    while True:
        power = powers(levels, sent, n_symbols, design_snr)
        sent = np.where(power > 0, sent, 0)
        copies = np.clip(np.ceil(power / PEAK), 1, COPIES).astype(np.int64)
        before = np.cumsum(sent * copies) - sent * copies
        fit = np.clip((2 * n_symbols - before) // copies, 0, sent)
        if np.array_equal(fit, sent):
            return sent, power, copies
        sent = fit


def powers(levels, counts, n_symbols, design_snr):
    """Closed form over classes of coefficients, strongest level first: the power of a coefficient of each class, all
    its slots together. The mean over 2 n_symbols slots is 1."""
    noise = 10 ** (-design_snr / 10)
    root = np.sqrt(2.0 ** levels.astype(float))
    number = np.cumsum(counts)
    total = np.cumsum(counts * root)
    c = np.where(total > 0, (2 * n_symbols + noise * number) / np.where(total > 0, total, 1), 0.0)
    active = np.flatnonzero((c * root > noise) & (counts > 0))
    if not active.size:
        return np.zeros(len(levels))
    p = np.maximum(0.0, c[active[-1]] * root - noise)
    p[active[-1] + 1 :] = 0
    return p


def _code_plan(coder, plan):
    """A plan through an Encoder, or out of a Decoder (plan None)."""
    p = plan
    version = coder.bits((CLIP_VERSION if p.clip else VERSION) if p else 0, 3)
    if version not in (VERSION, CLIP_VERSION):
        raise ContentError(f"digital: format {version}, this receiver knows {VERSION}: update it or the sender")
    clip = Clip.code(coder, p and p.clip) if version == CLIP_VERSION else None
    model = coder.bits(p.model if p else 0, 3)
    block_index = coder.bits(BLOCKS.index(p.block) if p else 0, 2)
    if model >= len(RATIOS) or block_index >= len(BLOCKS):
        raise ContentError(f"digital: spectrum model {model} or block {block_index} is unknown: not a picture's bytes")
    h = coder.bits(p.shape[0] - 1 if p else 0, 12) + 1
    w = coder.bits(p.shape[1] - 1 if p else 0, 12) + 1
    if h * w > MAX_PIXELS:
        raise ContentError(f"digital: a picture of {h} x {w} pixels, at most {MAX_PIXELS}: not a picture's bytes")
    if clip and clip.frames * h * w > MAX_PIXELS:
        raise ContentError(f"digital: {clip.frames} frames of {h} x {w}, at most {MAX_PIXELS} pixels: no clip's bytes")
    n_symbols = coder.bits(p.n_symbols if p else 0, 20)
    power = coder.bits(p.power if p else 0, 8)
    design = coder.bits(p.design_snr + 10 if p else 0, 5) - 10
    # A digital part of the smallest size has no room for more.
    scheme_hash = coder.bits(p.scheme_hash if p else 0, 8 if block_index == 0 else 16)
    step = coder.bits(p.step if p else 0, 4)
    block = tuple(min(a, b) for a, b in zip(BLOCKS[block_index], (h, w), strict=True))
    low = p.low if p else np.zeros((3, *block), np.int64)
    code_low(coder, low)
    grid, rows = make_zones(h, w, model), plane_rows(clip.frames if clip else 1)
    count = rows[-1] + 1
    floor, tail, law = LEVELS[0], (), ()
    if model == PARAMETRIC:
        law = tuple(_code_law(coder, p.law[c] if p else (0, 0)) for c in range(count))
        levels = np.array([power_law(grid.octave, *row) for row in law]) - floor + 1
    else:
        floor = coder.bits(p.floor - floor if p else 0, 6) + floor
        levels = p.levels.copy() if p else np.zeros((count, grid.count), np.int64)
        number = grid.numbers(BLOCKS[block_index], rows)
        code_levels(coder, levels, number, (grid.rows, grid.columns), LevelContexts())
        tail = tuple(coder.bits(t - LEVELS[0], 6) + LEVELS[0] for t in (p.tail if p else (LEVELS[0],) * count))
    if not n_symbols:
        raise ContentError("digital: no analogue symbols: not a picture's bytes")
    block = BLOCKS[block_index]
    return Plan((h, w), n_symbols, model, block, step, low, floor, levels, tail, law, power, design, scheme_hash, clip)


def _code_law(coder, law):
    amplitude = coder.bits(law[0] - LEVELS[0], 6) + LEVELS[0]
    return amplitude, coder.bits(law[1], 3)


def code_low(coder, low):
    """Quantised lowest coefficients int [3, rows, columns], read by an Encoder, filled by a Decoder."""
    contexts = [[Context() for _ in range(12)] for _ in range(4)]
    for c in range(3):
        for i in range(low.shape[1]):
            for j in range(low.shape[2]):
                near = 2 if i + j > 2 else 1
                kind = 0 if i + j == 0 and c == 0 else 3 if c else near
                low[c, i, j] = signed(coder, int(low[c, i, j]), contexts[kind])

# SPDX-License-Identifier: GPL-3.0-or-later
"""Counter-based noise: Philox4x32-10 (Salmon et al., SC 2011), vectorised; twin of `core/base/philox.h`.

A sample depends only on (seed, stream, item, step, element), never on batch, thread or chunk.
"""

import numpy as np

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox4x32(counter, key, rounds=10):
    """counter: four arrays (or ints) of 32-bit words, key: two ints -> four uint64 arrays of words."""
    c = [np.asarray(word, dtype=np.uint64) for word in counter]
    for i in range(rounds):
        k = [np.uint64((word + i * weyl) & 0xFFFFFFFF) for word, weyl in zip(key, _WEYL, strict=False)]
        p0, p1 = _MULTIPLIERS[0] * c[0], _MULTIPLIERS[1] * c[2]
        c = [(p1 >> _HALF) ^ c[1] ^ k[0], p1 & _MASK, (p0 >> _HALF) ^ c[3] ^ k[1], p0 & _MASK]
    return c


def normals(count, step, items, seed=0, stream=0):
    """Standard normals of [len(items), count]: Box-Muller on pairs of words, double precision."""
    whole = (int(seed) + _GOLDEN * int(stream)) % (1 << 64)
    key = (whole & 0xFFFFFFFF, whole >> 32)
    blocks = np.arange(-(-count // 4), dtype=np.uint64)[None, :]
    items = np.asarray(items, dtype=np.uint64)[:, None]
    zero = np.zeros(np.broadcast_shapes(blocks.shape, items.shape), np.uint64)
    words = philox4x32((zero + blocks, zero + np.uint64(step), zero + (items & _MASK), zero + (items >> _HALF)), key)
    uniform = [(word.astype(float) + 0.5) * 2.0**-32 for word in words]
    out = np.empty((*zero.shape, 4))
    for i in (0, 2):
        radius, phase = np.sqrt(-2.0 * np.log(uniform[i])), 2.0 * np.pi * uniform[i + 1]
        out[..., i], out[..., i + 1] = radius * np.cos(phase), radius * np.sin(phase)
    return out.reshape(len(items), -1)[:, :count]


def complex_normals(count, step, items, seed=0, stream=0):
    """Circular complex normals with E|n|^2 = 1, [len(items), count]; interleaved as C++ stores them."""
    pairs = normals(2 * count, step, items, seed, stream)
    return np.sqrt(0.5) * (pairs[:, 0::2] + 1j * pairs[:, 1::2])


class Rng:
    """What a sampler draws from: rng(k, shape) is the noise of the step that leaves level k.

    `first` is the index of the first item of the batch in its stream.
    """

    def __init__(self, seed=0, stream=0, first=0, real=False):
        self.seed, self.stream, self.first, self.real = seed, stream, first, real

    def __call__(self, k, shape):
        return self.draw(k + 1, shape)

    def start(self, shape):
        """Noise of the start (step 0)."""
        return self.draw(0, shape)

    def draw(self, step, shape):
        """Noise of a step for items first .. first + shape[0] - 1."""
        items = self.first + np.arange(shape[0])
        make = normals if self.real else complex_normals
        return make(shape[1], step, items, self.seed, self.stream)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Content of a semantic link that is no photograph: text, which goes digitally, and arrays, which go as they are.

The first three bits of a digital part say what it is (inverted, as the range coder of plan.py writes them): 1 a
photograph, 2 text, 3 an array.
"""

import struct
from dataclasses import dataclass
from math import prod

import numpy as np

from . import digital_part, frames
from .picture_plan import MAX_SYMBOLS, ContentError

PHOTOGRAPH, TEXT, ARRAY = 1, 2, 3
#: dtype of the array that comes out, real or complex; and how many octets the domain's name may have.
DTYPES = (np.float32, np.complex64)
MAX_NAME = 32


def kind(data):
    """PHOTOGRAPH, TEXT or ARRAY of a digital part's octets; 0 if there are none."""
    return (data[0] >> 5) ^ 7 if data else 0


def _tag(which):
    return (which ^ 7) << 5


def encode_text(text):
    """Text -> the octets of its digital part; there are no analogue symbols. ContentError if it is too long."""
    data = bytes([_tag(TEXT)]) + str(text).encode("utf-8")
    if len(data) > digital_part.SIZES[-1]:
        raise ContentError(
            f"text: {len(data) - 1} octets, a message may have {digital_part.SIZES[-1] - 1}: send it in several"
        )
    return data


def decode_text(data):
    """Octets of a digital part -> the text."""
    if kind(data) != TEXT:
        raise ContentError("digital: holds no text")
    return data[1:].decode("utf-8", errors="replace")


@dataclass(frozen=True)
class Array:
    """What the digital part of an array says. domain: what its sender declares the values to be, such as
    "csi"; scale, mean: value = mean + scale * unit-power symbol part; copies: slots that carry each value."""

    shape: tuple
    complex_domain: bool
    domain: str
    scale: float
    mean: complex
    copies: int

    @property
    def n_symbols(self):
        parts = prod(self.shape) * (2 if self.complex_domain else 1)
        return -(-parts * self.copies // 2)

    def to_bytes(self):
        name = self.domain.encode("utf-8")
        head = _tag(ARRAY) | (8 if self.complex_domain else 0) | len(self.shape)
        return (
            struct.pack(
                f"<BBfffB{len(self.shape)}I",
                head,
                self.copies,
                self.scale,
                self.mean.real,
                self.mean.imag,
                len(name),
                *self.shape,
            )
            + name
        )

    @classmethod
    def from_bytes(cls, data):
        """ContentError if the octets hold no array."""
        try:
            if kind(data) != ARRAY:
                raise ValueError("another kind of content")
            rank = data[0] & 7
            _, copies, scale, re, im, length, *shape = struct.unpack_from(f"<BBfffB{rank}I", data)
            name = data[struct.calcsize(f"<BBfffB{rank}I") :][:length].decode("utf-8")
            found = cls(tuple(shape), bool(data[0] & 8), name, scale, complex(re, im), copies)
            if not (np.isfinite([scale, re, im]).all() and copies and 0 < found.n_symbols <= MAX_SYMBOLS):
                raise ValueError("values out of range")
        except (ValueError, struct.error, UnicodeDecodeError) as e:
            raise ContentError(f"digital: {len(data)} octets that hold no array: {e}") from None
        return found


def encode_array(values, domain, uses=None, carriers=frames.CARRIERS, frame_symbols=frames.FRAME_SYMBOLS):
    """An array of a declared domain -> (digital octets, symbols complex64 [N]).

    values: real or complex, up to 7 axes, finite. Every value has the same power on the air (a white spectrum);
    uses: channel uses to spend, None for each value once; more uses repeat the values. ContentError if that
    cannot be.
    """
    values = np.asarray(values)
    is_complex = np.iscomplexobj(values)
    if not 1 <= values.ndim <= 7 or not values.size or not np.isfinite(values).all():
        raise ContentError(f"values: shape {list(values.shape)}, must have 1 to 7 axes and finite values only")
    if len(str(domain).encode("utf-8")) > MAX_NAME:
        raise ContentError(f"domain: '{domain}' has more than {MAX_NAME} octets: give a short name")
    mean = complex(np.float32(values.real.mean()), np.float32(values.imag.mean()) if is_complex else 0)
    parts = _parts(values - (mean if is_complex else mean.real))
    scale = float(np.float32(max(np.sqrt(2 * np.mean(parts.astype(np.float64) ** 2)), 1e-30)))
    plan = Array(values.shape, is_complex, str(domain), scale, mean, 1)
    data = plan.to_bytes()
    if uses is not None:
        try:
            room = frames.analogue_symbols(uses, len(data), carriers, frame_symbols)
        except ValueError as e:
            raise ContentError(str(e)) from None
        copies = min(2 * room // parts.size, 255)
        if not copies:
            raise ContentError(f"uses: {uses} are too few for {parts.size} values: two go in one")
        plan = Array(values.shape, is_complex, str(domain), scale, mean, copies)
        data = plan.to_bytes()
    if plan.n_symbols > MAX_SYMBOLS:
        raise ContentError(f"values: {values.size} make {plan.n_symbols} symbols, at most {MAX_SYMBOLS}: send parts")
    slots = np.resize(parts / scale, 2 * plan.n_symbols)
    return data, (slots[0::2] + 1j * slots[1::2]).astype(np.complex64)


def _parts(values):
    flat = np.ravel(values)
    return np.stack([flat.real, flat.imag], -1).ravel() if np.iscomplexobj(flat) else flat


def decode_array(plan, symbols, noise_var):
    """Linear MMSE: (values of plan.shape, posterior variance of each, E|error|^2, float32 of plan.shape).

    symbols complex64 [N], noise_var float32 [N], inf = lost.
    """
    n = plan.n_symbols
    if np.shape(symbols) != (n,) or np.shape(noise_var) != (n,):
        raise ValueError(f"symbols, noise_var: {np.shape(symbols)}, {np.shape(noise_var)}, the array has {n} symbols")
    good = np.isfinite(noise_var) & np.isfinite(symbols)
    weight = np.repeat(np.where(good, 2 / np.maximum(noise_var, 1e-12), 0), 2)
    slots = _parts(np.where(good, symbols, 0).astype(np.complex64))
    count = prod(plan.shape) * (2 if plan.complex_domain else 1)
    place = np.arange(2 * n) % count
    precision = 2 + np.bincount(place, weight, count)  # a part has variance 1/2
    mean = np.bincount(place, weight * slots, count) / precision * plan.scale
    variance = plan.scale**2 / precision
    if plan.complex_domain:
        mean, variance = mean[0::2] + 1j * mean[1::2] + plan.mean, variance[0::2] + variance[1::2]
    else:
        mean = mean + plan.mean.real
    dtype = DTYPES[plan.complex_domain]
    return mean.astype(dtype).reshape(plan.shape), variance.astype(np.float32).reshape(plan.shape)

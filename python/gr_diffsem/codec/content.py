# SPDX-License-Identifier: GPL-3.0-or-later
"""Content of a semantic link: its kind, whose it is, text, which goes digitally, and arrays, which go as they are.

The first three bits of a digital part say what it is (inverted, as the range coder of picture_plan.py writes them): 4 a
photograph, 5 text, 6 an array; 7 the call sign of its sender, and behind it one of the others; 3 a group of pictures
that move (video_codec.py). 1 to 3 were those of the format before, whose streams repeat nothing of the digital part: a
receiver of that format finds a kind that it does not know, and says so.
"""

import re
import struct
from dataclasses import dataclass
from math import prod

import numpy as np

from . import digital_part, frames
from .picture_plan import MAX_SYMBOLS, ContentError

PHOTOGRAPH, TEXT, ARRAY, CALL_SIGN, VIDEO = 4, 5, 6, 7, 3
#: dtype of the array that comes out, real or complex; and how many octets the domain's name may have.
DTYPES = (np.float32, np.complex64)
MAX_NAME = 32
LARGEST = 1e18  #: of the values of an array


def kind(data):
    """PHOTOGRAPH, TEXT, ARRAY or VIDEO of a digital part's octets; 0 if there are none."""
    return (data[0] >> 5) ^ 7 if data else 0


def _tag(which):
    return (which ^ 7) << 5


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/"
CALL = re.compile("[A-Z0-9/]{3,10}")


def _call_octets(n):
    return ((len(LETTERS) ** n - 1).bit_length() + 7) // 8


def call_sign(sign):
    """In front of a digital part, whose it is: 3 to 10 of A-Z, 0-9, / -> 3 to 8 octets; "" -> none."""
    sign = str(sign).upper()
    if not sign:
        return b""
    if not CALL.fullmatch(sign):
        raise ContentError(f"callsign '{sign}': give 3 to 10 letters, digits and strokes, such as N0CALL/P")
    value = 0
    for letter in sign:
        value = len(LETTERS) * value + LETTERS.index(letter)
    return bytes([_tag(CALL_SIGN) | len(sign)]) + value.to_bytes(_call_octets(len(sign)), "big")


def opened(data):
    """A digital part -> (call sign or "", the digital part behind it)."""
    if kind(data) != CALL_SIGN:
        return "", data
    n = data[0] & 31
    end = 1 + _call_octets(n)
    if not 3 <= n <= 10 or len(data) <= end:
        raise ContentError(f"digital: {len(data)} octets that hold no call sign")
    value, sign = int.from_bytes(data[1:end], "big"), ""
    for _ in range(n):
        value, letter = divmod(value, len(LETTERS))
        sign = LETTERS[letter] + sign
    return sign, data[end:]


def check_kind(data):
    """ContentError where it is of another format."""
    if kind(data) not in (PHOTOGRAPH, TEXT, ARRAY, VIDEO):
        raise ContentError(f"digital: kind {kind(data)}, which this receiver does not know: update it, or the sender")


def encode_text(text, before=b""):
    """Text -> the octets of its digital part; there are no analogue symbols. before: of `call_sign`. ContentError if it
    is too long."""
    data = before + bytes([_tag(TEXT)]) + str(text).encode("utf-8")
    most = digital_part.SIZES[-1] - 1 - len(before)
    if len(data) - 1 - len(before) > most:
        raise ContentError(f"text: {len(data) - 1 - len(before)} octets, a message may have {most}: send it in several")
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


def encode_array(values, domain, uses=None, carriers=frames.CARRIERS, frame_symbols=frames.FRAME_SYMBOLS, before=b""):
    """An array of a declared domain -> (digital octets, symbols complex64 [N]). before: of `call_sign`.

    values: real or complex, up to 7 axes, finite. Every value has the same power on the air (a white spectrum);
    uses: channel uses to spend, None for each value once; more uses repeat the values. ContentError if that
    cannot be.
    """
    values = np.asarray(values)
    is_complex = np.iscomplexobj(values)
    if not 1 <= values.ndim <= 7 or not values.size or not np.isfinite(values).all():
        raise ContentError(f"values: shape {list(values.shape)}, must have 1 to 7 axes and finite values only")
    if max(np.abs(values.real).max(), np.abs(values.imag).max()) > LARGEST:
        raise ContentError(f"values: beyond {LARGEST:g}, where variances are no float32: give them in another unit")
    if len(str(domain).encode("utf-8")) > MAX_NAME:
        raise ContentError(f"domain: '{domain}' has more than {MAX_NAME} octets: give a short name")
    mean = complex(np.float32(values.real.mean()), np.float32(values.imag.mean()) if is_complex else 0)
    parts = _parts(values - (mean if is_complex else mean.real))
    scale = float(np.float32(max(np.sqrt(2 * np.mean(parts.astype(np.float64) ** 2)), 1e-30)))
    plan = Array(values.shape, is_complex, str(domain), scale, mean, 1)
    data = before + plan.to_bytes()
    if uses is not None:
        try:
            room = frames.analogue_symbols(uses, len(data), carriers, frame_symbols)
        except ValueError as e:
            raise ContentError(str(e)) from None
        copies = min(2 * room // parts.size, 255)
        if not copies:
            raise ContentError(f"uses: {uses} are too few for {parts.size} values: two go in one")
        plan = Array(values.shape, is_complex, str(domain), scale, mean, copies)
        data = before + plan.to_bytes()
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

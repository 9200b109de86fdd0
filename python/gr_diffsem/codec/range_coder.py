# SPDX-License-Identifier: GPL-3.0-or-later
"""An adaptive binary arithmetic coder in 32-bit integers, the same bytes in C++ (core/link/range_coder.h).

Each kind of decision has a context: the probability of a 1 in 1/65536 and how often it was met. It begins at
what it is on photographs and learns from the picture at hand with weight 1 / (count + 2), the usual
Krichevsky-Trofimov-like estimate, until count reaches LIMIT.
"""

HALF = 1 << 15
LIMIT = 60
#: What the initial probability counts for, in decisions.
TRUST = 6


class Context:
    """Probability of a 1, in 1/65536."""

    __slots__ = ("count", "p")

    def __init__(self, p=HALF):
        self.p, self.count = p, TRUST

    def learn(self, bit):
        step = ((65535 if bit else 0) - self.p) / (self.count + 2)
        self.p += int(step)  # towards zero, as C++ divides
        self.p = min(max(self.p, 256), 65280)
        self.count = min(self.count + 1, LIMIT)


class Encoder:
    """bit() and bits(), then finish() -> bytes."""

    def __init__(self):
        self.low, self.high, self.out = 0, 0xFFFFFFFF, bytearray()

    def bit(self, bit, context=None):
        p = context.p if context else HALF
        split = self.low + ((self.high - self.low) >> 16) * p
        if bit:
            self.high = split
        else:
            self.low = split + 1
        if context:
            context.learn(bit)
        while not (self.low ^ self.high) & 0xFF000000:
            self.out.append(self.high >> 24)
            self.low = (self.low << 8) & 0xFFFFFFFF
            self.high = ((self.high << 8) & 0xFFFFFFFF) | 0xFF
        return bit

    def bits(self, value, count):
        for i in reversed(range(count)):
            self.bit((value >> i) & 1)
        return value

    def finish(self):
        """The fewest octets that decode alike when zeros follow."""
        for keep in range(5):
            mask = 0xFFFFFFFF << (32 - 8 * keep) & 0xFFFFFFFF
            value = (self.low + (~mask & 0xFFFFFFFF)) & mask
            if self.low <= value <= self.high:
                return bytes(self.out) + value.to_bytes(4, "big")[:keep]
        raise AssertionError("unreachable: four octets name the lower end itself")


class Decoder:
    """The same calls; the values given are ignored, what was coded comes back."""

    def __init__(self, data):
        self.low, self.high, self.data, self.at = 0, 0xFFFFFFFF, data, 4
        self.value = int.from_bytes((data + bytes(4))[:4], "big")

    def bit(self, _=0, context=None):
        p = context.p if context else HALF
        split = self.low + ((self.high - self.low) >> 16) * p
        bit = int(self.value <= split)
        if bit:
            self.high = split
        else:
            self.low = split + 1
        if context:
            context.learn(bit)
        while not (self.low ^ self.high) & 0xFF000000:
            following = self.data[self.at] if self.at < len(self.data) else 0
            self.at += 1
            self.low = (self.low << 8) & 0xFFFFFFFF
            self.high = ((self.high << 8) & 0xFFFFFFFF) | 0xFF
            self.value = ((self.value << 8) & 0xFFFFFFFF) | following
        return bit

    def bits(self, _, count):
        value = 0
        for _i in range(count):
            value = 2 * value + self.bit()
        return value


def golomb(coder, value, contexts):
    """A number >= 0: the length of value + 1 in unary (contexts, the last one serves all longer ones), then its
    lower bits."""
    length = (value + 1).bit_length() - 1
    n = 0
    while coder.bit(int(n < length), contexts[min(n, len(contexts) - 1)]):
        n += 1
        if n > 24:
            raise ValueError("a number of the digital part is out of range: its bytes are not a picture's")
    return (1 << n) + coder.bits((value + 1) & ((1 << n) - 1), n) - 1


def signed(coder, value, contexts):
    """Any integer: magnitude by `golomb`, then a raw sign."""
    magnitude = golomb(coder, abs(value), contexts)
    return -magnitude if magnitude and coder.bit(int(value < 0)) else magnitude

# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of a few messages that are learned from end to end, many at once: an encoder that says a word of real uses for
each message, a decoder that says the messages' probabilities of what was received.

After T. O'Shea and J. Hoydis, "An Introduction to Deep Learning for the Physical Layer", 2017. Each of `TAUGHT` is a
code behind another channel: the true one, or one that was learned from it. All are trained on the same messages, for
the same steps, from the same weights: what differs is the channel that they were shown, and nothing else.
"""

import math

import torch
from torch import nn

from . import plain_mlp
from .block_codes import DECODER, ENCODER, MESSAGES, TAUGHT, USES


class BlockCodes(nn.Module):
    """`codes` pairs of networks of each of TAUGHT; their order is that of TAUGHT, within it by code."""

    def __init__(self, codes):
        super().__init__()
        self.codes = codes
        self.encoder, self.decoder = (self._begun(sizes) for sizes in (ENCODER, DECODER))

    def _begun(self, sizes):
        """Weights [pairs, in, out] and biases [pairs, 1, out] of plain layers, for each of TAUGHT the same."""
        parts = []
        for a, b in zip(sizes[:-1], sizes[1:], strict=True):
            for rows in (a, 1):
                value = torch.empty(self.codes, rows, b).uniform_(-1, 1) / math.sqrt(a)
                parts.append(nn.Parameter(value.repeat(len(TAUGHT), 1, 1)))
        return nn.ParameterList(parts)

    @staticmethod
    def _run(parts, x):
        """Plain layers (plain_mlp) of every pair at once."""
        for i in range(0, len(parts), 2):
            x = nn.functional.leaky_relu(x, plain_mlp.SLOPE) if i else x
            x = torch.baddbmm(parts[i + 1], x, parts[i])
        return x

    def words(self):
        """[pairs, 16, 8]: each message's word, of power 1 a use."""
        x = self._run(self.encoder, torch.eye(MESSAGES).expand(len(self.encoder[0]), -1, -1))
        return x * (math.sqrt(USES) / x.norm(dim=2, keepdim=True))

    def logits(self, y):
        """[pairs, n, 16] of y [pairs, n, 8]."""
        return self._run(self.decoder, y)

    def multiply_adds(self):
        """Of decoding one word by one of them."""
        return sum(a * b for a, b in zip(DECODER[:-1], DECODER[1:], strict=True))

    def flat(self):
        """[pairs, numbers] float32: a code's words, then its decoder as `plain_mlp.run` takes it."""
        words, decoder = self.words().detach().flatten(1), [part.detach() for part in self.decoder]
        layers = [p.transpose(1, 2).flatten(1) if i % 2 == 0 else p.flatten(1) for i, p in enumerate(decoder)]
        return torch.cat((words, *layers), 1).numpy()

    def pair(self, taught, code=0):
        """(encoder, decoder) of one code, as a package has them: 16 numbers, of which the largest is the message's, to
        planes [B, 2, 4] of complex elements of unit power, and back to 16 log-probabilities."""
        at = TAUGHT.index(taught) * self.codes + code
        layers, planes = plain_mlp.build(DECODER), (2, USES // 2)
        with torch.no_grad():
            numbers = self.flat()[at, MESSAGES * USES :]
            nn.utils.vector_to_parameters(torch.from_numpy(numbers), layers.parameters())
            layers[0].weight *= math.sqrt(2)
            words = self.words()[at].reshape(MESSAGES, *planes) / math.sqrt(2)
        return _Words(words), nn.Sequential(nn.Flatten(), layers, nn.LogSoftmax(1))


class _Words(nn.Module):
    """The word of the largest of 16 numbers."""

    def __init__(self, words):
        super().__init__()
        self.register_buffer("words", words.clone())

    def forward(self, content):
        return self.words[content.argmax(1)]

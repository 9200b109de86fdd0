# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain layers with leaky rectifiers whose weights are one array: trained by PyTorch, run by NumPy.

Baselines of generators and features of their evaluations are such networks, so that an evaluation needs no PyTorch.
"""

import numpy as np

SLOPE = 0.2  # of the rectifiers


def shapes(sizes):
    """Shapes of weights and biases, in order."""
    return [shape for a, b in zip(sizes[:-1], sizes[1:], strict=True) for shape in ((b, a), (b,))]


def run(flat, x, sizes, last=True):
    """[n, sizes[-1]] float32 of x [n, sizes[0]]; without `last` what the last hidden layer says."""
    parts, first = [], 0
    wanted = sum(int(np.prod(shape)) for shape in shapes(sizes))
    if wanted != len(flat):
        raise ValueError(f"weights are {len(flat)} numbers, layers {list(sizes)} take {wanted}: fit them again")
    for shape in shapes(sizes):
        size = int(np.prod(shape))
        parts.append(np.asarray(flat[first : first + size], np.float32).reshape(shape))
        first += size
    x = np.asarray(x, np.float32)
    for i in range(0, len(parts), 2):
        end = i + 2 == len(parts)
        if end and not last:
            return x
        x = x @ parts[i].T + parts[i + 1]
        x = x if end else np.where(x > 0, x, np.float32(SLOPE) * x)
    return x


def build(sizes):
    """The same as a torch module, at random."""
    from torch import nn

    layers = [p for a, b in zip(sizes[:-2], sizes[1:-1], strict=True) for p in (nn.Linear(a, b), nn.LeakyReLU(SLOPE))]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def flat(parameters):
    """Parameters of such a module as one array."""
    return np.concatenate([p.detach().numpy().ravel() for p in parameters]).astype(np.float32)

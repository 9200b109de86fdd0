# SPDX-License-Identifier: GPL-3.0-or-later
"""A start for a `DelayDoppler` of four rounds and profiles from an exported one of three rounds without them.

    python -m gr_diffsem.models.widened old.onnx start.pt

`ofdm_grid/full` began so, from the graph of commit d7ac6d1. What the old network did not see gets weights of 0, and the
fourth round begins as a copy of the third; so the answer is at first the old one's, but for one more solution.
"""

import sys

import torch

from . import onnx_start
from .delay_doppler import DelayDoppler

SEEN = 3  # of a tile as a whole, by the old network: noise, looks, observed elements


def widened(old, net):
    """A state dict for `net` from the weights `old` of three rounds."""
    new = net.state_dict()
    dopplers = new["says.0.weight"].shape[0]
    weights = {}
    for name, value in old.items():
        if name.startswith("into.") and name.endswith(".weight"):
            matched, whole, later = value.split([2 * dopplers, SEEN, value.shape[1] - 2 * dopplers - SEEN], 1)
            weights[name] = torch.cat((matched, torch.zeros(len(value), 2), later), 1)
            tells = torch.zeros_like(new[name.replace("into", "tells")])
            tells[:, :SEEN] = whole
            weights[name.replace("into", "tells")] = tells
        else:
            weights[name] = value
    for name in new:
        parts = name.split(".")
        if name not in weights and parts[1:2] == ["3"]:
            weights[name] = weights[".".join((parts[0], "2", *parts[2:]))].clone()
    return weights


def main(old, out):
    net = DelayDoppler()
    weights, words = onnx_start.read(old, net)
    weights = onnx_start.fitting(widened(weights, net), net, old)
    torch.save({"scheme": "ofdm_grid", "member": "full", "average": weights, "step": 0, "start": words}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])

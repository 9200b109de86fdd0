# SPDX-License-Identifier: GPL-3.0-or-later
"""A start for a `DelayDoppler` from one that is smaller.

    python -m gr_diffsem.models.widened old.onnx|checkpoint.pt start.pt

`ofdm_grid/full` began so twice: from the graph of commit d7ac6d1, of three rounds without profiles, and from its own
with two mixers a round in place of three. What the old network did not see gets weights of 0, a round that it did not
have begins as a copy of the one before, a mixer as one that changes nothing; so the answer is at first the old one's,
but for one more solution.
"""

import sys

import torch

from . import onnx_start, training
from .delay_doppler import DelayDoppler

SEEN = 3  # of a tile as a whole, by a network without profiles: noise, looks, observed elements


def with_profiles(old, new):
    """Weights of a network that sees profiles, from those of one that does not."""
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
    return weights


def widened(old, net):
    """A state dict for `net` from the weights `old` of fewer rounds or mixers."""
    new = net.state_dict()
    weights = dict(old) if "tells.0.weight" in old else with_profiles(old, new)
    for name, value in new.items():
        part, at, *rest = [*name.split("."), ""]
        before = ".".join((part, str(int(at) - 1), *rest)).rstrip(".") if at.isdigit() else None
        if name in weights:
            continue
        if part == "mixers" and f"mixers.{at}.0.across.weight" in weights:
            weights[name] = torch.zeros_like(value) if rest[1] in ("back", "out") else value
        elif before in weights:
            weights[name] = weights[before].clone()
    return weights


def main(old, out):
    net = DelayDoppler()
    weights, words = training.weights_to_begin_from(old, net)
    weights = onnx_start.fitting(widened(weights, net), net, old)
    torch.save({"scheme": "ofdm_grid", "member": "full", "average": weights, "step": 0, "start": words}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])

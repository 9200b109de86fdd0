# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of the denoiser of 16 x 64 antennas, cut down to smaller arrays: what a training begins from.

    python -m gr_diffsem.models.smaller_array mimo_pilot_posterior/diffusion.onnx start.pt

writes the checkpoint that `gr-diffsem train ris_chanest --start start.pt` takes.
"""

LARGE = (16, 64)


def cut(weights, net, rx, tx):
    """Weights of LARGE antennas for `net` of rx x tx, which divide them: every so many angles, the first antennas. A
    plane wave over both then has the same gain. Stages that `net` has not are left out."""
    by = {LARGE[0]: LARGE[0] // rx, LARGE[1]: LARGE[1] // tx}
    out = {}
    for name, wanted in net.state_dict().items():
        if name not in weights:
            continue
        old = weights[name]
        if name.endswith("place"):
            old = old[:, :, :: by[LARGE[0]], :: by[LARGE[1]]]
        elif ".spread." in name:
            old = old.reshape(*LARGE, -1)[:: by[LARGE[0]], :: by[LARGE[1]]].reshape(wanted.shape)
        elif old.shape != wanted.shape:  # waves: angles by antennas, twice as many angles, or turned over
            antennas = min(old.shape)
            angles, first = slice(None, None, by[antennas]), slice(antennas // by[antennas])
            old = old[(angles, first) if old.shape[1] == antennas else (first, angles)] * by[antennas] ** 0.5
        out[name] = old.clone()
    return out


def main(old, out):
    import torch

    from . import training
    from .pilot_gains import large_array, surface

    large, net = large_array(3), surface()
    weights, words = training.weights_to_begin_from(old, large)
    beside = {"level": net.level.detach(), "trust": net.trust.detach()}  # which an exported graph has within constants
    weights = beside | cut(large.widened(weights), net, 8, 32)
    words += ", cut to 8 x 32 antennas"
    torch.save({"scheme": "ris_chanest", "member": "diffusion", "average": weights, "step": 0, "start": words}, out)


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])

# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoiser of what pilots bring of a channel on two arrays, where some pilots are missing: `angular_gains` in turns.

    python -m gr_diffsem.models.pilot_gains mimo_chanest_16x64/diffusion.onnx start.pt lowres_chanest bits1

The denoiser of another package in the basis of the pilots, as it is: the checkpoint that member `bits1` of
`lowres_chanest` is exported from, and `flow` of `mimo_fast_posterior`.
"""


def pilot_basis(antennas, seed=1):
    """[antennas, antennas], unitary: the pilots of all times, as columns; every entry a QPSK symbol over
    sqrt(antennas). A Hadamard matrix whose rows are turned by quarter turns; antennas: a power of two.

    The quarter turns keep it from the plane waves: a path is then seen by every pilot alike."""
    import numpy as np

    basis = np.ones((1, 1))
    while len(basis) < antennas:
        basis = np.block([[basis, basis], [basis, -basis]])
    if len(basis) != antennas:
        raise ValueError(f"antennas = {antennas} must be a power of two")
    turns = np.random.default_rng(seed).choice([1, 1j, -1, -1j], (antennas, 1))
    return (turns * basis / np.sqrt(antennas)).astype(np.complex64)


def turned(matrix):
    """[B, 2, rx, tx] times a fixed complex matrix [tx, tx] on the right. A torch module without parameters."""
    import torch
    from torch import nn

    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            top = torch.cat((matrix.real, matrix.imag), 1)
            both = torch.cat((top, torch.cat((-matrix.imag, matrix.real), 1)), 0).contiguous()
            self.register_buffer("matrix", both, persistent=False)

        def forward(self, x):
            b, _, rx, tx = x.shape
            y = x.transpose(1, 2).reshape(b * rx, 2 * tx) @ self.matrix
            return y.reshape(b, rx, 2, tx).transpose(1, 2)

    return Turned()


def pilot_gains(rx, tx, stages, **keys):
    """Posterior mean of x = H U, U = pilot_basis(tx): planes x [B, 2, rx, tx] and a level for each element
    [B, 1, rx, tx] -> mean, log variance. A torch module. keys: of `angular_gains`, which each stage has one of.

    Stage k sees z = h + (c^-1 a (x - h U)) U^H, with a = 1 / (1 + sigma^2) and c its mean: what the measurement says
    beyond the estimate h, brought to the power that all of x would have (as approximate message passing does, Donoho
    et al. 2009, eq. 1; its Onsager term is what a trained stage may leave out). Its level is that of z's error, if the
    error of h is white. Where all levels are equal, z is x, and the first stage alone would be the denoiser."""
    import copy

    import torch
    from torch import nn

    from . import onnx_start
    from .angular_gains import angular_gains

    basis = torch.from_numpy(pilot_basis(tx))

    class PilotGains(nn.Module):
        START_NAMES = ("place",)  # parameters of `angular_gains` that no layer holds
        START_MAY_LACK = tuple(f"stages.{k}.told" for k in range(stages))

        def __init__(self):
            super().__init__()
            self.stages = nn.ModuleList(angular_gains(rx, tx, **keys) for _ in range(stages))
            self.level = nn.Parameter(torch.zeros(stages))
            self.trust = nn.Parameter(torch.zeros(stages))
            self.into, self.back = turned(basis), turned(basis.conj().T.contiguous())

        def multiply_adds(self):
            """Multiply-adds of one evaluation of one item."""
            turns = 2 * stages * 4 * rx * tx * tx
            return sum(s.multiply_adds() for s in self.stages) + turns

        def for_export(self):
            """A copy with ordinary layers in place of complex ones."""
            net = copy.deepcopy(self)
            net.stages = nn.ModuleList(s.for_export() for s in self.stages)
            return net.eval()

        def widened(self, weights):
            """Weights of one `angular_gains` for every stage; those of such a network as they are."""
            weights = dict(weights)
            if not any(name.startswith("stages.") for name in weights):
                weights = {f"stages.{k}.{n}": v for k in range(stages) for n, v in weights.items()}
                weights |= {"level": self.level.detach(), "trust": self.trust.detach()}
            thawed = onnx_start.thaw(weights, self)
            return weights | thawed

        def forward(self, x, sigma, number=None):
            shape = x.shape
            x = x.reshape(-1, 2, rx, tx)
            noise = sigma.reshape(-1, 1, rx, tx) ** 2
            a = 1 / (1 + noise)
            a = a / a.mean((2, 3), keepdim=True)
            mixing = ((a - 1) ** 2).mean((2, 3), keepdim=True)
            passed = (a * a * noise).mean((2, 3), keepdim=True)
            h, variance = torch.zeros_like(x), torch.ones_like(passed)
            there = torch.zeros_like(x)
            for k, stage in enumerate(self.stages):
                level = torch.sqrt(variance * mixing + passed) * torch.exp(self.level[k])
                level = level.clamp(0.003, 30.0).expand(-1, -1, rx, tx)
                h, log_variance = stage(h + self.back(a * (x - there)), level, number)
                variance = torch.exp(log_variance + self.trust[k]).mean((2, 3), keepdim=True)
                there = self.into(h)
            # Where x is measured better than the mean level, the estimate moves to it; at equal levels it has seen x.
            share = variance * mixing / (variance * mixing + noise)
            mean = there + share * (x - there)
            left = torch.log(variance * (1 - share) + 1e-9)
            return mean.reshape(shape), left.reshape(-1, 1, *shape[2:])

    return PilotGains()


def large_array(stages):
    """The network of 16 x 64 antennas, each stage as large as that of `mimo_chanest_16x64`."""
    return pilot_gains(16, 64, stages, channels=16, depths=(2, 2), reach=(3, 3))


def surface():
    """The network of 8 antennas and 32 elements of a surface: two such stages, told the surface's phase noise."""
    return pilot_gains(8, 32, 2, channels=16, depths=(2, 2), reach=(3, 3), told=True)


def main(old, out, scheme, member):
    import torch

    from . import onnx_start, training

    net = large_array(1)
    weights, words = training.weights_to_begin_from(old, net)
    weights = onnx_start.fitting(net.widened(weights), net, old)
    torch.save({"scheme": scheme, "member": member, "average": weights, "step": 0, "start": words}, out)


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])

# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of a denoiser from noisy signals alone, by Stein's unbiased risk estimate.

What is learned from is z = x + s n, never x: of a denoiser D, with N complex elements and noise variance s^2 each,

    E |D(z) - x|^2 = E [ |D(z) - z|^2 - N s^2 + 2 s^2 Re div D(z) ]                     (Stein 1981, theorem 1),

div D by one probe (Ramani, Blu and Unser 2008, eq. 14): Re <b, D(z + h b) - D(z)> / h with random signs b. As
A. Aali et al., "Solving Inverse Problems with Score-Based Generative Priors learned from Noisy Data", 2023, use it for
a prior: signals that come with noise of a known level are shown with more, and nothing below it can be learned.
"""

import torch

from .training import Training, answer

LEVEL = 0.1  # of the noise that the signals come with: 20 dB
REACH = 0.05  # of the probe, over the level
MEMBER = "sure"  # the member that is trained so; all others as ever


def risk(mean, moved, state, level, probe, reach):
    """Stein's estimate of the mean |D(z) - x|^2 over an element of unit power, an item each [B].

    mean, moved: D(z) and D(z + reach b), planes [B, 2, *shape] of unit component variance; state: z; probe: b; level,
    reach [B, 1, ...]: of a complex element; its component has the same, in these planes."""
    dims = tuple(range(1, state.ndim))
    s2 = level.flatten(1)[:, 0] ** 2
    left = (mean - state).pow(2).mean(dims)  # over components, each of which has variance s2
    slope = (probe * (moved - mean) / reach).mean(dims)
    return left - s2 + 2 * s2 * slope


class SureTraining(Training):
    """The member `sure` from noisy signals, all others from clean ones."""

    def loss(self, clean, state, sigma, observed, *condition):
        """(risk under the weight that `training.loss` begins with, what trains the variance)."""
        if self.member != MEMBER:
            return super().loss(clean, state, sigma, observed, *condition)
        del clean  # only what is noisy is learned from
        level = sigma.flatten(1).amin(1).reshape(-1, *[1] * (sigma.ndim - 1))
        more = torch.sqrt((LEVEL**2 - level**2).clamp(min=0))
        state, level = state + more * torch.randn_like(state), level.clamp(min=LEVEL)
        told = level.expand_as(sigma)
        probe, reach = torch.sign(torch.randn_like(state)), REACH * level
        mean, log_variance = answer(self.net, state, told, condition)
        moved, _ = answer(self.net, state + reach * probe, told, condition)
        found = risk(mean, moved, state, level, probe, reach)
        s2 = level.flatten(1)[:, 0] ** 2
        fit = ((1 + 1 / s2) * found).mean()
        error = found.detach().clamp(min=1e-3 * s2 / (1 + s2)).reshape(-1, *[1] * (log_variance.ndim - 1))
        return fit, (log_variance + error * torch.exp(-log_variance)).mean()

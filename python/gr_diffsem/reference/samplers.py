# SPDX-License-Identifier: GPL-3.0-or-later
"""Samplers: short functions over (denoiser, x, levels, rng), in VE coordinates.

denoiser(x, sigma) -> (mean, variance) is D(x, sigma) = E[x0 | x = x0 + sigma n]: a prior, or a
posterior made by `posterior.condition`; a sampler does not know which. x: [B, N]. levels: a list of
arrays that broadcast to x, not increasing, the first being the level of x, the last usually 0.
Elements may have unequal levels; an element whose level does not change does not move.

One step from sigma to s, with D = D(x, sigma), in these coordinates:

    DDPM posterior  x_s = D + (s^2 / sigma^2) (x - D) + s sqrt(1 - s^2/sigma^2) z
                    (Ho et al. 2020, eq. 7, divided by sqrt(alpha_bar_s))
    flow ODE        dx / dsigma = (x - D) / sigma           (Karras et al. 2022, eq. 1 and 3)
"""

import numpy as np


def _ratio(new, old):
    """new / old, 0 where old is 0 (such an element has arrived)."""
    new, old = np.broadcast_arrays(np.asarray(new, float), np.asarray(old, float))
    return np.divide(new, old, out=np.zeros(old.shape), where=old > 0)


def one_step(denoiser, x, levels, rng=None):
    """D(x, sigma_0): the posterior mean in one evaluation."""
    return denoiser(x, levels[0])[0]


def ddim(denoiser, x, levels, rng=None, eta=0.0, clip=0.0):
    """DDIM(eta) (Song et al. 2021, eq. 12 and 16); eta = 0 is deterministic, eta = 1 is DDPM.

    clip: limit of D's components where it stands for x0, not in the direction x - D (0: none)."""
    for k, (old, new) in enumerate(zip(levels[:-1], levels[1:], strict=False)):
        mean = denoiser(x, old)[0]
        ratio = _ratio(new, old)
        std = eta * new * np.sqrt(np.maximum(1.0 - ratio**2, 0.0))
        kept = np.sqrt(np.maximum(ratio**2 - _ratio(std, old) ** 2, 0.0))
        x = (limited(mean, clip) if clip else mean) + kept * (x - mean)
        if eta > 0:
            x = x + std * rng(k, x.shape)
    return x


def limited(mean, clip):
    """Each component within -clip .. clip."""
    if np.iscomplexobj(mean):
        return np.clip(mean.real, -clip, clip) + 1j * np.clip(mean.imag, -clip, clip)
    return np.clip(mean, -clip, clip)


def ddpm(denoiser, x, levels, rng, large_variance=0):
    """Ancestral sampling: each step draws from q(x_s | x_sigma, x0 = D). Ends in a sample.

    large_variance: with beta, the larger of the two variances of Ho et al. 2020, section 3.2."""
    for k, (old, new) in enumerate(zip(levels[:-1], levels[1:], strict=False)):
        mean = denoiser(x, old)[0]
        kept = _ratio(new, old) ** 2
        std = new * np.sqrt(np.maximum(1.0 - kept, 0.0))
        if large_variance:
            std = (new > 0) * old * np.sqrt(np.maximum(1.0 - kept, 0.0) * (1 + new**2) / (1 + old**2))
        x = mean + kept * (x - mean) + std * rng(k, x.shape)
    return x


def posterior_draw(denoiser, x, levels, rng):
    """As ddpm, with the covariance C = J S that x0 has given x (J the derivative of D, S = diag(sigma^2): second-order
    Tweedie): for a Gaussian, at any length of step, x_s given x has the mean of ddpm and the covariance
    (1 - q^2)^2 C + s^2 (1 - q^2), q = s/sigma. One white z gives it nearly: s sqrt(1 - q^2) z +
    (1 - q) sqrt(1 - q^2) J sigma z.

    Of a denoiser that says `approximate` nothing of x is kept but x0: x_s = x0 + s n with fresh n has the same marginal
    (Zhang et al. 2024, DAPS), the mean D and the covariance C + s^2, by s z + (sqrt(1 + q^2) - q) J sigma z."""
    anew = getattr(denoiser, "approximate", False)
    reach = 0.1  # of the difference that J is taken by, in units of sigma
    for k, (old, new) in enumerate(zip(levels[:-1], levels[1:], strict=False)):
        mean, z = denoiser(x, old)[0], rng(k, x.shape)
        spread = (denoiser(x + reach * old * z, old)[0] - mean) / reach
        # J has eigenvalues in 0 .. 1: |J z|^2 is at most <z, J z>.
        length = np.sum(np.abs(spread / old) ** 2, axis=-1, keepdims=True)
        along = np.sum(np.real(np.conj(z) * spread / old), axis=-1, keepdims=True)
        spread = spread * np.clip(along / length, 0.0, 1.0)
        ratio = _ratio(new, old)
        whole = np.sqrt(np.maximum(1.0 - ratio**2, 0.0))
        if anew:
            x = mean + new * z + (np.sqrt(1.0 + ratio**2) - ratio) * spread
        else:
            x = mean + ratio**2 * (x - mean) + new * whole * z + (1.0 - ratio) * whole * spread
    return x


def posterior_mean(denoiser, x, levels, rng=None):
    """The DDPM mean without its noise: from a matched start it ends near E[x0 | y].

    Fesl et al. 2024, algorithm 1, in VE coordinates; exact for a Gaussian prior in the limit of fine
    levels.
    """
    for old, new in zip(levels[:-1], levels[1:], strict=False):
        mean = denoiser(x, old)[0]
        x = mean + _ratio(new, old) ** 2 * (x - mean)
    return x


def euler(denoiser, x, levels, rng=None):
    """First-order step of the flow ODE. In VE coordinates it equals DDIM(0)."""
    for old, new in zip(levels[:-1], levels[1:], strict=False):
        slope = _slope(denoiser, x, old)
        x = x + (new - old) * slope
    return x


def heun(denoiser, x, levels, rng=None):
    """Second order (Karras et al. 2022, algorithm 1); an element that goes to 0 takes Euler's step."""
    for old, new in zip(levels[:-1], levels[1:], strict=False):
        slope = _slope(denoiser, x, old)
        ahead = x + (new - old) * slope
        if np.all(np.asarray(new) == 0):
            x = ahead
            continue
        second = np.where(np.asarray(new) > 0, _slope(denoiser, ahead, new), slope)
        x = x + (new - old) * 0.5 * (slope + second)
    return x


def dpmpp_2m(denoiser, x, levels, rng=None):
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2), in lambda = -log sigma; last step first order."""
    previous = previous_h = None
    for old, new in zip(levels[:-1], levels[1:], strict=False):
        mean = denoiser(x, old)[0]
        ratio = _ratio(new, old)
        with np.errstate(divide="ignore"):
            h = -np.log(ratio)  # inf for a step to 0
        usable = previous is not None and np.all(np.isfinite(h))
        direction = mean
        if usable:
            both = (h > 0) & (previous_h > 0)
            weight = np.divide(h, 2.0 * previous_h, out=np.zeros(np.shape(h)), where=both)
            direction = mean + weight * (mean - previous)
        x = ratio * x + (1.0 - ratio) * direction
        previous, previous_h = mean, h
    return x


def _slope(denoiser, x, sigma):
    """dx / dsigma = (x - D(x, sigma)) / sigma."""
    return _ratio(1.0, sigma) * (x - denoiser(x, sigma)[0])


SAMPLERS = {
    "one_step": one_step,
    "posterior_mean": posterior_mean,
    "ddim": ddim,
    "ddpm": ddpm,
    "posterior_draw": posterior_draw,
    "euler": euler,
    "heun": heun,
    "dpmpp_2m": dpmpp_2m,
}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditioning is composition: condition(prior, operator, y, noise) is again a denoiser.

posterior(x, sigma) = E[x0 | x = x0 + sigma n, y = A x0 + w] with n and w independent. A sampler sees
only (x, sigma) -> (mean, variance) and knows neither operator nor guidance.
"""

import numpy as np

from .operators import Identity, Mask, fuse
from .priors import DiagonalGaussian, Gaussian, Mixture
from .qam import Qam

MOST_CANDIDATES = 65536  # symbol vectors that are tried one by one

CLOSED_FORMS = (DiagonalGaussian, Gaussian, Mixture, Qam)
TOP_LEVEL = 30.0  # where nothing is known of x, the derivative is taken there


def condition(prior, operator, y, noise, guidance=None, steps=None):
    """A posterior denoiser. y: [B, M]; noise: variance per complex element, broadcasts to y.

    guidance: a name of GUIDANCES; None: `combined` where the operator keeps elements apart, `joint` for a matrix and
    a prior in closed form, else `proximal`. steps: of conjugate gradients, of pigdm (4) and dps (1).
    """
    if guidance is None:
        apart = isinstance(operator, (Identity, Mask))
        guidance = "combined" if apart else "joint" if _known_jointly(prior, operator) else "proximal"
    options = {} if steps is None else {"steps": int(steps)}
    return GUIDANCES[guidance](prior, operator, y, noise, **options)


def _known_jointly(prior, operator):
    if not hasattr(operator, "matrix"):
        return False
    if isinstance(prior, Qam):
        return prior.order ** operator.matrix.shape[1] <= MOST_CANDIDATES
    return isinstance(prior, CLOSED_FORMS)


class _Fused:
    """Exact for every prior: x and y are two looks at the same elements, which fuse into one look of less noise."""

    def __init__(self, prior, operator, y, noise):
        self.prior, self.y = prior, y
        noise = np.broadcast_to(np.asarray(noise, float), y.shape)
        if isinstance(operator, Mask):
            self.y, noise = operator.apply(y), operator.noise_map(noise, y.shape)
        self.noise = noise

    def __call__(self, x, sigma):
        x, variance = fuse(x, np.asarray(sigma, float) ** 2, self.y, self.noise)
        return self.prior(x, np.sqrt(variance))


class _Joint:
    """Exact for Gaussians and mixtures: B x0 with B = [I; A] has a mixture of the same kind as prior, and (x, y) is a
    noisy look at it."""

    def __init__(self, prior, operator, y, noise):
        if isinstance(prior, DiagonalGaussian):
            mean = prior.mean * np.ones(len(prior.variance))
            prior = Gaussian(np.diag(prior.variance), mean)
        self.size = operator.matrix.shape[1]
        both = np.vstack([np.eye(self.size), operator.matrix])
        self.y, self.noise = y, np.broadcast_to(np.asarray(noise, float), y.shape)
        if isinstance(prior, Gaussian):
            self.prior = Gaussian(both @ prior.covariance @ both.conj().T, both @ prior.mean)
        else:
            covariances = both @ prior.covariances @ both.conj().T
            self.prior = Mixture(prior.weights, prior.means @ both.T, covariances, prior.real)

    def __call__(self, x, sigma):
        levels = np.broadcast_to(np.asarray(sigma, float), x.shape)
        looks = np.concatenate([x, self.y], axis=1)
        mean, variance = self.prior(looks, np.concatenate([levels, np.sqrt(self.noise)], axis=1))
        return mean[:, : self.size], variance[:, : self.size]


class _Enumerated:
    def __init__(self, prior, operator, y, noise):
        self.prior, self.matrix, self.y = prior, operator.matrix, y
        self.noise = np.broadcast_to(np.asarray(noise, float), y.shape)

    def __call__(self, x, sigma):
        levels = np.broadcast_to(np.asarray(sigma, float), x.shape)
        items = [self.prior.joint(x[b], levels[b], self.y[b], self.matrix, self.noise[b]) for b in range(len(x))]
        return np.stack([mean for mean, _ in items]), np.stack([variance for _, variance in items])


class _Proximal:
    """The prior's mean, then the operator's proximal step (Zhu et al. 2023, eq. 12-13). Its weight is the mean variance
    that a closed-form prior states, else sigma^2 / (1 + sigma^2), what a white prior of unit power would leave (Song et
    al. 2023, app. A.3)."""

    approximate = True

    def __init__(self, prior, operator, y, noise):
        self.prior, self.operator, self.y, self.noise = prior, operator, y, noise

    def __call__(self, x, sigma):
        mean, variance = self.prior(x, sigma)
        level2 = np.asarray(sigma, float) ** 2
        with np.errstate(invalid="ignore"):
            weight = np.where(np.isinf(level2), 1.0, level2 / (1.0 + level2))
        if isinstance(self.prior, CLOSED_FORMS):
            weight = variance.mean(1, keepdims=True)
        return self.operator.prox(mean, weight, self.y, self.noise), variance


class _Gradient:
    """E[x0 | x, y] = D + C A^H (A C A^H + R)^-1 (y - A D) of a Gaussian around D with the covariance C = J S of the
    derivative J of D, S = diag(sigma^2) (second-order Tweedie), by conjugate gradients: `pigdm` with the
    preconditioner r^2 A A^H + R, r^2 = sigma^2 / (1 + sigma^2) (Song et al. 2023, eq. 8), `dps` with R (Chung et al.
    2023, eq. 16). Linear operators."""

    approximate = True

    def __init__(self, prior, operator, y, noise, white, steps):
        self.prior, self.y, self.white, self.steps = prior, y, white, steps
        size = getattr(operator, "size", y.shape[1])
        self.matrix = np.asarray(operator.apply(np.eye(size))).T
        self.noise = np.broadcast_to(np.asarray(noise, float), y.shape)

    def __call__(self, x, sigma):
        levels = np.broadcast_to(np.asarray(sigma, float), x.shape)
        told = np.minimum(levels, TOP_LEVEL)
        with np.errstate(invalid="ignore"):
            x = np.where(np.isinf(levels), 0, x * (told / levels) ** 2)
        mean = self.prior(x, told)[0]
        corrections = [self._correction(b, x[b : b + 1], told[b : b + 1], mean[b]) for b in range(len(x))]
        return mean + np.stack(corrections), np.full(x.shape, np.nan)

    def _correction(self, b, x, levels, mean):
        seen = np.isfinite(self.noise[b]) & np.any(self.matrix != 0, 1)
        a, noise = self.matrix[seen], self.noise[b, seen]
        s2 = levels[0] ** 2
        white = np.mean(s2 / (1 + s2)) if self.white else 0.0
        before = np.linalg.inv(white * a @ a.conj().T + np.diag(noise))

        def spread(w):  # C w by a difference of D along S w
            along = s2 * w
            length = 1e-4 * np.sqrt(np.mean(s2)) / max(np.sqrt(np.mean(np.abs(along) ** 2)), 1e-300)
            ahead, behind = (self.prior(x + sign * length * along, levels)[0][0] for sign in (1, -1))
            return (ahead - behind) / (2 * length)

        residual = self.y[b, seen] - a @ mean
        correction, direction, product = np.zeros(len(mean), complex), 0, 0
        for _ in range(self.steps):
            scaled = before @ residual
            now = np.vdot(residual, scaled).real
            direction = scaled + (now / product if product > 0 else 0) * direction
            product = now
            moved = spread(a.conj().T @ direction)
            image = a @ moved + noise * direction
            curvature = np.vdot(direction, image).real
            if curvature <= 0:
                break
            correction = correction + product / curvature * moved
            residual = residual - product / curvature * image
        return correction


class _Propagation:
    """Expectation propagation between prior and measurement (Rangan, Schniter and Fletcher 2019, algorithm 1): Gaussian
    messages of one variance for each item, (r1, g1) to the prior and (r2, g2) from it, begun at (0, 1). What the
    measurement leaves is g times the derivative of its proximal step, by a difference along fixed signs."""

    approximate = True
    REACH, SHARES, STATED, DAMPING = 0.03, (0.02, 0.98), 0.95, 0.7
    VARIANCES = (1e-8, 900.0)

    def __init__(self, prior, operator, y, noise, steps=8):
        self.prior, self.operator, self.y, self.noise, self.steps = prior, operator, y, noise, steps

    def __call__(self, x, sigma):
        of_x = np.broadcast_to(np.asarray(sigma, float), x.shape)[:, :1] ** 2
        weight = np.where(np.isfinite(of_x), 1 / np.maximum(of_x, self.VARIANCES[0]), 0)
        look = np.where(weight > 0, x, 0)
        message, g2 = np.zeros(x.shape, x.dtype), np.ones((len(x), 1))
        parts = 2 if np.iscomplexobj(x) else 1
        signs = _signs(x.shape[1] * parts).view(complex if parts == 2 else float)
        for k in range(self.steps):
            tau2 = 1 / (1 / g2 + weight)
            told = tau2 * (message / g2 + weight * look)
            reach = self.REACH * np.sqrt(tau2)
            seen, near = (self.operator.prox(z, tau2, self.y, self.noise) for z in (told, told + reach * signs))
            share = np.mean(np.real(np.conj(signs) * (near - seen)), 1, keepdims=True) / (reach * parts)
            v1 = np.clip(share, *self.SHARES) * tau2
            g1 = np.clip(1 / (1 / v1 - 1 / g2), *self.VARIANCES)
            asked = g1 * (seen / v1 - message / g2)
            mean, variance = self.prior(asked, np.sqrt(g1))
            v2 = np.clip(variance.mean(1, keepdims=True), self.VARIANCES[0], self.STATED * g1)
            new = np.maximum(1 / (1 / v2 - 1 / g1), self.VARIANCES[0])
            part = self.DAMPING if k else 1.0
            message = part * new * (mean / v2 - asked / g1) + (1 - part) * message
            g2 = new**part * g2 ** (1 - part)
        return mean, variance


class _PlugAndPlay:
    """Plug-and-play flow (Martin et al. 2025, alg. 3), without its noise: the prior at falling levels, a proximal step
    after each, and a part of the last move once more."""

    approximate = True
    LEVELS, TRUST, MOMENTUM = (2.0, 0.025), 4.5, 0.2

    def __init__(self, prior, operator, y, noise, steps=20):
        self.prior, self.operator, self.y, self.noise, self.steps = prior, operator, y, noise, steps

    def __call__(self, x, sigma):
        state = np.broadcast_to(np.asarray(sigma, float), x.shape)[:, :1]
        x = np.where(np.isfinite(state), x, 0)
        last = np.minimum(self.LEVELS[1], state)
        first = np.clip(state, last, self.LEVELS[0])
        before = x
        for k in range(self.steps):
            level = first * (last / first) ** (k / max(self.steps - 1, 1))
            mean, variance = self.prior(x, level)
            now = self.operator.prox(mean, self.TRUST * level**2 / (1 + level**2), self.y, self.noise)
            x = now + (self.MOMENTUM * (now - before) if k else 0)
            before = now
        return now, variance


def _signs(count):
    """+1 and -1 [count], those of the core."""
    with np.errstate(over="ignore"):
        h = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        h = (h ^ (h >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.where(h >> np.uint64(63), 1.0, -1.0)


def _pigdm(prior, operator, y, noise, steps=4):
    return _Gradient(prior, operator, y, noise, True, steps)


def _dps(prior, operator, y, noise, steps=1):
    return _Gradient(prior, operator, y, noise, False, steps)


def _joint(prior, operator, y, noise):
    return (_Enumerated if isinstance(prior, Qam) else _Joint)(prior, operator, y, noise)


#: {name: f(prior, operator, y, noise)}, in the core's order of preference.
GUIDANCES = {
    "combined": _Fused,
    "joint": _joint,
    "pigdm": _pigdm,
    "proximal": _Proximal,
    "dps": _dps,
    "ep": _Propagation,
    "plug_and_play": _PlugAndPlay,
}
#: Steps that a guidance takes unless told otherwise; each costs an evaluation.
STEPS = {"pigdm": 4, "dps": 1, "ep": 8, "plug_and_play": 20}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Narrowband MIMO channel estimation under a learned diffusion prior, told nothing but the noise level.

y = h + n: h a snapshot of a uniform linear array at half a wavelength (64x1), or of two of them
(16x64, a matrix with the receiver's antennas as rows). After B. Fesl, M. Baur, F. Strasser, M. Joham
and W. Utschick, "Diffusion-Based Generative Prior for Low-Complexity MIMO Channel Estimation", IEEE
Wireless Communications Letters, 2024: denoise in the angular domain from the level that the
measurement has. There a plain convolutional net takes 1 to 81 steps; here the net says the gain of
every angle from the powers alone, and one step is the posterior mean.
"""

from functools import lru_cache, partial

import numpy as np

from ..air import measure
from ..base import model_packages
from ..base.signal import complex_noise32
from ..models import classical
from ..models.angular_gains import angular_gains
from .base import Claim, Network, Scheme, TestData

CLUSTERS = 3
SPREAD_DEG = 2.0  # standard deviation of a cluster's Laplacian in angle
RICE_DB = (9.0, 3.5)  # mean and deviation of the line of sight over all else (3GPP TR 38.901, UMa LOS)
OVERSAMPLING = 4  # frequencies of a drawn channel per antenna
KRONECKER = {"gmm": (4, 16), "lmmse": (1, 1)}  # components of the large array's baselines, receiver, transmitter
PARTS = ("rows", "columns", "weights")
FIT = 100_000  # channels that the mixtures are fitted to
KINDS = ("3gpp", "los")
PUBLISHED_DB = (-10, -5, 0, 5, 10, 15, 20)
PUBLISHED = {
    "3gpp": (-1.37, -4.37, -8.00, -11.73, -15.75, -19.92, -24.20),
    "los": (-7.56, -9.01, -10.45, -12.76, -15.95, -19.29, -22.67),
}
PUBLISHED_ON = "its authors' own generators of such channels, not on these"
PUBLISHED_STEPS = (68, 52, 36, 23, 13, 7, 4)
PUBLISHED_MACS = 53_950_000  # of one step at 16x64


# ---- channels ----


def spectrum(gains, angles, antennas):
    """Power over `OVERSAMPLING * antennas` spatial frequencies, sum 1: [n, L], [n, L] -> [n, F].

    Frequency k / F - 1/2 cycles per antenna is sin(angle) / 2. Every frequency gets the integral of
    the Laplacians over its bin, so that narrow clusters near endfire keep their power."""
    size = OVERSAMPLING * antennas
    edges = np.arcsin(np.linspace(-1, 1, size + 1))
    distance = ((edges - angles[..., None]) * (np.sqrt(2) / np.deg2rad(SPREAD_DEG))).astype(np.float32)
    tail = np.exp(-np.abs(distance)) / 2
    below = np.where(distance < 0, tail, 1 - tail)
    power = np.diff((gains.astype(np.float32)[:, None] @ below)[:, 0], axis=-1)
    return power / power.sum(1, keepdims=True)


@lru_cache
def _waves(frequencies, antennas):
    """exp(2j pi f a) of every frequency and antenna [F, N], complex64."""
    f = (np.arange(frequencies) + 0.5) / frequencies - 0.5
    return np.exp(2j * np.pi * np.outer(f, np.arange(antennas))).astype(np.complex64)


def gaussian(rng, rows, columns):
    """Draw [n, rx, tx] of CN(0, C_rx kron C_tx), the factors given by their spectra [n, F]; the
    spectrum of a single antenna is one number."""
    n, rx, tx = len(rows), rows.shape[1] // OVERSAMPLING, columns.shape[1] // OVERSAMPLING
    amplitudes = np.sqrt(columns)[:, None].astype(np.float32)
    z = complex_noise32(rng, (n, max(rx, 1), columns.shape[1])) * amplitudes
    h = z @ _waves(columns.shape[1], tx)
    if rx > 1:
        lags = rows.astype(float) @ _waves(rows.shape[1], rx)
        lag = np.subtract.outer(np.arange(rx), np.arange(rx))
        covariance = np.where(lag >= 0, lags[:, abs(lag)], lags[:, abs(lag)].conj()) + 1e-5 * np.eye(rx)
        h = np.linalg.cholesky(covariance) @ h
    return h.astype(np.complex64)


def draw(kind, rng, n, rx, tx):
    """n channels [n, rx, tx] of a kind, E|h|^2 = 1.

    3gpp: three clusters at each end, at uniform angles and with uniform gains, covariance the
    Kronecker product of both ends'. los: one path between uniform angles, and three clusters, each
    with an angle at either end and together weaker by the Rice factor."""
    gains = rng.random((n, CLUSTERS))
    gains /= gains.sum(1, keepdims=True)

    def angles(*shape):
        return rng.uniform(-np.pi / 2, np.pi / 2, shape)

    def side(antennas, gains):
        return np.ones((n, 1)) if antennas == 1 else spectrum(gains, angles(*gains.shape), antennas)

    if kind == "3gpp":
        return gaussian(rng, side(rx, gains), side(tx, gains))
    one = np.ones((n, 1))
    h = 0
    for c in range(CLUSTERS):
        amplitude = np.sqrt(gains[:, c]).astype(np.float32)
        h = h + amplitude[:, None, None] * gaussian(rng, side(rx, one), side(tx, one))
    rice = 10 ** (rng.normal(*RICE_DB, (n, 1, 1)) / 10)
    phase = np.sin(angles(n, 1, 1)) * np.arange(tx) + np.sin(angles(n, 1, 1)) * np.arange(rx)[:, None]
    path = np.exp(1j * np.pi * (phase + rng.uniform(-1, 1, (n, 1, 1))))
    return ((np.sqrt(rice) * path + h) / np.sqrt(1 + rice)).astype(np.complex64)


# ---- baselines of the large array ----


class KroneckerMixture:
    """Mixture of zero-mean Gaussians with covariances C_rx kron C_tx, one for every pair of
    receiver's [J, rx, rx] and transmitter's [I, tx, tx] covariances; weights [J, I].

    At 1024 elements 100,000 channels do not pin down a full covariance for each of 64 components, so
    both ends are fitted apart, as is usual. Of three mixtures tried it is the best from 10 dB on and
    level with the others at 0 dB: on `3gpp` at 0/10/20 dB -5.9/-13.7/-22.8 dB; diagonal after a 2-D DFT
    -6.0/-13.1/-21.3; full, by hard assignment, -5.9/-12.8/-20.6."""

    def __init__(self, rows, columns, weights):
        self.shape = rows.shape[1], columns.shape[1]
        self.rows, self.columns, self.weights = rows, columns, np.asarray(weights)
        self._rows = [np.linalg.eigh(c) for c in rows]
        self._columns = [np.linalg.eigh(c) for c in columns]

    def _terms(self, y):
        """(j, i, y in the eigenvectors' coordinates, eigenvalues) of each component."""
        for i, (tx_values, v) in enumerate(self._columns):
            right = y @ v.conj()
            for j, (rx_values, u) in enumerate(self._rows):
                yield j, i, u.conj().T @ right, np.maximum(np.outer(rx_values, tx_values), 0)

    def responsibilities(self, y, noise_var):
        """p(component | y) [B, J, I] of y [B, rx, tx]."""
        score = np.empty((len(y), *self.weights.shape))
        for j, i, z, power in self._terms(y):
            total = power + noise_var
            score[:, j, i] = -np.sum(np.abs(z) ** 2 / total, (1, 2)) - np.log(total).sum()
        score += np.log(self.weights + 1e-12)
        score = np.exp(score - score.max((1, 2), keepdims=True))
        return score / score.sum((1, 2), keepdims=True)

    def __call__(self, y, noise_var, rows=250):
        """Posterior mean [R, rx * tx] of y [R, rx * tx]."""
        out = np.empty(y.shape, np.complex64)
        for first in range(0, len(y), rows):
            part = y[first : first + rows].reshape(-1, *self.shape)
            share = self.responsibilities(part, noise_var)
            mean = 0
            for j, i, z, power in self._terms(part):
                z = z * (share[:, j, i, None, None] * (power / (power + noise_var)))
                mean = mean + self._rows[j][1] @ z @ self._columns[i][1].T
            out[first : first + rows] = mean.reshape(len(part), -1)
        return out


def fit_kronecker(kind, rx, tx, row_components, column_components, count=FIT):
    """A KroneckerMixture fitted to `count` channels of a kind, one vector of either end from each: all
    of a channel's vectors share that end's covariance. Deterministic."""
    rng = np.random.default_rng([rx, tx, 12])

    def fitted(antennas, components):
        x = draw(kind, rng, count, 1, antennas)[:, 0]
        if components == 1:
            return classical.covariance(x)[None]
        return classical.fit_mixture(x, components, rng)[1]

    rows, columns = fitted(rx, row_components), fitted(tx, column_components)
    mixture = KroneckerMixture(rows, columns, np.full((len(rows), len(columns)), 1 / len(rows) / len(columns)))
    if mixture.weights.size > 1:
        few = draw(kind, rng, 4000, rx, tx)
        for _ in range(5):
            mixture.weights = mixture.responsibilities(few, 0.01).mean(0)
    return mixture


# ---- the schemes ----


class MimoChanest(Scheme):
    """One array size. Its net is trained on both kinds of channel at once and told neither."""

    reference = (
        "B. Fesl et al., 'Diffusion-Based Generative Prior for Low-Complexity MIMO Channel Estimation', "
        "IEEE Wireless Communications Letters, 2024"
    )
    snr_definition = "mean channel power over noise variance, both per antenna (pair), full pilots"
    snr_db = PUBLISHED_DB
    training_snr_db = (-14.0, 32.0)
    data = (
        f"drawn as training goes, half of each: '3gpp', three clusters of {SPREAD_DEG:g} degrees (Laplacian) at "
        f"uniform angles, Gaussian given these; 'los', one path between uniform angles, a Rice factor of "
        f"{RICE_DB[0]:g} +- {RICE_DB[1]:g} dB above three such clusters"
    )
    rx, tx = 1, 64

    def of_kind(self, kind, rng, n):
        """n channels [n, *shape]."""
        return draw(kind, rng, n, self.rx, self.tx).reshape(n, *self.shape)

    def sample(self, rng, n):
        first = n // 2
        h = np.concatenate([self.of_kind("3gpp", rng, first), self.of_kind("los", rng, n - first)])
        return h[rng.permutation(n)]

    def validation(self):
        def at(kind, snr_db):
            rng = np.random.default_rng(9000)
            h = self.of_kind(kind, rng, 400)
            nv = np.float32(10 ** (-snr_db / 10))
            return measure.observe(h, nv, nv, np.ones(h.shape, bool), rng, self.gain)

        return {kind: partial(at, kind) for kind in KINDS}

    def mixture(self, kind):
        """Name of the 64-component mixture fitted to a kind of channel."""
        raise NotImplementedError

    def claims(self):
        claims, size = [], self.name.removeprefix("mimo_chanest_")
        for kind in KINDS:
            for snr in (0, 10):
                name = f"{size}, {kind}: below a 64-component GMM at {snr} dB"
                claims.append(Claim(name, "diffusion", snr, against=self.mixture(kind), gate=-0.3, data=kind))
            claims += [
                Claim(
                    f"{size}, {kind}: NMSE at {snr} dB{text}",
                    "diffusion",
                    snr,
                    published=figure,
                    data=kind,
                    published_on=None if figure is None else PUBLISHED_ON,
                )
                for snr, figure, text in self.published(kind)
            ]
        return claims

    def published(self, kind):
        """(SNR, NMSE or None, words on its cost): figures exist for 16x64 only."""
        return [(snr, None, "") for snr in PUBLISHED_DB]

    def estimators(self, kind):
        """Baselines that are no members, for one kind of channel."""
        return {}

    def test_data(self, count, seed):
        parts = []
        for i, kind in enumerate(KINDS):
            h = self.of_kind(kind, np.random.default_rng([seed, i]), (count + 1 - i) // 2)
            h /= np.sqrt(np.mean(np.abs(h) ** 2))  # of all: few channels fade by several per cent
            parts.append(TestData(h, name=kind, estimators=self.estimators(kind)))
        return parts

    def card(self):
        return (
            "For snapshots of uniform linear arrays at half a wavelength, with the noise level known. The net was "
            "trained on clustered and on line-of-sight channels and is told neither; mixtures and LMMSE know the kind "
            "of channel. One step is the posterior mean; more steps are for samples and for other operators."
        )


class LinearArray(MimoChanest):
    """64 antennas, one at the other end."""

    name, title = "mimo_chanest_64x1", "Channel of a 64-antenna linear array"
    shape, axes = (64,), ("antenna",)
    evaluations = (1, 3, 10)

    def networks(self):
        build = partial(angular_gains, 1, 64, channels=32, depths=(3, 3), reach=(1, 5))
        return {"diffusion": Network(build, "diffusion prior, one step", 0.2, minutes=10, batch=128)}

    def mixture(self, kind):
        return f"{kind}_gmm"

    def tensors(self, progress=print):
        out = {}
        for kind in KINDS:
            progress(f"fitting a mixture of 64 Gaussians to {FIT:,} channels of kind {kind}")
            h = self.of_kind(kind, np.random.default_rng(12), FIT)
            weights, covariances = classical.fit_mixture(h, 64, np.random.default_rng(64))
            out[f"{kind}_covariance.npy"] = classical.covariance(h)
            out[f"{kind}_gmm_weights.npy"] = weights
            out[f"{kind}_gmm_means.npy"] = np.zeros((64, self.tx), np.complex64)
            out[f"{kind}_gmm_covariances.npy"] = covariances
        return out

    def classical(self):
        members = {}
        for kind in KINDS:
            names = {n: f"{kind}_gmm_{n}.npy" for n in ("weights", "means", "covariances")}
            members[f"{kind}_gmm"] = {
                "title": f"mixture of 64 Gaussians, fitted to {FIT:,} channels of kind {kind}",
                "prior": {"type": "gmm", **names},
            }
            members[f"{kind}_lmmse"] = {
                "title": f"LMMSE with the average covariance of kind {kind}",
                "prior": {"type": "gaussian", "covariance": f"{kind}_covariance.npy"},
            }
        return members


class TwoArrays(MimoChanest):
    """16 receive antennas, 64 transmit antennas. Its baselines have no form among the contract's
    priors: they ship as tensors that the estimators of the test data read."""

    name, title = "mimo_chanest_16x64", "Channel of a 16x64 MIMO system"
    shape, axes = (16, 64), ("receive antenna", "transmit antenna")
    rx = 16
    evaluations = (1, 3)
    baselines = tuple(f"{k}_{m}_{p}.npy" for k in KINDS for m in KRONECKER for p in PARTS)

    def networks(self):
        build = partial(angular_gains, 16, 64, channels=16, depths=(2, 2), reach=(3, 3))
        return {"diffusion": Network(build, "diffusion prior, one step", 0.2, minutes=24, batch=32)}

    def mixture(self, kind):
        return "gmm"

    def published(self, kind):
        words = [f" (published: {n} steps, {n * PUBLISHED_MACS / 1e6:.0f} M multiply-adds)" for n in PUBLISHED_STEPS]
        return zip(PUBLISHED_DB, PUBLISHED[kind], words, strict=True)

    def tensors(self, progress=print):
        out = {}
        for kind in KINDS:
            for method, components in KRONECKER.items():
                progress(f"fitting {kind}_{method} to {FIT:,} channels")
                mixture = fit_kronecker(kind, self.rx, self.tx, *components)
                out |= {f"{kind}_{method}_{part}.npy": getattr(mixture, part) for part in PARTS}
        return out

    def estimators(self, kind):
        folder, _ = model_packages.locate(self.name, checkout_first=True)
        return {
            method: KroneckerMixture(*(np.load(folder / f"{kind}_{method}_{part}.npy") for part in PARTS))
            for method in KRONECKER
        }


SCHEMES = (LinearArray(), TwoArrays())

# SPDX-License-Identifier: GPL-3.0-or-later
"""MIMO channel from fewer pilots than antennas: Y = H P + N, 16 receive and 64 transmit antennas, 38 or 25 pilots.

The signal is x = H U, U [64, 64] unitary with QPSK entries (`models.pilot_gains.pilot_basis`): what each of 64 pilots
would bring. A pilot that is not sent is an element that is not observed, so the operator is a mask and conditioning is
exact. H = x U^H; its error is that of x. After X. Ma et al. (posterior sampling by DDPM and DDIM) and M. Arvinte and
J. Tamir, "MIMO Channel Estimation Using Score-Based Generative Models", IEEE Transactions on Wireless Communications,
2023 (annealed Langevin, the same measurement with random QPSK pilots and CDL channels).
"""

from functools import partial

import numpy as np

from ..air import measure
from ..base import model_packages
from ..models.pilot_gains import large_array, pilot_basis
from . import mimo_chanest
from .base import Claim, Network, Scheme, TestData

RX, TX = 16, 64
DENSITIES = (0.6, 0.4)  # pilots over transmit antennas
BASIS = pilot_basis(TX)
PUBLISHED = {0: -7.5, 10: -16.0, 20: -24.5}  # at density 0.6
PUBLISHED_ON = "CDL-C of fixed angles, random QPSK pilots, the best step against the truth (an oracle); not on these"


def pilots(density):
    """How many pilots are sent."""
    return int(density * TX)


def observed(density):
    """[16, 64] bool: the elements of x that pilots bring."""
    return np.broadcast_to(np.arange(TX) < pilots(density), (RX, TX))


class AverageLmmse:
    """Linear MMSE of x behind a mask, H of covariance rows kron columns ([16, 16], [64, 64]): receive antennas are
    decoupled by the eigenvectors of `rows`, and each has its own filter."""

    def __init__(self, rows, columns, count):
        self.values, self.vectors = np.linalg.eigh(rows)
        self.covariance, self.count = BASIS.T @ columns @ BASIS.conj(), count  # of the columns of x

    def __call__(self, y, noise_var):
        """Posterior mean [R, 1024] of y [R, 1024]."""
        turned = np.einsum("ji,njt->nit", self.vectors.conj(), y.reshape(-1, RX, TX)[..., : self.count])
        out = np.empty((len(turned), RX, TX), complex)
        for i, value in enumerate(np.maximum(self.values, 0)):
            seen = value * self.covariance[: self.count, : self.count] + noise_var * np.eye(self.count)
            gain = value * self.covariance[:, : self.count] @ np.linalg.inv(seen)
            out[:, i] = turned[:, i] @ gain.T
        return np.einsum("ij,njt->nit", self.vectors, out).reshape(len(y), -1).astype(np.complex64)


class MimoPilotPosterior(Scheme):
    name, title = "mimo_pilot_posterior", "Channel of a 16x64 MIMO system from fewer pilots than antennas"
    reference = "X. Ma et al., posterior sampling for MIMO channels by DDPM and DDIM; M. Arvinte and J. Tamir 2023"
    shape, axes = (RX, TX), ("receive antenna", "pilot")
    operator = "mask"
    snr_definition = "mean power of a received pilot over noise variance, per receive antenna"
    snr_db = (0, 10, 20)
    training_snr_db = (-8.0, 30.0)
    evaluations = ()
    realisations = 100
    data = mimo_chanest.MimoChanest.data + "; pilots missing at random"
    plan = {"type": "geometric", "steps": 20, "sigma_max": 6.0, "sigma_min": 0.03}
    shown = {"ddim": 20, "ddpm": 100}  # samplers of many steps, and how many
    baselines = tuple(f"{kind}_{part}.npy" for kind in mimo_chanest.KINDS for part in ("rows", "columns"))

    def sample(self, rng, n):
        first = n // 2
        kinds = zip(mimo_chanest.KINDS, (first, n - first), strict=True)
        h = np.concatenate([mimo_chanest.draw(kind, rng, count, RX, TX) for kind, count in kinds])
        return (h[rng.permutation(n)] @ BASIS).astype(np.complex64)

    def batch(self, rng, n, prior_share):
        h = self.sample(rng, n)
        nv = (10 ** (-rng.uniform(*self.training_snr_db, (n, 1, 1)) / 10)).astype(np.float32)
        count = np.where(rng.random(n) < 0.85, rng.choice([pilots(d) for d in DENSITIES], n), TX)
        seen = np.array(np.broadcast_to(np.arange(TX) < count[:, None, None], h.shape))
        batch = measure.observe(h, nv, nv, seen, rng, self.gain)
        return measure.as_prior_state(batch, prior_share, rng) if prior_share else batch

    def validation(self):
        def at(kind, density, snr_db):
            rng = np.random.default_rng(9000)
            x = (mimo_chanest.draw(kind, rng, 100, RX, TX) @ BASIS).astype(np.complex64)
            nv = np.float32(10 ** (-snr_db / 10))
            return measure.observe(x, nv, nv, np.broadcast_to(observed(density), x.shape), rng, self.gain)

        return {f"{kind}, {d}": partial(at, kind, d) for kind in mimo_chanest.KINDS for d in DENSITIES}

    def networks(self):
        return {
            "diffusion": Network(
                partial(large_array, 3), "diffusion prior, one step", 0.3, minutes=20, batch=32, rate=6e-4
            )
        }

    def tensors(self, progress=print):
        out = {}
        for kind in mimo_chanest.KINDS:
            progress(f"fitting {kind}_lmmse to {mimo_chanest.FIT:,} channels")
            mixture = mimo_chanest.fit_kronecker(kind, RX, TX, 1, 1)
            out |= {f"{kind}_rows.npy": mixture.rows[0], f"{kind}_columns.npy": mixture.columns[0]}
        return out | {"pilots.npy": BASIS}

    def classical(self):
        prior = {"type": "onnx", "file": "diffusion.onnx"}
        titles = {name: f"a draw of the posterior by {name}, {steps} steps" for name, steps in self.shown.items()}
        return {name: {"title": title, "prior": prior} for name, title in titles.items()}

    def choices(self, member):
        choices = super().choices(member)
        if member not in self.shown:
            return choices
        plan = {**self.plan, "steps": self.shown[member]}
        sampler = {"type": member, "eta": 1.0} if member == "ddim" else {"type": member}
        return {**choices, "start": {"type": "noise"}, "sampler": sampler, "plan": plan, "guard": False}

    def claims(self):
        claims = []
        for kind in mimo_chanest.KINDS:
            for density in DENSITIES:
                part, words = f"{kind}, {density}", f"{kind}, pilots on {density} of the antennas"
                claims += [
                    Claim(f"{words}: below LMMSE at {snr} dB", "diffusion", snr, "lmmse", gate=-1.5, data=part)
                    for snr in (10, 20)
                ]
                text = f"{words}: ddim in 20 evaluations against ddpm in 100, at 10 dB"
                claims.append(Claim(text, "ddim", 10, "ddpm", gate=0.0, data=part))
        claims.append(
            Claim("3gpp, 0.6: NMSE at 10 dB in one evaluation", "diffusion", 10, gate=-15.0, data="3gpp, 0.6")
        )
        claims += [
            Claim(f"3gpp, 0.6: NMSE at {snr} dB", "diffusion", snr, None, figure, None, "3gpp, 0.6", PUBLISHED_ON)
            for snr, figure in PUBLISHED.items()
        ]
        return claims

    def test_data(self, count, seed):
        folder, _ = model_packages.locate(self.name, checkout_first=True)
        parts, kinds = [], len(mimo_chanest.KINDS) * len(DENSITIES)
        for i, kind in enumerate(mimo_chanest.KINDS):
            rows, columns = (np.load(folder / f"{kind}_{part}.npy") for part in ("rows", "columns"))
            for j, density in enumerate(DENSITIES):
                share = (count + i + kinds * j) // kinds or 1
                h = mimo_chanest.draw(kind, np.random.default_rng([seed, i]), share, RX, TX)
                x = h @ BASIS / np.sqrt(np.mean(np.abs(h) ** 2))
                lmmse = AverageLmmse(rows, columns, pilots(density))
                seen = observed(density).ravel()
                name = f"{kind}, {density}"
                every = np.ones(seen.shape, bool)
                parts.append(TestData(x, seen, None, {"lmmse": lmmse}, name, counted=every))
        return parts

    def card(self):
        return (
            "For snapshots of two uniform linear arrays at half a wavelength, with the noise level known. The signal "
            "is what 64 orthogonal QPSK pilots would bring (U, `models.pilot_gains.pilot_basis`): send the first 38 or "
            "25 "
            "columns of U, give what each receive antenna saw and tell the others as not observed; H is the answer "
            "times U^H. `diffusion` is the posterior mean in one evaluation, `ddim` and `ddpm` end in draws of the "
            "posterior, whose error is up to 3 dB larger by nature. Trained on 38, 25 and all pilots; "
            "other counts were not tried."
        )


SCHEME = MimoPilotPosterior()

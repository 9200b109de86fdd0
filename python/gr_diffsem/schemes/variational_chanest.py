# SPDX-License-Identifier: GPL-3.0-or-later
"""MIMO channel from few pilots, with how far the answer may be off: variational steps under a learned prior.

Signal, measurement and channels are those of `mimo_pilot_posterior`; the prior is the network of `mimo_chanest_16x64`,
which was never told of pilots, and the steps are in the graph (`models.variational_steps`). After Z. Chen et al., who
optimise mean and variance of a channel under a score model's prior, its term weighed anew; here the variance is
amortised, because the one of the steps is too small where pilots leave directions open.
"""

import numpy as np

from ..air import measure
from ..base import model_packages
from ..base.signal import complex_noise32
from ..models.variational_steps import STEPS, large_array
from . import mimo_chanest
from .base import Claim, Network, Scheme, add_snr
from .mimo_pilot_posterior import BASIS, DENSITIES, RX, TX, AverageLmmse, MimoPilotPosterior, observed, pilots

DECILES = 10
GATE_DB = 0.97  # a ratio of 1.25, or of 0.8


def decile_sums(error, variance):
    """Sums of squared error and of stated variance [DECILES, R] over the elements of each tenth of the stated
    variances. error, variance: [R, N]."""
    edges = np.quantile(variance, np.arange(1, DECILES) / DECILES)
    tenth = np.searchsorted(edges, variance)
    masks = [tenth == k for k in range(DECILES)]
    return [np.stack([np.sum(part * mask, 1) for mask in masks]) for part in (error, variance)]


def furthest(error, variance):
    """(over, under) [R] of the decile whose ratio is furthest from 1, the larger sum first."""
    ratios = np.log(error.sum(1) / variance.sum(1))
    k = int(np.argmax(np.abs(ratios)))
    return (error[k], variance[k]) if ratios[k] >= 0 else (variance[k], error[k])


class VariationalChanest(MimoPilotPosterior):
    name, title = "variational_chanest", "Mean and variance of a 16x64 MIMO channel from few pilots, variationally"
    reference = "Z. Chen et al., variational inference of MIMO channels under a score model's prior"
    default = "variational"
    realisations = 160
    shown = {}
    data = mimo_chanest.MimoChanest.data + "; the variance's network alone: pilots on 25, 38 or all antennas"

    def training(self):
        from ..models.variational_steps import VarianceTraining

        return VarianceTraining

    def networks(self):
        title = f"{STEPS} steps in the mean, amortised variance"
        return {"variational": Network(large_array, title, 0.0, minutes=12, batch=32, rate=3e-3)}

    def write_network(self, net, path, network, facts):
        """The variance is seen by logarithms of small differences, which show what rounding differs by."""
        from ..models import onnx_export

        return onnx_export.write(net, path, self, network, facts, limit=5e-3)

    def classical(self):
        return {}

    def choices(self, member):
        return Scheme.choices(self, member)

    def validation(self):
        """Few items of the hardest kind: each takes 20 evaluations."""

        def at(snr_db):
            batch = super(VariationalChanest, self).validation()["3gpp, 0.4"](snr_db)
            return measure.Batch(*(part[:16] for part in (batch.clean, batch.state, batch.sigma, batch.observed)))

        return {"3gpp, 0.4": at}

    def claims(self):
        text = "squared error over stated variance, the furthest of its deciles, either way, at {} dB"
        return [Claim(text.format(snr), "variational", snr, gate=GATE_DB) for snr in self.snr_db]

    def measure(self, estimate, members, count, seed, snr_db):
        """Calibration over all kinds and densities together; NMSE of each."""
        parts = self._parts(count, seed)
        results = {"calibration, the furthest decile, dB": {}}
        results |= {f"NMSE, {kind}, {density}, dB": {} for kind, density, _, _ in parts}
        tenths = {}
        for nv in (10 ** (-db / 10) for db in snr_db):
            answers = {}
            for i, (kind, density, x, lmmse) in enumerate(parts):
                noise = complex_noise32(np.random.default_rng([seed, 98, i]), x.shape)
                seen = observed(density).ravel()
                y = np.where(seen, x + np.sqrt(nv) * noise, 0).astype(np.complex64)
                levels = np.broadcast_to(np.where(seen, nv, np.inf), y.shape).astype(np.float32)
                power = np.sum(np.abs(x) ** 2, 1)
                found = {member: estimate(member, y, levels)[:2] for member in members}
                for name, (mean, variance) in found.items():
                    error = np.abs(mean - x) ** 2
                    answers.setdefault(name, []).append((error, variance))
                    add_snr(results[f"NMSE, {kind}, {density}, dB"], name, error.sum(1), power)
                error = np.sum(np.abs(lmmse(y, nv) - x) ** 2, 1)
                add_snr(results[f"NMSE, {kind}, {density}, dB"], "lmmse", error, power)
            for name, pairs in answers.items():
                error, variance = decile_sums(*(np.concatenate(part) for part in zip(*pairs, strict=True)))
                add_snr(results["calibration, the furthest decile, dB"], name, *furthest(error, variance))
                if name in members:
                    for k in range(DECILES):
                        add_snr(tenths, f"decile {k + 1}", error[k], variance[k])
        return {**results, "squared error over stated variance": tenths}

    def _parts(self, count, seed):
        """(kind, density, x [R, 1024], its LMMSE) of each kind and density."""
        folder, _ = model_packages.locate(self.name, checkout_first=True)
        share, parts = max(count // (len(mimo_chanest.KINDS) * len(DENSITIES)), 1), []
        for i, kind in enumerate(mimo_chanest.KINDS):
            rows, columns = (np.load(folder / f"{kind}_{part}.npy") for part in ("rows", "columns"))
            h = mimo_chanest.draw(kind, np.random.default_rng([seed, i]), share, RX, TX)
            x = (h @ BASIS / np.sqrt(np.mean(np.abs(h) ** 2))).reshape(share, -1)
            parts += [(kind, d, x, AverageLmmse(rows, columns, pilots(d))) for d in DENSITIES]
        return parts

    def card(self):
        return (
            "For snapshots of two uniform linear arrays at half a wavelength, with the noise level known, behind 25 "
            "or 38 pilots in the basis of `mimo_pilot_posterior`. The prior is the network of `mimo_chanest_16x64` as "
            "it ships; only the variance was trained, on those numbers of pilots and on all 64: its variance is "
            "calibrated over drawn channels, not for each one. The variance of a kind of channel by itself, or of "
            "another array, is not promised."
        )


SCHEME = VariationalChanest()

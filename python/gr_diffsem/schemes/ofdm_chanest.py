# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel estimation for 64-carrier OFDM under a learned diffusion prior: one net for all layouts.

y = M(h + n): h the frequency response on 64 fftshifted carriers, M the occupied ones. The net is
told the level of every carrier and nothing else: neither profile, nor delay spread, nor timing.
"""

import numpy as np

from ..air import channel_bank, measure, tdl
from ..models import classical
from .base import Claim, Network, Scheme, TestData

TRAINING = (300_000, 1)  # size and seed of the banks of clean channels
VALIDATION = (20_000, 1002)


def _diffusion():
    from ..models.gated import GatedFilterBank

    return GatedFilterBank(64, atoms=80, hidden=160, stages=3, last=28.0, knee=0.3, direct=True)


def _mmse_net():
    from ..models.gated import GatedFilterBank

    return GatedFilterBank(64, atoms=48, hidden=128, last=28.0, knee=0.3, direct=True)


class OfdmChanest(Scheme):
    name = "ofdm_chanest"
    title = "OFDM channel estimation, 64 carriers, 12 and more of them observed"
    reference = (
        "SNR-matched diffusion denoising of channel estimates, after B. Fesl et al., 'Diffusion-Based "
        "Generative Prior for Low-Complexity MIMO Channel Estimation', IEEE WCL 2024"
    )
    gain = "measured"
    operator = "mask"
    fallbacks = {"diffusion": "gmm", "mmse_net": "gmm"}
    # Where the mixture has the smaller error over 0..35 dB: on 400 layouts of measure.draw_layouts (seeds 771001 and
    # 771002), four taps, four paths anywhere, this scheme's channels.
    fewest_observed = {"diffusion": 48, "mmse_net": 52}
    snr_definition = "mean channel power over noise variance, both per observed carrier"
    snr_db = (-10, -5, 0, 5, 10, 15, 20, 25, 30)
    data = (
        "300,000 channels (version 2 of the bank): 3GPP TR 38.901 TDL-A..E, those with a line of sight twice as often "
        "and with Rician factors 10 dB up or down too, and CDL-A..E from sionna-no-rt 2.2.0, with random delay "
        "spreads up to a 16-sample cyclic prefix; random exponential, specular and nearly flat channels; "
        "random FFT window positions, front-end filters and phases. The classical members are "
        "of version 1, in which all profiles came equally often. Observed were the carriers of 802.11a and their "
        "combs in four items of ten, else sets at random: blocks, one side of DC, edges, combs, gaps, scattered "
        "carriers, 12 and more"
    )

    def __init__(self):
        self._banks = {}

    def networks(self):
        return {
            "diffusion": Network(_diffusion, "diffusion prior, one step", 0.25, minutes=25, batch=512),
            "mmse_net": Network(_mmse_net, "one-step net trained for mean squared error", 0.0, minutes=13, batch=512),
        }

    def sample(self, rng, n, which=TRAINING):
        if which not in self._banks:
            self._banks[which] = channel_bank.load(*which)
        h, extent = self._banks[which]
        rows = rng.integers(len(h), size=n)
        return channel_bank.vary(h[rows], extent[rows], rng)

    def batch(self, rng, n, prior_share):
        h = self.sample(rng, n)
        masks = measure.draw_masks(rng, n)
        true, believed = measure.draw_noise(rng, n)
        power = _power(h, masks)
        batch = measure.observe(h, true * power, believed * power, masks, rng)
        if prior_share:
            batch = measure.as_prior_state(batch, prior_share, rng, measure.wifi_mask())
        return batch

    def validation(self):
        wifi = measure.wifi_mask()
        comb = wifi & (tdl.carriers() % 2 == 0)

        def observed(mask, draw):
            def at(snr_db):
                rng = np.random.default_rng(77)
                h = draw(rng)
                masks = np.repeat(mask[None], len(h), 0)
                nv = _power(h, masks) * np.float32(10 ** (-snr_db / 10))
                return measure.observe(h, nv, nv, masks, rng)

            return at

        def tdl_of(name, spread):
            return lambda rng: tdl.frequency_response(name, spread, 64, rng, 1000, 2.0).astype(np.complex64)

        sets = {"all": observed(wifi, lambda rng: self.sample(rng, 4000, VALIDATION))}
        sets["comb"] = observed(comb, lambda rng: self.sample(rng, 2000, VALIDATION))
        for name, spread in (("A", 0.5), ("A", 1.5), ("C", 0.5), ("C", 1.7), ("D", 1.0)):
            sets[f"TDL-{name} {spread:g}"] = observed(wifi, tdl_of(name, spread))
        k = tdl.carriers()
        parts = {
            "one side": (k >= 1) & (k <= 30),
            "edges": (np.abs(k) >= 17) & (np.abs(k) <= 30),
            "block of 16": (k >= 1) & (k <= 16),
            "comb of 4": wifi & (k % 4 == 0),
        }
        for name, mask in parts.items():
            sets[name] = observed(mask, lambda rng: self.sample(rng, 1000, VALIDATION))
        return sets

    def _normalised(self, n, seed):
        rng = np.random.default_rng(seed)
        h = self.sample(rng, n)
        return h / np.sqrt(_power(h, measure.wifi_mask()[None]))

    def tensors(self, progress=print):
        out = {
            "lmmse_covariance.npy": classical.covariance(self._normalised(100_000, 11)),
            "window_covariance.npy": classical.window_covariance(64, -4, 20),
        }
        for components in (32, 64):
            progress(f"fitting a mixture of {components} Gaussians")
            rng = np.random.default_rng(components)
            weights, covariances = classical.fit_mixture(self._normalised(40_000, 12), components, rng)
            out[f"gmm{components}_weights.npy"] = weights.astype(np.float32)
            out[f"gmm{components}_means.npy"] = np.zeros((components, 64), np.complex64)
            out[f"gmm{components}_covariances.npy"] = covariances
        return out

    def classical(self):
        def mixture(k):
            names = ("weights", "means", "covariances")
            return {"type": "gmm", **{n: f"gmm{k}_{n}.npy" for n in names}}

        return {
            "lmmse": {
                "title": "LMMSE with the average covariance of the training set",
                "prior": {"type": "gaussian", "covariance": "lmmse_covariance.npy"},
            },
            "window": {
                "title": "least squares in a window of 20 taps, 4 of them early",
                "prior": {"type": "gaussian", "covariance": "window_covariance.npy"},
            },
            "gmm": {"title": "mixture of 32 Gaussians", "prior": mixture(32)},
            "gmm64": {"title": "mixture of 64 Gaussians", "prior": mixture(64)},
        }

    def claims(self):
        return [
            Claim("below a 32-component GMM at 0 dB", "diffusion", 0, against="gmm", gate=-0.3),
            Claim("below a 32-component GMM at 10 dB", "diffusion", 10, against="gmm", gate=-0.3),
            Claim("below LMMSE at 10 dB", "diffusion", 10, against="lmmse", gate=-2.0),
        ]

    def test_data(self, count, seed):
        h, extent = channel_bank.make_plain(count, seed)
        rng = np.random.default_rng(seed + 1)
        h = channel_bank.vary(h, extent, rng)
        wifi = measure.wifi_mask()
        return TestData(h / np.sqrt(_power(h, wifi[None])), observed=wifi)

    def card(self):
        return (
            "For receivers with 64 carriers: 802.11a/g, gr-digital's default OFDM layout, and other sets of 12 and "
            "more observed carriers: blocks, one side of DC, edges, combs, bands with gaps, scattered ones "
            "(bench/results.md, 'Part of the band', says what each gains). Below 48 observed carriers (`mmse_net`: 52) "
            "the mixture `gmm` answers in the net's place, which errs less there; `fewest_observed=0` in the scheme's "
            "string keeps the net. "
            "Delays may lie anywhere from 3 samples before the FFT window's reference to the end of a 16-sample "
            "cyclic prefix; the window may begin up to 10 samples early on top of that. Not for other FFT lengths, and "
            "not for channels longer than that."
        )


def _power(h, masks):
    """Mean power over the masked carriers, [n, 1]."""
    return (np.sum(np.abs(h) ** 2 * masks, 1, keepdims=True) / masks.sum(1, keepdims=True)).astype(np.float32)


SCHEME = OfdmChanest()

# SPDX-License-Identifier: GPL-3.0-or-later
"""MIMO channel from fewer pilots than antennas, by a flow network that knows nothing of pilots: Y = H P + N.

Signal, measurement and baselines are those of `mimo_pilot_posterior`; here the network is a prior of channels alone,
and pilots come in by proximal steps between its evaluations (guidance `plug_and_play`), 20 of them. A network v of
straight paths H_t = (1 - t) H + t N is a denoiser, E[H | H_t] = H_t - t v(H_t, t), and is trained and kept as one
(docs/openings/schedules.md). After plug-and-play flow matching (Martin et al. 2025), the flow of channels with a
proximal step (arXiv 2601.15767), and X. Zhou et al. ("Generative Diffusion Models for High Dimensional Channel
Estimation") for training from noisy channels alone by Stein's risk estimate.
"""

from functools import partial

import numpy as np

from ..air import measure
from ..base.signal import noise32
from ..models.pilot_gains import large_array
from .base import Claim, Network, Scheme
from .mimo_chanest import KINDS
from .mimo_pilot_posterior import DENSITIES, MimoPilotPosterior

EVALUATIONS = 20
FEWER = {"flow1": 1, "flow5": 5, "flow10": 10}  # evaluations of the flow's other members
TOLD = "mimo_pilot_posterior"  # whose network is told which elements are missing
SURE_DB = 20  # `models.sure_training.LEVEL`
LEVELS = (0.01, 6.0)  # that the networks learn, evenly by their logarithms


class MimoFastPosterior(MimoPilotPosterior):
    name, title = "mimo_fast_posterior", "Channel of a 16x64 MIMO system from few pilots, by a flow of channels"
    reference = "S. Martin et al., PnP-Flow, 2025; arXiv 2601.15767; X. Zhou et al. (training from noisy channels)"
    default = "flow"
    shown = {}
    rivals = (TOLD,)

    def training(self):
        from ..models.sure_training import SureTraining

        return SureTraining

    def networks(self):
        build = partial(large_array, 1)
        titles = {
            "flow": f"a flow of channels and proximal steps, {EVALUATIONS} evaluations",
            "clean": "the same from clean channels, trained for as many minutes as `sure`",
            "sure": "the same from channels with noise (20 dB) alone, by Stein's unbiased risk estimate",
        }
        return {name: Network(build, title, 1.0, minutes=25, batch=32) for name, title in titles.items()}

    def batch(self, rng, n, prior_share):
        """States of a flow alone: no pilots, one level each."""
        clean = self.sample(rng, n)
        level = np.exp(rng.uniform(*np.log(LEVELS), (n, 1, 1))).astype(np.float32)
        state = clean + level * noise32(rng, clean)
        return measure.Batch(clean, state, np.broadcast_to(level, clean.shape), np.ones(clean.shape, bool))

    def validation(self):
        return Scheme.validation(self)

    def classical(self):
        """The flow again with fewer evaluations; its first is one step of the average velocity from nothing."""
        prior = {"type": "onnx", "file": "flow.onnx"}
        return {
            name: {"title": f"the flow in {count} evaluation{'s' * (count > 1)}", "prior": prior}
            for name, count in FEWER.items()
        }

    def choices(self, member):
        count = FEWER.get(member, EVALUATIONS)
        return {
            **Scheme.choices(self, member),
            "start": {"type": "noise"},
            "sampler": {"type": "one_step"},
            "guidance": {"type": "plug_and_play", "guidance_steps": count},
        }

    def claims(self):
        claims = []
        for kind in KINDS:
            for density in DENSITIES:
                part, words = f"{kind}, {density}", f"{kind}, pilots on {density} of the antennas"
                for snr in (10, 20):
                    text = f"{words}: {EVALUATIONS} evaluations against mimo_pilot_posterior at {snr} dB"
                    claims.append(Claim(text, "flow", snr, TOLD, gate=0.5, data=part))
                    text = f"{words}: learned from noisy channels against clean ones at {snr} dB"
                    claims.append(Claim(text, "sure", snr, "clean", gate=0.5, data=part))
        return claims

    def card(self):
        return (
            "For snapshots of two uniform linear arrays at half a wavelength, with the noise level known, behind any "
            "set of pilots in the basis of `mimo_pilot_posterior`: the network was never told of pilots. `flow` is the "
            "network of `mimo_chanest_16x64` in that basis, not trained again; `clean` and `sure` are trained for as "
            f"many minutes as each other, `sure` from channels that come with noise at {SURE_DB} dB alone. The answer "
            "is a point near the posterior mean and states no variance."
        )


SCHEME = MimoFastPosterior()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Massive MIMO: channel and symbols of a frame at once, 64 receive antennas, 32 users, 30 pilots.

`mimo_joint` at the size of N. Zilberstein, A. Swami and S. Segarra, "Joint Channel Estimation and Data Detection in
Massive MIMO Systems Based on Diffusion Models", 2024. 4^32 symbol vectors cannot be tried one by one, so the symbols
are inferred by expectation propagation (guidance `ep`) behind the belief of the channel; all else is that scheme's.
"""

import numpy as np

from ..base.signal import complex_noise32
from .base import Claim
from .mimo_joint import MimoJoint

PUBLISHED_ON = (
    "QuaDRiGa channels under a learned prior, D = 50; here i.i.d. Rayleigh channels under their Gaussian prior"
)


class JointDetection(MimoJoint):
    detection_steps = 10
    realisations = 12

    def classical(self):
        members = super().classical()
        guidance = {"type": "ep", "guidance_steps": self.detection_steps}
        titles = {
            "joint": f"channel and symbols in turn, {self.rounds} rounds",
            "pilots": "channel from the pilots, then detection by expectation propagation",
        }
        for name, title in titles.items():
            unknowns = members[name]["unknowns"]
            members[name] = {
                **members[name],
                "title": title,
                "unknowns": {**unknowns, "X": {**unknowns["X"], "guidance": guidance}},
            }
        return members

    def claims(self):
        return [
            Claim("joint against pilots alone at 25 dB", "joint", 25, "pilots", gate=-8.0),
            Claim("NMSE of H at 25 dB, pilots alone", "pilots", 25, None, -9.4, None, None, PUBLISHED_ON),
            Claim("NMSE of H at 25 dB, joint", "joint", 25, None, -23.0, None, None, PUBLISHED_ON),
        ]

    def measure(self, estimate, members, count, seed, snr_db):
        """That of `mimo_joint`, and symbols by zero forcing behind the channel that the pilots say."""
        results = super().measure(estimate, members, count, seed, snr_db)
        h, x = self.draw(np.random.default_rng([seed, 99]), count)
        noise = complex_noise32(np.random.default_rng([seed, 98]), (count, self.receive, self.shape[1]))
        wrong = []
        for db in snr_db:
            nv = self.transmit * 10 ** (-db / 10)
            y = h @ x + np.sqrt(nv) * noise
            sent = x[:, :, : self.pilots]
            gram = sent.conj().swapaxes(1, 2) @ sent + nv * np.eye(self.pilots)
            found = y[:, :, : self.pilots] @ np.linalg.solve(gram, sent.conj().swapaxes(1, 2))
            wrong.append(self.wrong(np.linalg.pinv(found) @ y, x))
        symbols = np.full(np.shape(wrong), self.transmit * (self.shape[1] - self.pilots))
        results["symbol error rate of X"]["pilots, zero forcing"] = (np.array(wrong), symbols)
        return results

    def _genies(self, y, h, x, nv):
        """LMMSE of H with all of X known; linear MMSE of X with H known."""
        gram = x @ x.conj().swapaxes(1, 2) + nv * np.eye(self.transmit)
        known = np.linalg.solve(gram, x @ y.conj().swapaxes(1, 2)).conj().swapaxes(1, 2)
        back = h.conj().swapaxes(1, 2)
        return known, np.linalg.solve(back @ h + nv * np.eye(self.transmit), back @ y)

    def card(self):
        return (
            "Closed forms alone: nothing is trained. `pilots` is the receiver of one round, `pilots_lmmse` the same "
            "with linear MMSE of the symbols. Channels of few directions, as the published ones are, would want a "
            "learned prior of H in the place of the Gaussian one. A channel that changes within the frame is not what "
            "it is for."
        )


SCHEME = JointDetection("joint_detection", 64, 32, 30, 50, (5, 10, 15, 20, 25))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains networks that answer in rounds (models/delay_doppler.py): earlier rounds learn too, at a smaller weight."""

from . import training

EARLIER = 0.3  # weight of what each earlier round leaves, beside the last's


class RoundsTraining(training.Training):
    """`Training` of a network with rounds(x, sigma) -> ([means], log variance), the last of which is its answer."""

    def loss(self, clean, state, sigma, observed):
        means, log_variance = self.net.rounds(state, sigma)
        def of(mean):  # its variance is near the truth from the beginning
            return training.loss(lambda *_: (mean, log_variance), clean, state, sigma, observed, warm=True)

        fit, spread = of(means[-1])
        return fit + sum(EARLIER * of(mean)[0] for mean in means[:-1]), spread

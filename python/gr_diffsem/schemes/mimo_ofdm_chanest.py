# SPDX-License-Identifier: GPL-3.0-or-later
"""MIMO-OFDM: the four channels of two by two antennas from one symbol of pilots, all of them or half.

y = M(h + n): h [4, 64] the frequency responses of the links (receive antenna 0 from transmit antennas 0 and 1, then
receive antenna 1), M the carriers where a transmit antenna's pilots lie (`phy.mimo_ofdm`). Delay spread, profile and
timing are drawn for each packet; the receiver knows none of them. Measured is what counts behind it: bit errors of
16-QAM.
"""

import numpy as np

from ..air import measure, packet_links
from ..phy import mimo_ofdm
from .base import Network, Scheme

LINKS = mimo_ofdm.ANTENNAS**2


def _posterior():
    from ..models.shared_powers import SharedPowers

    return SharedPowers(LINKS, packet_links.N_FFT)


class MimoOfdmChanest(Scheme):
    name, title = "mimo_ofdm_chanest", "Channels of a 2x2 OFDM packet from few pilots"
    reference = (
        "sparse Bayesian learning of links that share their delays (Wipf and Rao 2007) with a network in place of its "
        "update, as a one-step diffusion prior"
    )
    shape, axes = (LINKS, packet_links.N_FFT), ("link", "carrier")
    gain = "measured"
    operator = "mask"
    default = "posterior"
    snr_definition = (
        "mean power that a receive antenna has from both transmit antennas over noise variance, per carrier of data"
    )
    evaluations = ()
    training_snr_db = (0.0, 36.0)  # of a pilot

    def networks(self):
        return {"posterior": Network(_posterior, "powers of delays, said for all links", 0.1, minutes=25, batch=64)}

    def sample(self, rng, n):
        return packet_links.draw(rng, n, LINKS).response

    def batch(self, rng, n, prior_share):
        h = self.sample(rng, n)
        nv = 10 ** (-rng.uniform(*self.training_snr_db, (n, 1, 1)) / 10)
        looks = rng.integers(60, 600, (n, 1, 1))  # that the receiver measures the noise with
        believed = nv * np.where(rng.random((n, 1, 1)) < 0.7, rng.gamma(looks, 1 / looks), 1.0)
        batch = measure.observe(h, nv, believed, patterns(rng, n), rng)
        return measure.as_prior_state(batch, prior_share, rng) if prior_share else batch

    def validation(self):
        def of(pilots):
            def at(snr_db):
                rng = np.random.default_rng(9000)
                seen = np.repeat(mimo_ofdm.observed(pilots)[None], 500, 0)
                nv = np.float32(10 ** (-snr_db / 10))
                return measure.observe(self.sample(rng, 500), nv, nv, seen, rng)

            return at

        return {pilots: of(pilots) for pilots in ("half", "all")}


def patterns(rng, n):
    """n sets of observed elements [n, 4, 64]: the two of `phy.mimo_ofdm` in nine of ten, else other combs of spacing 2
    to 4 for each transmit antenna."""
    k = np.arange(packet_links.N_FFT) - packet_links.N_FFT // 2
    spacing, first = rng.integers(2, 5, (n, 1, 1)), rng.integers(0, 4, (n, mimo_ofdm.ANTENNAS, 1))
    combs = (k % spacing == first % spacing) & np.isin(k, mimo_ofdm.USED)
    which = rng.random((n, 1, 1))
    half, every = (mimo_ofdm.pilot_mask(pilots) for pilots in ("half", "all"))
    masks = np.where(which < 0.55, half, np.where(which < 0.9, every, combs))
    return np.concatenate([masks] * mimo_ofdm.ANTENNAS, 1)


SCHEME = MimoOfdmChanest()

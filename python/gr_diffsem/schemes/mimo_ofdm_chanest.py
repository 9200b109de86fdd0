# SPDX-License-Identifier: GPL-3.0-or-later
"""MIMO-OFDM: the four channels of two by two antennas from one symbol of pilots, all of them or half.

y = M(h + n): h [4, 64] the frequency responses of the links (receive antenna 0 from transmit antennas 0 and 1, then
receive antenna 1), M the carriers where a transmit antenna's pilots lie (`phy.mimo_ofdm`). Delay spread, profile and
timing are drawn for each packet; the receiver knows none of them. Measured is what counts behind it: bit errors of
16-QAM.
"""

import numpy as np

from ..air import measure, packet_links
from ..base.signal import complex_noise32
from ..phy import mimo_ofdm
from .base import Network, RateClaim, Scheme, add_snr

LINKS = mimo_ofdm.ANTENNAS**2
USED = mimo_ofdm.IS_USED
AVERAGE = (20_000, 31)  # packets that the average covariance is taken from, and their seed
ROUNDING = 0.03  # of the error's power: what the order of additions may change, at most
RATE = 1e-2  # of wrong bits, where SNRs are compared
BER, NMSE = "bit error rate", "NMSE of the channel, dB"


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
    snr_db = (10, 14, 18, 20, 22, 24, 26, 30)
    evaluations = ()
    realisations = 1500
    fallbacks = {"posterior": "lmmse"}
    data = (
        "drawn as training goes (gr_diffsem.air.packet_links): TDL-A..E of 3GPP TR 38.901 equally often, for each "
        "packet an rms delay spread uniform in its logarithm, from 10 ns at 10 MHz to where the profile's last path "
        "leaves the guard interval, and a window that begins 0 to 2 samples early. Nothing recorded"
    )
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

    def write_network(self, net, path, network, facts):
        from ..models import grid_training

        return grid_training.write(net, path, self, network, facts, ROUNDING)

    def tensors(self, progress=print):
        progress(f"averaging the covariance of {AVERAGE[0]:,} packets")
        packets = packet_links.draw(np.random.default_rng(AVERAGE[1]), AVERAGE[0], 1)
        covariance = np.mean([part.covariances().mean(0) for part in packets.parts(100)], 0)
        return {"carrier.npy": covariance.astype(np.complex64), "links.npy": np.eye(LINKS, dtype=np.complex64)}

    def classical(self):
        prior = {"type": "gaussian", "covariance": "links.npy", "kronecker": "carrier.npy"}
        return {"lmmse": {"title": "LMMSE with the average covariance of all packets", "prior": prior}}

    def choices(self, member):
        # Least squares, which answers where the guard refutes the average, says nothing of carriers without pilots.
        return {**super().choices(member), **({"guard": False} if member == "lmmse" else {})}

    def claims(self):
        def lost(text, member, gate=None):
            runs = member.partition(",")[0]
            of = {"quantity": BER, "reached": RATE, "runs": runs}
            return RateClaim(f"{text}, SNR at BER {RATE:g}", member, None, "lmmse, all", gate=gate, **of)

        return [
            lost("half the pilots against LMMSE with all", "posterior, half", 0.3),
            lost("all pilots against LMMSE with all", "posterior, all", 0.0),
            lost("LMMSE with half the pilots against all", "lmmse, half"),
            lost("true statistics, half the pilots, against LMMSE with all", "genie, half"),
        ]

    def measure(self, estimate, members, count, seed, snr_db):
        packets = packet_links.draw(np.random.default_rng([seed, 1]), count, LINKS)
        rng = np.random.default_rng([seed, 2])
        labels = rng.integers(0, 16, (count, USED.sum(), mimo_ofdm.ANTENNAS))
        noise = complex_noise32(rng, (2, count, mimo_ofdm.ANTENNAS, packet_links.N_FFT))
        results = {BER: {}, NMSE: {}}
        for db in snr_db:
            nv = mimo_ofdm.ANTENNAS * 10 ** (-db / 10)
            estimates = {"channel known": packets.response}
            for pilots in mimo_ofdm.PILOTS:
                found = self._estimates(estimate, members, packets, noise[0] * np.sqrt(nv), nv, pilots)
                estimates |= {f"{name}, {pilots}": links for name, links in found}
            sent = mimo_ofdm.POINTS[labels][..., None]
            received = (mimo_ofdm.matrices(packets.response[:, :, USED]) @ sent)[..., 0]
            received += np.sqrt(nv) * noise[1][:, :, USED].swapaxes(1, 2)
            power = np.sum(np.abs(packets.response[:, :, USED]) ** 2, (1, 2))
            for name, links in estimates.items():
                decided = _decided(received, mimo_ofdm.matrices(links[:, :, USED]))
                wrong = BITS_SET[decided ^ labels].sum((1, 2))
                add_snr(results[BER], name, wrong, np.full(count, mimo_ofdm.BITS * labels[0].size))
                if name != "channel known":
                    error = np.abs(links - packets.response)[:, :, USED] ** 2
                    add_snr(results[NMSE], name, error.sum((1, 2)), power)
        return results

    def _estimates(self, estimate, members, packets, noise, nv, pilots):
        """(name, links [R, 4, 64]) of every method, from one symbol of pilots with noise [R, 2, 64]."""
        mask = mimo_ofdm.observed(pilots)
        y = np.where(mask, packets.response + np.repeat(noise, mimo_ofdm.ANTENNAS, 1), 0).astype(np.complex64)
        levels = np.broadcast_to(np.where(mask, np.float32(nv), np.float32(np.inf)).ravel(), (len(y), mask.size))
        for member in members:
            yield member, estimate(member, y.reshape(len(y), -1), levels)[0].reshape(y.shape)
        yield "ls", mimo_ofdm.interpolate(y, pilots)
        yield "genie", genie(packets, y, nv, mask)

    def card(self):
        return (
            "For packets of two antennas on either side, 64 carriers and a guard interval of 16 samples, the channel "
            "constant within a packet, its delays from 0 to 14.6 samples, all links of one delay profile. Trained on "
            "the pilots of `phy.mimo_ofdm`, `all` and `half`, and on other combs of spacing 2 to 4; sets of observed "
            "carriers of another kind were not tried. Antennas whose profiles differ break what it goes by."
        )


BITS_SET = np.array([bin(label).count("1") for label in range(16)])


def genie(packets, y, nv, mask):
    """LMMSE of links [R, 4, 64] that knows profile, delay spread and timing of each packet."""
    out = np.empty_like(y)
    first = 0
    for part in packets.parts(100):
        covariances, rows = part.covariances(), slice(first, first + len(part.names))
        for link, seen in enumerate(mask):
            gram = covariances[:, seen][:, :, seen] + nv * np.eye(seen.sum())
            found = np.linalg.solve(gram, y[rows, link, seen][..., None])
            out[rows, link] = (covariances[:, :, seen] @ found)[..., 0]
        first = rows.stop
    return out


def _decided(received, matrices, size=500):
    """`mimo_ofdm.detect`, some packets at a time: it tries sixteen points of each."""
    parts = range(0, len(received), size)
    return np.concatenate([mimo_ofdm.detect(received[i : i + size], matrices[i : i + size]) for i in parts])


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

# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel and symbols of a MIMO frame at once: Y = H X + N, a few known columns of X, QPSK in the others.

Both priors are closed forms, so nothing is trained: `gr-diffsem export mimo_joint` writes the package. What a net
would change is the channel's prior alone (docs/openings/several_unknowns.md).
"""

import itertools

import numpy as np

from ..base.signal import complex_noise32
from .base import Claim, Scheme

QPSK = np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j], np.complex64) / np.sqrt(2).astype(np.float32)


def pilot_block(transmit, count):
    """Columns of a DFT matrix, [transmit, count]: orthogonal, and where there are fewer columns than antennas, what
    they leave unknown is spread over all antennas. For 2 and 4 antennas its elements are QPSK symbols."""
    angles = 2 * np.pi * np.outer(np.arange(transmit), np.arange(count)) / transmit + np.pi / 4
    return np.exp(1j * angles).astype(np.complex64)


class MimoJoint(Scheme):
    title = "MIMO channel and QPSK symbols of a frame, estimated jointly"
    reference = (
        "Zilberstein, Swami, Segarra 2024, Joint channel estimation and data detection in massive MIMO systems based "
        "on diffusion models; here with a Gaussian channel and exact detection"
    )
    gain = "unit"
    default = "joint"
    axes = ("receive antenna", "time")
    snr_definition = "mean power of H X over noise power, per receive antenna"
    data = "i.i.d. Rayleigh channels (seed 1), equally likely QPSK symbols"
    rounds = 10

    def __init__(self, name, receive, transmit, pilots, columns, snr_db):
        self.name, self.receive, self.transmit = name, receive, transmit
        self.pilots, self.columns, self.snr_db = pilots, columns, snr_db
        self.shape = (receive, pilots + columns)
        self.title = f"{MimoJoint.title}: {receive} x {transmit}, {pilots} pilot and {columns} data columns"

    def tensors(self, progress=print):
        return {
            "pilots.npy": pilot_block(self.transmit, self.pilots),
            "channel_variance.npy": np.ones(self.receive * self.transmit, np.float32),
            "unit_variance.npy": np.ones(self.transmit * sum(self.shape[1:]), np.float32),
        }

    def classical(self):
        channel = {"prior": {"type": "gaussian", "variance": "channel_variance.npy"}}
        symbols = {"prior": {"type": "qam", "order": 4}}
        linear = {"prior": {"type": "gaussian", "variance": "unit_variance.npy"}}
        sizes = {"receive": self.receive, "transmit": self.transmit, "time": self.shape[1]}

        def member(title, x, rounds):
            return {
                "title": title,
                "operator": {"type": "mimo", **sizes, "pilots": "pilots.npy"},
                "unknowns": {"H": channel, "X": x},
                "plan": {"type": "alternate", "rounds": rounds, "order": ["H", "X"]},
            }

        return {
            "joint": member(f"channel and symbols in turn, {self.rounds} rounds", symbols, self.rounds),
            "pilots": member("channel from the pilots, then exact detection", symbols, 1),
            "pilots_lmmse": member("channel from the pilots, then linear MMSE of the symbols", linear, 1),
        }

    def claims(self):
        return [
            Claim(f"symbols inferred with the channel improve it at {snr} dB", "joint", snr, "pilots", gate=gate)
            for snr, gate in ((10, -4), (20, -8), (30, -8))
        ]

    def draw(self, rng, count):
        """Channels [count, R, K] and frames [count, K, T], complex64."""
        h = complex_noise32(rng, (count, self.receive, self.transmit))
        x = rng.choice(QPSK, (count, self.transmit, self.shape[1])).astype(np.complex64)
        x[:, :, : self.pilots] = pilot_block(self.transmit, self.pilots)
        return h, x

    def measure(self, estimate, members, count, seed, snr_db):
        h, x = self.draw(np.random.default_rng([seed, 99]), count)
        clean = h @ x
        noise = complex_noise32(np.random.default_rng([seed, 98]), clean.shape)
        channel, symbols = "NMSE of H, dB", "symbol error rate of X"
        results = {channel: {}, symbols: {}}
        power = np.sum(np.abs(h) ** 2, (1, 2))

        def add(method, h_errors, wrong):
            if h_errors is not None:
                results[channel][method] = (np.array(h_errors), np.broadcast_to(power, np.shape(h_errors)))
            if wrong is not None:
                sent = np.full(np.shape(wrong), self.transmit * (self.shape[1] - self.pilots))
                results[symbols][method] = (np.array(wrong), sent)

        def errors(hs):
            return np.sum(np.abs(hs - h) ** 2, (1, 2))

        levels = [self.transmit * 10 ** (-db / 10) for db in snr_db]
        for member in members:
            means = [estimate(member, clean + np.sqrt(nv) * noise, nv)[0] for nv in levels]
            add(member, [errors(m["H"]) for m in means], [self.wrong(m["X"], x) for m in means])
        genies = [self._genies(clean + np.sqrt(nv) * noise, h, x, nv) for nv in levels]
        add("genie: X known", [errors(known) for known, _ in genies], None)
        add("genie: H known", None, [self.wrong(found, x) for _, found in genies])
        return results

    def wrong(self, soft, x):
        """Symbols of the data columns that the nearest point of soft values is not, of each frame."""
        data = slice(self.pilots, None)
        nearest = np.sign(soft[:, :, data].real) + 1j * np.sign(soft[:, :, data].imag)
        return np.sum(np.abs(nearest / np.sqrt(2) - x[:, :, data]) > 0.1, (1, 2))

    def _genies(self, y, h, x, nv):
        """LMMSE of H with all of X known; likeliest X, column by column, with H known."""
        gram = x @ x.conj().swapaxes(1, 2) + nv * np.eye(self.transmit)
        known = np.linalg.solve(gram, x @ y.conj().swapaxes(1, 2)).conj().swapaxes(1, 2)
        every = np.array(list(itertools.product(QPSK, repeat=self.transmit))).T
        found = np.empty_like(x)
        for i in range(len(y)):
            distance = np.sum(np.abs(y[i][:, :, None] - (h[i] @ every)[:, None, :]) ** 2, 0)
            found[i] = every[:, np.argmin(distance, 1)]
        return known, found

    def card(self):
        return (
            "Closed forms alone. `pilots` and `pilots_lmmse` are the receiver that most have: one round of the same "
            "code, in which the data say nothing of the channel. At low SNR, where symbols cannot be told, `joint` "
            "gains little; a channel that changes within the frame, or is correlated, is not what it was made for. "
            "With fewer pilots than antennas about one frame of 150 ends at a wrong answer at 20 dB, which its "
            "`residual`, far above 1, tells."
        )

    def signal_text(self):
        return (
            f"Measurement: complex Y {list(self.shape)} ({', '.join(self.axes)}), row by row. SNR here is "
            f"{self.snr_definition}."
        )


SCHEMES = (
    MimoJoint("mimo_joint", 4, 4, 4, 32, (0, 5, 10, 15, 20, 30)),
    MimoJoint("mimo_joint_8x4", 8, 4, 3, 50, (0, 5, 10, 15, 20, 30)),
)

# SPDX-License-Identifier: GPL-3.0-or-later
"""MIMO channel behind converters of 1, 2 or 3 bits: Y = Q(H P + N), 16 receive and 64 transmit antennas.

The signal is x = H U, U unitary with QPSK entries (`models.pilot_gains.pilot_basis`): what each of 64 pilots brings.
The noise lies in front of the converter, one for each real component, with known gain. After X. Zhou et al.,
"Generative Diffusion Models for High Dimensional Channel Estimation" (posterior sampling behind quantised
measurements); here the posterior mean by expectation propagation, which asks the prior a few times.
"""

from functools import partial

import numpy as np

from ..base import model_packages
from ..base.signal import complex_noise32
from ..models.pilot_gains import large_array, pilot_basis
from ..phy import convolutional, soft_demap, viterbi
from ..phy.constellation import qpsk
from . import mimo_chanest
from .base import Claim, Network, Scheme, add_snr

RX, TX = 16, 64
BASIS = pilot_basis(TX)
KINDS = mimo_chanest.KINDS
# Distance of two thresholds for a component of variance 1/2: those of least error for a Gaussian (Max 1960, table II).
STEPS = {1: 1.596 / np.sqrt(2), 2: 0.996 / np.sqrt(2), 3: 0.586 / np.sqrt(2)}
PACKET_BITS, DATA_SNR_DB = 120, -24.0  # a packet of data, and its SNR at one antenna without array gain


def quantise(z, bits):
    """Q(z): the middle of the cell of each component."""
    step, half = STEPS[bits], 2**bits // 2

    def part(p):
        return (np.clip(np.floor(p / step), -half, half - 1) + 0.5) * step

    return (part(z.real) + 1j * part(z.imag)).astype(np.complex64)


def gain_and_error(bits, variance):
    """Bussgang's decomposition Q(u) = G u + e of a Gaussian component of this variance: (G, variance of e)."""
    step, half = STEPS[bits], 2**bits // 2
    u = (np.arange(-4000, 4000) + 0.5) * (8 / 4000 * np.sqrt(variance))
    weight = np.exp(-(u**2) / (2 * variance))
    weight /= weight.sum()
    q = (np.clip(np.floor(u / step), -half, half - 1) + 0.5) * step
    gain = np.sum(weight * q * u) / variance
    return gain, np.sum(weight * q**2) - gain**2 * variance


class Bussgang:
    """Linear MMSE with the average covariance rows kron columns. Behind one bit with the covariance of y by the arcsine
    law (Li et al. 2017, eq. 9), behind more with white distortion of the right power."""

    def __init__(self, rows, columns):
        self.covariance = np.kron(rows, BASIS.T @ columns @ BASIS.conj())

    def __call__(self, y, noise_var, bits):
        """x [R, 1024] of y [R, 1024]."""
        variance = (1 + noise_var) / 2
        gain, error = gain_and_error(bits, variance)
        seen = self.covariance + noise_var * np.eye(len(self.covariance))
        if bits == 1:
            scale = np.sqrt(np.diag(seen).real)
            r = np.clip((seen / scale[:, None] / scale).view(float), -1, 1).view(complex)
            c_y = STEPS[1] ** 2 / 2 * 2 / np.pi * (np.arcsin(r.real) + 1j * np.arcsin(r.imag))
        else:
            c_y = gain**2 * seen + 2 * error * np.eye(len(seen))
        return y @ np.linalg.solve(c_y.T, gain * self.covariance.T)


def packet_errors(h, found, bits, seed):
    """Which packets are lost [R], sent along the first singular vectors of the estimates `found` [R, 16, 64] over the
    channels h: QPSK, K = 7 code of rate 1/2, the same converters, coherent detection with the estimate's own gain."""
    rng = np.random.default_rng([seed, 97])
    u, s, vh = np.linalg.svd(found)
    told = rng.integers(0, 2, (len(h), PACKET_BITS)).astype(np.uint8)
    told[:, -convolutional.TAIL :] = 0
    order = rng.permutation(2 * PACKET_BITS)
    symbols = np.stack([qpsk(one) for one in convolutional.encode(told)[:, order]])
    power = 10 ** (DATA_SNR_DB / 10)
    at_antennas = np.sqrt(power) * (h @ vh[:, 0].conj()[:, :, None]) * symbols[:, None, :]
    level = np.sqrt(np.mean(np.abs(at_antennas) ** 2, (1, 2), keepdims=True) + 1)  # gain control of each receiver
    r = quantise((at_antennas + complex_noise32(rng, at_antennas.shape)) / level, bits) * level
    gain, error = gain_and_error(bits, 0.5)
    z = np.einsum("nr,nrt->nt", u[:, :, 0].conj(), r) / gain / (np.sqrt(power) * s[:, :1])
    noise = (1 + 2 * error / gain**2 * level[:, 0] ** 2) / (power * s[:, :1] ** 2)
    llr = np.stack([soft_demap.qpsk(one, nv) for one, nv in zip(z, np.broadcast_to(noise, z.shape), strict=True)])
    soft = np.empty((len(h), 2 * PACKET_BITS), np.float32)
    soft[:, order] = llr.reshape(len(h), -1)
    decoded = viterbi.decode(list(soft), [PACKET_BITS] * len(h))
    return np.array([np.any(a[:PACKET_BITS] != b) for a, b in zip(decoded, told, strict=True)])


class LowresChanest(Scheme):
    name, title = "lowres_chanest", "Channel of a 16x64 MIMO system behind converters of 1, 2 or 3 bits"
    reference = "X. Zhou et al., Generative Diffusion Models for High Dimensional Channel Estimation (quantised case)"
    shape, axes = (RX, TX), ("receive antenna", "pilot")
    default = "bits1"
    snr_definition = (
        "mean power of a received pilot over noise variance, per receive antenna, in front of the converter"
    )
    snr_db = (0, 5, 10, 15, 20)
    evaluations = ()
    data = mimo_chanest.MimoChanest.data
    guidance_steps = 8
    realisations = 200
    baselines = tuple(f"{kind}_{part}.npy" for kind in KINDS for part in ("rows", "columns"))

    def sample(self, rng, n):
        first = n // 2
        kinds = zip(KINDS, (first, n - first), strict=True)
        h = np.concatenate([mimo_chanest.draw(kind, rng, count, RX, TX) for kind, count in kinds])
        return (h[rng.permutation(n)] @ BASIS).astype(np.complex64)

    def networks(self):
        build = partial(large_array, 1)
        title = f"1 bit, expectation propagation, {self.guidance_steps} evaluations"
        return {"bits1": Network(build, title, 0.2, minutes=24, batch=32)}

    def classical(self):
        prior = {"type": "onnx", "file": "bits1.onnx"}
        titles = {f"bits{b}": f"{b} bits, expectation propagation, {self.guidance_steps} evaluations" for b in (2, 3)}
        titles["ignoring"] = "the same prior, quantisation ignored: y taken for x and noise"
        return {name: {"title": title, "prior": prior} for name, title in titles.items()}

    def choices(self, member):
        if member == "ignoring":
            return super().choices(member)
        bits = int((member or self.default)[-1])
        return {
            "operator": {"type": "quantiser", "bits": bits, "step": float(STEPS[bits])},
            "start": {"type": "noise"},
            "sampler": {"type": "one_step"},
            "guidance": {"type": "ep", "guidance_steps": self.guidance_steps},
            "plan": self.plan,
        }

    def tensors(self, progress=print):
        out = {}
        for kind in KINDS:
            progress(f"fitting {kind}_lmmse to {mimo_chanest.FIT:,} channels")
            mixture = mimo_chanest.fit_kronecker(kind, RX, TX, 1, 1)
            out |= {f"{kind}_rows.npy": mixture.rows[0], f"{kind}_columns.npy": mixture.columns[0]}
        return out

    def claims(self):
        return [
            Claim(f"1 bit: 2 dB below Bussgang LMMSE at {snr} dB", "bits1", snr, "bussgang", gate=-2.0)
            for snr in self.snr_db
        ]

    def measure(self, estimate, members, count, seed, snr_db):
        folder, _ = model_packages.locate(self.name, checkout_first=True)
        kinds = []
        for i, kind in enumerate(KINDS):
            h = mimo_chanest.draw(kind, np.random.default_rng([seed, i]), (count + 1 - i) // 2, RX, TX)
            h /= np.sqrt(np.mean(np.abs(h) ** 2))
            rows, columns = (np.load(folder / f"{kind}_{part}.npy") for part in ("rows", "columns"))
            kinds.append((h, Bussgang(rows, columns)))
        h = np.concatenate([part for part, _ in kinds])
        x = (h @ BASIS).astype(np.complex64)
        noise = complex_noise32(np.random.default_rng([seed, 98]), x.shape)
        results = {}
        for bits in (1, 2, 3):
            words = "1 bit" if bits == 1 else f"{bits} bits"
            nmse, lost = f"NMSE behind {words}, dB", f"coded packet error rate, {words}"
            results |= {nmse: {}, lost: {}}
            for nv in (10 ** (-db / 10) for db in snr_db):
                y = quantise(x + np.sqrt(nv) * noise, bits).reshape(len(x), -1)
                for name, found in self._answers(estimate, members, kinds, y, nv, bits):
                    found = found.reshape(x.shape)
                    add_snr(results[nmse], name, np.sum(np.abs(found - x) ** 2, (1, 2)), np.sum(np.abs(x) ** 2, (1, 2)))
                    wrong = packet_errors(h, found @ BASIS.conj().T, bits, seed)
                    add_snr(results[lost], name, wrong, np.ones(len(wrong)))
                wrong = packet_errors(h, h, bits, seed)
                add_snr(results[lost], "channel known", wrong, np.ones(len(wrong)))
        return results

    def _answers(self, estimate, members, kinds, y, nv, bits):
        """(name, estimate) of every method behind so many bits."""
        gain, _ = gain_and_error(bits, (1 + nv) / 2)
        if f"bits{bits}" in members:
            yield f"bits{bits}", estimate(f"bits{bits}", y, nv)[0]
        if "ignoring" in members:
            yield "ignoring", estimate("ignoring:guard=off", y, nv)[0]
        yield "ls", y / gain
        first, found = 0, []
        for h, bussgang in kinds:
            found.append(bussgang(y[first : first + len(h)], nv, bits))
            first += len(h)
        yield "bussgang", np.concatenate(found)

    def card(self):
        return (
            "For snapshots of two uniform linear arrays at half a wavelength behind coarse converters whose gain is "
            "known, with the noise level known. The prior is the network of `mimo_chanest_16x64` in the basis of the "
            "pilots (U, `models.pilot_gains.pilot_basis`; H is the answer times U^H), not trained again. Pilots sent "
            "from one antenna after the other would not do: what one bit says of a single path then hangs together "
            "over the antennas, and expectation propagation takes its error for white."
        )


SCHEME = LowresChanest()

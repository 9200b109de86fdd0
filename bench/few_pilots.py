# SPDX-License-Identifier: GPL-3.0-or-later
"""Annealed Langevin sampling with the published schedule, as a reference for `mimo_pilot_posterior`.

    python bench/few_pilots.py --kind 3gpp --density 0.6 --snr 10 --realisations 50

Arvinte and Tamir 2023: 2311 levels, sigma_i = 39.15 * 0.995^i per real component, three steps at each,
H <- H + a_i [s(H, sigma_i) - A^H (A H - Y) / (s_n^2 / 2 + sigma_i^2)] + sqrt(2 b a_i) z,
a_i = 3e-11 (sigma_i / sigma_L)^2, b = 0.01, by the denoiser of `mimo_chanest_16x64` (trained at levels 0.003 to 30,
and held there beyond). Same channels, pilots and definition of SNR as `gr-diffsem eval mimo_pilot_posterior`. Reported
is the last sample, and beside it the step that was nearest to the truth, which no receiver can know.
"""

import argparse

import numpy as np
from gr_diffsem.base import model_packages
from gr_diffsem.base.number_options import real, whole
from gr_diffsem.base.signal import complex_noise32
from gr_diffsem.eval import scores
from gr_diffsem.schemes import mimo_chanest
from gr_diffsem.schemes import mimo_pilot_posterior as few

LEVELS, TOP, RATIO, STEPS, RATE, HEAT = 2311, 39.15, 0.995, 3, 3e-11, 0.01


def denoiser():
    """f(h [R, 16, 64], sigma) -> E[h] by the shipped network."""
    import onnxruntime

    folder, _ = model_packages.locate("mimo_chanest_16x64", checkout_first=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "diffusion.onnx"), options, ["CPUExecutionProvider"])

    def mean(h, sigma):
        planes = np.stack([h.real, h.imag], 1).astype(np.float32) * np.float32(np.sqrt(2))
        level = np.full((len(h), 1, *h.shape[1:]), np.clip(sigma, 0.003, 30.0), np.float32)
        out = session.run(["mean"], {"x": planes, "sigma": level})[0]
        return (out[:, 0] + 1j * out[:, 1]) / np.sqrt(2)

    return mean


def langevin(y, count, noise_var, rng, watch):
    """The last sample [R, 16, 64] of y = (H U)[:, :, :count] and noise; watch(h) sees each level's."""
    mean, sent = denoiser(), few.BASIS[:, :count]
    last = TOP * RATIO ** (LEVELS - 1)
    h = complex_noise32(rng, (len(y), few.RX, few.TX))  # of unit power: the noise of the first steps is of that size
    for i in range(LEVELS):
        sigma = TOP * RATIO**i
        step = RATE * (sigma / last) ** 2
        for _ in range(STEPS):
            score = (mean(h, np.sqrt(2) * sigma) - h) / sigma**2
            # The published pilots have power 1 each, ours 1/64: A is 8 U there, and so is Y.
            likelihood = few.TX * (h @ sent - y) @ sent.conj().T / (few.TX * noise_var / 2 + sigma**2)
            noise = complex_noise32(rng, h.shape) * np.sqrt(2)
            h = h + step * (score - likelihood) + np.sqrt(2 * HEAT * step) * noise
        watch(h)
    return h


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=mimo_chanest.KINDS, default="3gpp")
    parser.add_argument("--density", type=float, choices=few.DENSITIES, default=0.6)
    real(parser, "--snr", "dB", least=-20, most=40, default=10.0)
    whole(parser, "--realisations", least=2, most=1000, default=50)
    whole(parser, "--seed", default=1)
    args = parser.parse_args()
    i, count = mimo_chanest.KINDS.index(args.kind), few.pilots(args.density)
    h = mimo_chanest.draw(args.kind, np.random.default_rng([args.seed, i]), args.realisations, few.RX, few.TX)
    h /= np.sqrt(np.mean(np.abs(h) ** 2))
    noise_var, rng = 10 ** (-args.snr / 10), np.random.default_rng([args.seed, 77])
    y = (h @ few.BASIS)[..., :count]
    y = y + np.sqrt(noise_var) * complex_noise32(rng, y.shape)
    power, best = np.sum(np.abs(h) ** 2, (1, 2)), []

    def errors(found):
        return np.sum(np.abs(found - h) ** 2, (1, 2))

    found = langevin(y, count, noise_var, rng, lambda now: best.append(scores.nmse_db(errors(now), power)))
    low, high = scores.bootstrap(scores.nmse_db, (errors(found), power))
    print(f"{args.kind}, density {args.density}, {args.snr:g} dB, {args.realisations} realisations")
    value = scores.nmse_db(errors(found), power)
    print(f"{LEVELS * STEPS} steps: last sample {value:.2f} dB [{low:.2f}, {high:.2f}]; best step {min(best):.2f} dB")


if __name__ == "__main__":
    main()

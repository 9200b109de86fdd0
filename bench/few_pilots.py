# SPDX-License-Identifier: GPL-3.0-or-later
"""References for `mimo_pilot_posterior` and `variational_chanest`: annealed Langevin, and CDL-C of fixed angles.

    python bench/few_pilots.py --kind 3gpp --density 0.6 --snr 10 --realisations 50
    python bench/few_pilots.py --cdl-c --snr 10 --realisations 200

Langevin (Arvinte and Tamir 2023): 2311 levels, sigma_i = 39.15 * 0.995^i per real component, three steps at each,
H <- H + a_i [s(H, sigma_i) - A^H (A H - Y) / (s_n^2 / 2 + sigma_i^2)] + sqrt(2 b a_i) z,
a_i = 3e-11 (sigma_i / sigma_L)^2, b = 0.01, by the denoiser of `mimo_chanest_16x64` (levels 0.003 to 30).

Their score is that of NCSNv2 (Song and Ermon 2020, technique 3): s(x, sigma) = f(x) / sigma, and f is not told sigma.
So f answers the noise that it finds in x, which all along is far from sigma_i: the steps are short, and the state does
not follow its levels. `--score blind` (the default) does the same with our denoiser: it is told `MARGIN` times the
level of what it took out of the last state, and f is what it takes out, at unit power. `--score told` tells it
sigma_i. Same channels, pilots and definition of SNR as `gr-diffsem eval mimo_pilot_posterior`. Reported is the last
sample, and beside it the step that was nearest to the truth, which no receiver can know.

CDL-C (TR 38.901, table 7.7.1-3): 24 clusters of 20 rays at the table's angles, azimuth alone, two linear arrays at
half a wavelength, random phases: a Gaussian channel of one covariance, which the genie is told in full. LMMSE has the
average covariance, over the random pairings of rays within a cluster, or of rows and columns alone. Ours is
`mimo_pilot_posterior` as it ships, which never saw such channels.
"""

import argparse
import json
import time

import numpy as np
from gr_diffsem.base import model_packages
from gr_diffsem.base.number_options import real, whole
from gr_diffsem.base.signal import complex_noise32
from gr_diffsem.eval import scores
from gr_diffsem.schemes import mimo_chanest
from gr_diffsem.schemes import mimo_pilot_posterior as few

LEVELS, TOP, RATIO, STEPS, RATE, HEAT = 2311, 39.15, 0.995, 3, 3e-11, 0.01
MARGIN = 1.3  # told too low a level, a denoiser takes noise for signal and never finds it again
TOLD = (0.003, 30.0)  # levels that the network was trained at

# CDL-C: power in dB, azimuth of departure and of arrival in degrees of each cluster; spreads within a cluster, and the
# 20 rays' offsets for a spread of one degree (TR 38.901, tables 7.7.1-3 and 7.5-3).
CLUSTERS = np.array(
    [
        [-4.4, -46.6, -101.0],
        [-1.2, -22.8, 120.0],
        [-3.5, -22.8, 120.0],
        [-5.2, -22.8, 120.0],
        [-2.5, -40.7, -127.5],
        [0.0, 0.3, 170.4],
        [-2.2, 0.3, 170.4],
        [-3.9, 0.3, 170.4],
        [-7.4, 73.1, 55.4],
        [-7.1, -64.5, 66.5],
        [-10.7, 80.2, -48.1],
        [-11.1, -97.1, 46.9],
        [-5.1, -55.3, 68.1],
        [-6.8, -64.3, -68.7],
        [-8.7, -78.5, 81.5],
        [-13.2, 102.7, 30.7],
        [-13.9, 99.2, -16.4],
        [-13.9, 88.8, 3.8],
        [-15.8, -101.9, -13.7],
        [-17.1, 92.2, 9.7],
        [-16.0, 93.3, 5.6],
        [-15.7, 106.6, 0.7],
        [-21.6, 119.5, -21.9],
        [-22.8, -123.8, 33.6],
    ]
)
SPREADS = (2.0, 15.0)
RAYS = np.array([0.0447, 0.1413, 0.2492, 0.3715, 0.5129, 0.6797, 0.8844, 1.1481, 1.5195, 2.1551])


def denoiser():
    """f(h [R, 16, 64], sigma, one or [R]) -> E[h] by the shipped network."""
    import onnxruntime

    folder, _ = model_packages.locate("mimo_chanest_16x64", checkout_first=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "diffusion.onnx"), options, ["CPUExecutionProvider"])

    def mean(h, sigma):
        planes = np.stack([h.real, h.imag], 1).astype(np.float32) * np.float32(np.sqrt(2))
        level = np.zeros((len(h), 1, *h.shape[1:]), np.float32)
        level += np.clip(np.reshape(sigma, (-1, 1, 1, 1)), *TOLD)
        out = session.run(["mean"], {"x": planes, "sigma": level})[0]
        return (out[:, 0] + 1j * out[:, 1]) / np.sqrt(2)

    return mean


def scorer(kind):
    """f(h, sigma of a component) -> the score."""
    mean = denoiser()
    if kind == "told":
        return lambda h, sigma: (mean(h, np.sqrt(2) * sigma) - h) / sigma**2
    level = None

    def blind(h, sigma):
        nonlocal level
        taken = h - mean(h, np.full(len(h), 3.0) if level is None else level)
        found = np.sqrt(np.mean(np.abs(taken) ** 2, (1, 2)))  # of a complex element
        level = MARGIN * found
        return -np.sqrt(2) * taken / (found[:, None, None] * sigma)

    return blind


def langevin(y, count, noise_var, rng, watch, kind="blind", every=1):
    """The last sample [R, 16, 64] of y = (H U)[:, :, :count] and noise; watch(h) sees each level's. every: take one
    level of so many and steps longer by as much (for a try)."""
    score_of, sent = scorer(kind), few.BASIS[:, :count]
    last = TOP * RATIO ** (LEVELS - 1)
    h = complex_noise32(rng, (len(y), few.RX, few.TX))  # of unit power: the noise of the first steps is of that size
    for i in range(0, LEVELS, every):
        sigma = TOP * RATIO**i
        step = every * RATE * (sigma / last) ** 2
        for _ in range(STEPS):
            score = score_of(h, sigma)
            # The published pilots have power 1 each, ours 1/64: A is 8 U there, and so is Y.
            likelihood = few.TX * (h @ sent - y) @ sent.conj().T / (few.TX * noise_var / 2 + sigma**2)
            noise = complex_noise32(rng, h.shape) * np.sqrt(2)
            h = h + step * (score - likelihood) + np.sqrt(2 * HEAT * step) * noise
        watch(h)
    return h


def rays(rng):
    """(amplitudes [480], departures, arrivals in radians) of CDL-C, the rays of a cluster paired at random."""
    offsets = np.concatenate([RAYS, -RAYS])
    power = np.repeat(10 ** (CLUSTERS[:, 0] / 10), len(offsets))
    angles = []
    for column, spread in zip((1, 2), SPREADS, strict=True):
        order = np.stack([rng.permutation(offsets) for _ in CLUSTERS])
        angles.append(np.deg2rad(CLUSTERS[:, column, None] + spread * order).ravel())
    return np.sqrt(power / power.sum()), *angles


def waves(angles, antennas):
    """Responses of a linear array at half a wavelength [antennas, rays]."""
    return np.exp(1j * np.pi * np.outer(np.arange(antennas), np.sin(angles)))


def cdl_c(args):
    """NMSE of LMMSE, ours and the genie on CDL-C."""
    from gnuradio import diffsem

    rng = np.random.default_rng([args.seed, 38])
    amplitudes, departures, arrivals = rays(rng)
    rx, tx = waves(arrivals, few.RX) * amplitudes, waves(departures, few.TX)
    phases = np.exp(2j * np.pi * rng.random((args.realisations, len(amplitudes))))
    h = np.einsum("rl,nl,tl->nrt", rx, phases, tx, optimize=True).astype(np.complex64)
    rows, columns = rx @ rx.conj().T, (tx * amplitudes**2) @ tx.conj().T
    of_paths = np.einsum("rl,tl->rtl", rx, few.BASIS.T @ tx)  # each ray's x = H U
    seen, count = few.observed(args.density), few.pilots(args.density)
    whole_x = of_paths.reshape(-1, len(amplitudes))
    clusters = np.zeros((rx.shape[0] * tx.shape[0],) * 2, complex)
    for r, t in zip(np.split(rx, len(CLUSTERS), 1), np.split(few.BASIS.T @ tx, len(CLUSTERS), 1), strict=True):
        clusters += np.kron(r @ r.conj().T, t @ t.conj().T / t.shape[1])
    noise_var = 10 ** (-args.snr / 10)
    x = (h @ few.BASIS).reshape(len(h), -1)
    y = x + np.sqrt(noise_var) * complex_noise32(np.random.default_rng([args.seed, 77]), x.shape)
    y = np.where(seen.ravel(), y, 0).astype(np.complex64)

    def lmmse(covariance):
        seen_twice = covariance[np.ix_(seen.ravel(), seen.ravel())] + noise_var * np.eye(seen.sum())
        return y[:, seen.ravel()] @ np.linalg.solve(seen_twice.T, covariance[:, seen.ravel()].T)

    ours = diffsem.scheme("mimo_pilot_posterior").estimate(y, np.float32(noise_var), observed=seen.ravel())[0]
    found = {
        "LMMSE, average covariance of rows and columns": few.AverageLmmse(rows, columns, count)(y, noise_var),
        "LMMSE, average covariance": lmmse(clusters),
        "mimo_pilot_posterior": ours,
        "genie: the covariance of these rays": lmmse(whole_x @ whole_x.conj().T),
    }
    power = np.sum(np.abs(x) ** 2, 1)
    for name, answer in found.items():
        error = np.sum(np.abs(answer - x) ** 2, 1)
        low, high = scores.bootstrap(scores.nmse_db, (error, power))
        print(f"CDL-C, density {args.density}, {args.snr:g} dB: {name} {scores.nmse_db(error, power):.2f} dB", end=" ")
        print(f"[{low:.2f}, {high:.2f}], {len(x)} realisations")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=mimo_chanest.KINDS, default="3gpp")
    parser.add_argument("--density", type=float, choices=few.DENSITIES, default=0.6)
    real(parser, "--snr", "dB", least=-20, most=40, default=10.0)
    whole(parser, "--realisations", least=2, most=1000, default=50)
    whole(parser, "--seed", default=1)
    parser.add_argument("--score", choices=("blind", "told"), default="blind", help="is the network told sigma_i")
    whole(parser, "--every", least=1, most=100, default=1, help="one level of so many, steps longer by as much")
    parser.add_argument("--cdl-c", action="store_true", help="CDL-C in the place of Langevin")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.cdl_c:
        cdl_c(args)
        return
    i, count = mimo_chanest.KINDS.index(args.kind), few.pilots(args.density)
    h = mimo_chanest.draw(args.kind, np.random.default_rng([args.seed, i]), args.realisations, few.RX, few.TX)
    h /= np.sqrt(np.mean(np.abs(h) ** 2))
    noise_var, rng = 10 ** (-args.snr / 10), np.random.default_rng([args.seed, 77])
    y = (h @ few.BASIS)[..., :count]
    y = y + np.sqrt(noise_var) * complex_noise32(rng, y.shape)
    power, best = np.sum(np.abs(h) ** 2, (1, 2)), []

    def errors(found):
        return np.sum(np.abs(found - h) ** 2, (1, 2))

    def watch(now):
        best.append(scores.nmse_db(errors(now), power))

    began = time.perf_counter()
    found = langevin(y, count, noise_var, rng, watch, args.score, args.every)
    low, high = scores.bootstrap(scores.nmse_db, (errors(found), power))
    value = scores.nmse_db(errors(found), power)
    steps = STEPS * len(best)
    if args.json:
        said = {"kind": args.kind, "density": args.density, "snr_db": args.snr, "realisations": args.realisations}
        print(json.dumps({**said, "nmse_db": value, "ci95": [low, high], "best": min(best), "steps": steps}))
        return
    print(f"{args.kind}, density {args.density}, {args.snr:g} dB, {args.realisations} realisations, seed {args.seed}")
    print(f"{steps} steps: last sample {value:.2f} dB [{low:.2f}, {high:.2f}]; best step {min(best):.2f} dB", end="; ")
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()

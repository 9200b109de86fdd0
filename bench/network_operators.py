#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inference through a network: the numbers of docs/openings/network_operators.md, on `encoded_digits`.

    build/env/radio/bin/python bench/network_operators.py [--items 60] [--few 40] [--seed 1]

Test pictures are measured by the package's network, noise is added. NMSE over all pixels / over the hidden ones, in dB:
gradient descent without a prior, `encoded_digits`, the mean of 8 of its draws. Then, on the first `--few` pictures, the
package without its denoiser's derivative, and more steps of guidance.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "python"))

from gr_diffsem.base import model_packages  # noqa: E402
from gr_diffsem.schemes import encoded_digits  # noqa: E402

SNR_DB, DESCENT, DRAWS = (10, 20), (3, 30, 300), 8
HIDDEN = np.zeros((14, 14), bool)
HIDDEN[encoded_digits.HIDDEN, encoded_digits.HIDDEN] = True


def nmse_db(found, truth, where=...):
    return 10 * np.log10(np.sum((found - truth)[:, where] ** 2) / np.sum(truth[:, where] ** 2))


def both(found, truth):
    return f"{nmse_db(found, truth):.1f} / {nmse_db(found, truth, HIDDEN.ravel()):.1f}"


def estimate(spec, y, noise_var, first=0):
    from gnuradio import diffsem

    mean, _, info = diffsem.scheme(spec).estimate(y, np.float32(noise_var), seed=1, first=first)
    assert not np.any(info["bypassed"]), info["reason"]
    return mean, float(np.mean(info["residual"]))


def without_a_prior(folder, steps):
    """y -> what `steps` of gradient descent make of it."""
    from gnuradio import diffsem

    keys = json.loads((folder / "manifest.json").read_text())["members"]["diffusion"]["operator"]
    kind = keys.pop("type")
    keys = json.dumps({**keys, "descent": steps})
    operator = diffsem.core.operator(kind, keys, 196, complex_domain=False, folder=str(folder))
    return lambda y: operator.classical(y.astype(np.complex64)).real


def without_a_derivative(folder, out):
    """The package with no `vjp` of its denoiser: differences stand in."""
    shutil.copytree(folder, out)
    manifest = json.loads((out / "manifest.json").read_text())
    del manifest["members"]["diffusion"]["prior"]["vjp"]
    (out / "manifest.json").write_text(json.dumps(manifest))
    return str(out)


def measurements(items, seed):
    """(truth [n, 196], {SNR: (y, noise variance)})."""
    data = encoded_digits.SCHEME.test_data(items, seed)
    clean = data.forward(data.truth)
    noise = np.random.default_rng([seed, 1]).standard_normal(clean.shape)
    levels = {snr_db: 10 ** (-snr_db / 10) for snr_db in SNR_DB}
    return data.truth, {db: ((clean + np.sqrt(v) * noise).astype(np.float32), v) for db, v in levels.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--few", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = model_packages.locate("encoded_digits", checkout_first=True)[0]
    truth, measured = measurements(options.items, options.seed)
    descents = [without_a_prior(folder, steps) for steps in DESCENT]
    print(f"| SNR | gradient descent, {' / '.join(map(str, DESCENT))} steps | `encoded_digits` | residual | 8 draws |")
    print("|---|---|---|---|---|")
    for snr_db, (y, noise_var) in measured.items():
        descent = " / ".join(f"{nmse_db(found(y), truth):.1f}" for found in descents)
        mean, residual = estimate(str(folder), y, noise_var)
        drawn = [estimate(f"{folder}:sampler=ddpm", y, noise_var, k * len(y))[0] for k in range(DRAWS)]
        draws = both(np.mean(drawn, 0), truth)
        print(f"| {snr_db} dB | {descent} | {both(mean, truth)} | {residual:.2f} | {draws} |", flush=True)

    print(f"\nthe first {options.few} pictures, all pixels, in dB at {' and '.join(map(str, SNR_DB))} dB")
    truth = truth[: options.few]
    with tempfile.TemporaryDirectory() as place:
        rows = {"as it is": str(folder), "differences": without_a_derivative(folder, Path(place) / "encoded_digits")}
        rows |= {f"guidance_steps={k}": f"{folder}:guidance_steps={k}" for k in (2, 4, 8)}
        for name, spec in rows.items():
            found = [estimate(spec, y[: options.few], noise_var)[0] for y, noise_var in measured.values()]
            print(f"{name}: " + ", ".join(f"{nmse_db(one, truth):.1f}" for one in found), flush=True)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The knob from distortion to realism (experimental), always beside what anybody can do without a model.

A posterior mean is blurred where little arrived; a draw from the posterior has the texture and a larger error. Two
controls are brought to the PSNR of every picture of the knob: an unsharp mask on the mean, and white noise added to it.
A knob that does not beat both, by MS-SSIM and by feature distance, has added nothing that a filter could not.
"""

import numpy as np

from ..base import console, picture_metrics
from ..base.errors import UserError
from . import photo_features, photo_receivers, photo_trials

RADIUS = 1.0  #: deviation of the unsharp mask's blur, pixels; 2 does about as well
CONTROLS = ("unsharp mask", "added noise")
STRONGEST = {"unsharp mask": 40.0, "added noise": 1.0}  #: amounts at which the search begins


def blurred(image, radius=RADIUS):
    """Gaussian blur of float [H, W, C], mirrored at the edges."""
    reach = min(int(np.ceil(3 * radius)), min(image.shape[:2]) - 1)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius) ** 2)
    taps /= taps.sum()
    for axis in (0, 1):
        wide = np.pad(image, [(reach, reach) if a == axis else (0, 0) for a in range(3)], mode="reflect")
        n = image.shape[axis]
        image = sum(t * wide.take(range(i, i + n), axis) for i, t in enumerate(taps))
    return image


def at_psnr(original, mean, detail, psnr_db, most):
    """uint8 of mean + a detail, a in 0..most, at this PSNR, or what comes nearest; by bisection."""
    low, high = 0.0, most
    for _ in range(14):
        middle = (low + high) / 2
        far = picture_metrics.psnr(original, photo_receivers.to_bytes(mean + middle * detail)) > psnr_db
        low, high = (middle, high) if far else (low, middle)
    return photo_receivers.to_bytes(mean + low * detail)


def scheme_of(receivers):
    """(name, receiver) of the posterior whose knob it is: the first of these {name: spec} that has one to draw from,
    else the first that is found; UserError where there is none."""
    for name, spec in {**receivers, **{name: name for name in photo_receivers.packages()}}.items():
        receiver = photo_receivers.make(spec) if name not in photo_trials.CLASSICAL else None
        if getattr(receiver, "draws", False):
            return name, receiver
    raise UserError("--realism: no package of photographs has a posterior to draw from; train photo_posterior")


def pictures(scheme, original, mean, draw, values, rng):
    """{(realism, method): uint8 picture}: the knob of this scheme at every value, and the controls at the knob's PSNR.

    original: uint8; mean, draw: float [H, W, 3] about 0..1.
    """
    details = {"unsharp mask": mean - blurred(mean), "added noise": rng.standard_normal(mean.shape)}
    out = {}
    for value in values:
        shown = out[value, scheme] = photo_receivers.to_bytes(mean + value * (draw - mean))
        if value:
            psnr_db = picture_metrics.psnr(original, shown)
            for name in CONTROLS:
                out[value, name] = at_psnr(original, mean, details[name], psnr_db, STRONGEST[name])
    return out


def run(evaluation, values, net, knob):
    """The report's part `realism`: rows of the knob and its controls, and by how much the knob beats each.

    evaluation: photo_trials.Evaluation, with its distances. values: in 0..1, ascending. net: photo_features.Features.
    knob: what `scheme_of` gives.
    """
    scheme, receiver = knob
    distances = {"psnr_db": picture_metrics.psnr, "ms_ssim": picture_metrics.ms_ssim, **evaluation.distances}
    keys = [(v, m) for v in values for m in (scheme, *(CONTROLS if v else ()))]
    scores = {key: {name: np.zeros(evaluation.shape) for name in distances} for key in keys}
    samples = {key: [[] for _ in evaluation.snr_db] for key in [*keys, "original"]}
    lost = 0
    for p, name in enumerate(evaluation.photographs):
        original, sent = evaluation.send(p)
        truth = net.samples(net(original))
        for s, snr in enumerate(evaluation.snr_db):
            for r in range(evaluation.realisations):
                arrived = photo_trials.collected(evaluation.through(sent, s, p, r))
                lost += not arrived
                blank = evaluation.blank[p] / 255.0
                mean, draw = (receiver.image(*arrived, realism=x) if arrived else blank for x in (0.0, 1.0))
                rng = np.random.default_rng([evaluation.seed, p, r])
                samples["original"][s].append(truth)
                for key, shown in pictures(scheme, original, mean, draw, values, rng).items():
                    for distance, measure in distances.items():
                        scores[key][distance][s, p, r] = measure(original, shown)
                    samples[key][s].append(net.samples(net(shown)))
                    evaluation.save(folder(key), snr, name, shown, r)
            evaluation.tick(f"realism: {name} {snr:g} dB")
    rows = [row(key, scores, samples) for key in keys]
    compared = [compare(scheme, v, control, scores) for v in values if v for control in CONTROLS]
    return {
        "scheme": scheme,
        "status": "experimental",
        "controls": f"on the mean, at the knob's PSNR: unsharp mask of radius {RADIUS:g} pixel, white noise",
        "undelivered": lost,
        "rows": rows,
        "over_controls": compared,
        "beats_both_on_both": {f"{v:g}": wins(v, compared) for v in values if v},
    }


def folder(key):
    """Where --save puts a picture."""
    value, method = key
    return f"realism-{value:g}" + (f"-{method.replace(' ', '-')}" if method in CONTROLS else "")


def row(key, scores, samples):
    """Means for every SNR, and the Frechet distance of all pictures' features from the originals'."""
    out = {"realism": key[0], "method": key[1]}
    out |= {name: list(values.mean((1, 2))) for name, values in scores[key].items()}
    both = zip(samples[key], samples["original"], strict=True)
    out["feature_frechet"] = [photo_features.frechet(np.concatenate(a), np.concatenate(b)) for a, b in both]
    return out


def compare(scheme, value, control, scores):
    """Knob minus control, pairs of one trial: {distance: means and intervals for every SNR}."""
    out = {"realism": value, "control": control}
    for name, values in scores[value, scheme].items():
        if name != "psnr_db":
            gain = values - scores[value, control][name]
            out[name] = {"mean": list(gain.mean((1, 2))), "ci95": [photo_trials.interval(x) for x in gain]}
    return out


def wins(value, compared):
    """Whether, at every SNR, the knob is better than either control by both measures."""
    mine = [c for c in compared if c["realism"] == value]
    return all(min(c["ms_ssim"]["mean"]) > 0 and max(c["feature_distance"]["mean"]) < 0 for c in mine)


def table(report, snr_db):
    """For people."""
    found = report["realism"]
    titles = {"psnr_db": "PSNR", "ms_ssim": "MS-SSIM", "feature_distance": "features", "lpips": "LPIPS"}
    names = [n for n in titles if n in found["rows"][0]] + ["feature_frechet"]
    titles["feature_frechet"] = "Frechet"
    lines = [
        f"Realism (experimental), {found['scheme']}; {found['controls']}",
        f"features: {photo_features.NAME}, smaller is nearer; Frechet: of its features over tiles, all pictures; "
        "not LPIPS",
    ]
    for s, snr in enumerate(snr_db):
        rows = [
            [f"{r['realism']:g}", r["method"], *(f"{r[n][s]:.{2 if n == 'psnr_db' else 4}f}" for n in names)]
            for r in found["rows"]
        ]
        lines += ["", *console.table(["realism", f"at {snr:g} dB", *(titles[n] for n in names)], rows, left=(0, 1))]
    for value, won in found["beats_both_on_both"].items():
        lines.append(f"{value}: " + ("beats" if won else "does not beat") + " both controls on both measures")
    return "\n".join(lines)


def sheet(originals, saved, values, snr, path, knob):
    """Contact sheet at one SNR: mean, knob, and the controls at the PSNR of the largest value.

    saved: (folder, name) -> uint8 picture. knob: what `scheme_of` gives.
    """
    from . import photo_sheet as contact

    last = max(values)
    keys = [(v, knob[0]) for v in values] + [(last, control) for control in CONTROLS if last]
    titles = {folder((v, knob[0])): f"realism {v:g}" + (" (mean)" if v == 0 else "") for v in values}
    titles |= {folder((last, c)): f"{c}, PSNR of realism {last:g}" for c in CONTROLS}
    received = {
        name: {"row": [saved(folder(key), name) for key in keys]} for name in list(originals)[: 2 * contact.MOST]
    }
    shown = {name: originals[name] for name in received}
    contact.draw(shown, received, [titles[folder(key)] for key in keys], path, {"row": f"{snr:g} dB"}, prefix="")

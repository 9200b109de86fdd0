# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs under a learned prior, in NumPy: inference by proximal steps.

The unknown is a photograph's cosine transform. Coefficient k was observed as z_k = x_k + noise of variance
v_k (infinite: not at all), and its spectrum says E x_k^2 = lambda_k. The state is kept in the transform
domain, where the proximal step of such an operator is exact; a net [1] completes the picture that the step
gives, told how large the error in every band is. This is the half-quadratic splitting of plug-and-play
priors (Zhang et al. 2022; Zhu et al. 2023 within a diffusion sampler) with levels that are measured in
place of chosen: the level of a step follows from z, v and what the net says of its own error.

Pixels are x = SCALE (image - 1/2), image in 0..1; variances are in units of x squared, [3, H, W].
"""

import json
import os

import numpy as np

from ..base import philox
from ..base.picture_bands import EDGES, LOG_VARIANCE, OCTAVES, Bands, band_index, completed, padded, proximal
from ..base.picture_transform import forward, inverse

MOST_GAIN = 2.0  # of a draw over the mean
SMOOTH = 1 / 24  # deviation of activity's low pass, in units of the Nyquist frequency
LEAST_ACTIVITY = 1e-3  # over its mean
NOISE, DEVIATION = 1.5, 0.5  # exponents of the local power: of a draw's noise, of a mean's error; both of variances
TINY = 1e-20


class OnnxNet:
    """An exported net, run by onnxruntime: (image [H, W, 3], levels [2 n]) -> (mean [H, W, 3], log variance [n]), with
    n `bands`. window: over how many coefficients a side its answer is `completed` for each; 0: it stands as it is."""

    def __init__(self, path, threads=1):
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.bands, self.window = told(self.session)

    def __call__(self, image, level):
        h, w, _ = image.shape
        feeds = {"x": padded(image), "level": level[None].astype(np.float32)}
        mean, log_variance = self.session.run(["mean", "log_variance"], feeds)
        return mean[0, :, :h, :w].transpose(1, 2, 0), log_variance[0]


def told(session):
    """(bands, window) of an exported net, from its metadata."""
    found = session.get_modelmeta().custom_metadata_map
    edges, sectors, window = (
        json.loads(found.get(f"diffsem.{key}", json.dumps(default)))
        for key, default in (("band_edges", EDGES), ("band_sectors", 1), ("window", 0))
    )
    return Bands(tuple(edges), sectors), window


def activity(mean, exponent):
    """Where a picture has structure: shares of a variance, float [H, W] of mean 1, from coefficients [3, H, W].

    The local power of what lies above an eighth of the Nyquist frequency, to `exponent`: what a posterior mean lacks is
    where it has some, not in the sky.
    """
    _, h, w = mean.shape
    from scipy import fft

    power = np.mean(inverse(mean * (band_index(h, w) >= 2)) ** 2, -1)
    f = np.hypot(np.arange(h)[:, None] / h, np.arange(w) / w)
    smooth = fft.idctn(fft.dctn(power, norm="ortho") * np.exp(-0.5 * (f / SMOOTH) ** 2), norm="ortho")
    floor = LEAST_ACTIVITY * smooth.mean()
    if floor <= 0:
        return np.ones((h, w))
    local = np.maximum(smooth, floor) ** exponent
    return local / local.mean()


def deviation(mean, error):
    """Standard deviation of a picture's error at each pixel, [H, W] in the units of its coefficients `mean` [3, H, W]:
    the mean of the coefficients' error variances [3, H, W], spread as the root of the local power."""
    return np.sqrt(error.mean() * activity(mean, DEVIATION))


def detail(mean, error, kept, seen, step, seed=0):
    """What a draw has beyond the posterior's mean, coefficients [3, H, W].

    A draw has the mean's energy P and the error's E. The one nearest to the mean has it by a gain alone (Gaussian
    optimal transport; Freirich, Michaeli, Meir, NeurIPS 2021), so in every band of luma, and for the coefficients that
    were seen and the others each, the mean is amplified by sqrt(1 + E/P), at most MOST_GAIN, and only what then lacks
    is noise, spread by the mean's `activity`. Colours are left alone. mean, error: [3, H, W]. kept: share of a change
    of the net's answer that the proximal step keeps, [3, H, W]: none where z was exact. seen: bool [H, W], of luma.
    """
    _, h, w = mean.shape
    group = band_index(h, w) + 5 * seen
    count = np.maximum(np.bincount(group.ravel(), minlength=10), 1)
    signal, lost = (np.bincount(group.ravel(), x.ravel(), 10) / count for x in (mean[0] ** 2, error[0]))
    gain = np.sqrt(np.minimum(1 + lost / np.maximum(signal, TINY), MOST_GAIN**2))
    noise = np.sqrt(np.maximum(signal + lost - gain**2 * signal, 0))
    drawn = philox.normals(h * w, step, [0], seed).reshape(h, w)
    grain = np.zeros(mean.shape, np.float32)
    grain[0] = noise[group] * drawn
    out = forward(inverse(grain) * np.sqrt(activity(mean, NOISE))[..., None])
    out[0] += (gain[group] - 1) * mean[0]
    return out * kept


def inferred(net, z, v, spectrum, evaluations, inflation=1.0, final=True):
    """(mean, its variance, variance that the last proximal step found), of each coefficient [3, H, W].

    What `posterior` says of its arguments. Without a final step the variance is the net's word.
    """
    before = spectrum
    m, e = proximal(0.0, spectrum, z, v)
    for i in range(evaluations):
        mean, before = answer(net, m, e, spectrum)
        if i + 1 == evaluations and not final:
            return mean, before, before
        m, e = proximal(mean, before, z, inflation * v)
    return m, e, before


def answer(net, m, e, spectrum):
    """(mean, variance) of coefficients [3, H, W], where a net sees m with errors of variance e."""
    bands = getattr(net, "bands", OCTAVES)
    image, log_variance = net(inverse(m), bands.levels(e, spectrum))
    mean, variance = forward(image), np.exp(log_variance.clip(*LOG_VARIANCE))
    if getattr(net, "window", 0):
        return completed(m, e, mean, variance, bands, net.window)
    return mean, bands.per_coefficient(variance, *m.shape[1:])


def posterior(net, z, v, spectrum, evaluations, inflation=1.0, final=True, realism=0.0, seed=0):
    """The photograph given its noisy coefficients: [H, W, 3] in units of x.

    z, v, spectrum: [3, H, W]. inflation: what v is multiplied by from the second step on, because the
    net's answer has already seen z. final: whether a proximal step follows the last evaluation; without
    noise (v = 0) it keeps what was observed, and only the null space is the net's. evaluations 0: linear
    MMSE under the spectrum. realism (experimental): the posterior's mean, 0, to the draw nearest to it, 1 (`detail`):
    by the variance that the last step left, exact where z was observed, the net's word for the band elsewhere. A net
    without a final step has no posterior to draw from.
    """
    if realism and not final:
        raise ValueError(f"realism = {realism:g}: a regression (final = False) has no posterior to draw from; take 0")
    m, e, before = inferred(net, z, v, spectrum, evaluations, inflation, final)
    if realism:
        kept = e / np.maximum(before, TINY)
        m = m + realism * detail(m, e, kept, np.isfinite(v[0]), evaluations + 1, seed)
    return inverse(m)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of moving pictures over the semantic link: the code of photographs with a third axis.

T frames (1 to 16) are transformed over time as well as over rows and columns, by the same orthonormal cosine
transform, so what stands still is one picture and T - 1 planes of almost nothing (as in SoftCast, Jakubczak and Katabi
2011). From there on all is as in picture_codec.py: levels of zones tell each coefficient's variance, the powers are
their closed form, every radio frame holds a share of everything, and what arrives is y = g x + n with a diagonal
operator. A group is one content of the link, so it is collected, combined and lost as a photograph is.

Where the camera moves, the frames are first laid over each other: each is moved by whole pixels, and what leaves at one
edge comes in at the other, which loses nothing and keeps the operator diagonal (video_groups.py finds the shifts).

The receiver has three steps. Linear MMSE over the group is exact under the levels that were sent. A network of
photographs then sees the frames one by one: frame t of the mean is sum_k D_kt m_k, and its error has the variance
sum_k D_kt^2 e_k, which the network is told band by band, as for a photograph. What it answers is weighed against what
arrived once more, over the group, where the noise of each coefficient is known (`refined`).
"""

import numpy as np

from ..base import picture_transform
from ..base.picture_bands import SCALE, proximal
from . import picture_codec
from .frames import CARRIERS, FRAME_SYMBOLS
from .picture_plan import MAX_PIXELS, MAX_SIDE, ContentError

INFLATION = 2.0  #: of the noise in the last step, since the network's answer has seen what arrived
LEAST_KNOWN = 1e-6  #: of a coefficient's variance: who knows less of it knows nothing


def forward(frames):
    """Frames [T, H, W, 3], any range -> coefficients [3 T, H, W], float64, in the order of zones.plane_rows."""
    frames = np.asarray(frames, np.float64)
    planes = np.array([picture_transform.forward(frame) for frame in frames])
    planes = np.tensordot(over_time(len(frames)), planes, 1)
    return planes.reshape(-1, *frames.shape[1:3])


def aligned(frames, shifts, back=False):
    """Frames [T, H, W, ...] moved by their `shifts` (Clip), or back."""
    if not shifts:
        return frames
    sign = 1 if back else -1
    return np.array([np.roll(f, (sign * y, sign * x), (0, 1)) for f, (y, x) in zip(frames, shifts, strict=True)])


def over_time(n):
    """The orthonormal cosine transform over n frames, float64 [frequency, frame]."""
    from scipy import fft

    return fft.dct(np.eye(n), axis=0, norm="ortho")


def encode(
    frames,
    uses,
    clip,
    design_snr_db=5.0,
    scheme_hash=0,
    carriers=CARRIERS,
    frame_symbols=FRAME_SYMBOLS,
    before=b"",
    models=None,
):
    """A group of frames for `uses` channel uses, everything counted -> picture_codec.Encoded.

    frames: uint8 [T, H, W, 3]. clip: a video_plan.Clip of T frames. The rest as picture_codec.encode_spectrum.
    ContentError where they cannot be served.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        raise ContentError(f"frames: {frames.dtype} {list(frames.shape)}, must be uint8 [T, H, W, 3]: convert to RGB")
    t, h, w, _ = frames.shape
    if t != clip.frames:
        raise ContentError(f"frames: {t}, the clip says {clip.frames}: give as many")
    if h * w < 2 or max(h, w) > MAX_SIDE or t * h * w > MAX_PIXELS:
        raise ContentError(
            f"frames: {t} of {h} x {w} pixels; a group has 2 to {MAX_PIXELS} pixels, {MAX_SIDE} a side: send it smaller"
        )
    design = int(round(design_snr_db))
    if not -10 <= design <= 21:
        raise ContentError(f"design_snr_db: {design_snr_db}, must lie in -10 .. 21")
    spectrum = forward(aligned(frames, clip.shifts) / 255.0 - 0.5)
    return picture_codec.encode_spectrum(
        spectrum, uses, design, scheme_hash, carriers, frame_symbols, before, clip, models
    )


def observation(plan, symbols, noise_var):
    """(z, v, spectrum), float32 [T, 3, H, W] each, as picture_codec.observation says them of a picture."""
    shape = (plan.clip.frames, 3, *plan.shape)
    return tuple(part.reshape(shape) for part in picture_codec.observation(plan, symbols, noise_var))


def to_frames(mean, variance):
    """Coefficients over time [T, 3, H, W] and their variances -> the same of each frame."""
    basis = over_time(len(mean)).astype(mean.dtype)
    return np.tensordot(basis.T, mean, 1), of_frames(variance)


def to_group(mean, variance):
    """Coefficients of each frame [T, 3, H, W] and their variances -> the same over time. Errors of neighbouring frames
    are alike, which variances do not say: what stands still is known less well than this has it, what moves better."""
    basis = over_time(len(mean)).astype(mean.dtype)
    return np.tensordot(basis, mean, 1), np.tensordot(basis**2, variance, 1)


def equivalent(mean, error, spectrum):
    """(z, v): the observation that leaves this mean and this error variance under a prior of variance `spectrum`; v is
    infinite where nothing was learned. So an estimator of photographs can be asked about a frame."""
    learned = spectrum - error
    known = learned > LEAST_KNOWN * spectrum
    share = np.divide(spectrum, learned, out=np.zeros_like(spectrum), where=known)
    v = np.where(known, error * share, np.inf)
    return (mean * share).astype(np.float32), v.astype(np.float32)


def of_frames(variance):
    """Variances over time [T, 3, H, W] -> of the coefficients of each frame."""
    basis = over_time(len(variance)).astype(variance.dtype)
    return np.tensordot(basis.T**2, variance, 1)


def linear(z, v, mean, variance):
    """Linear MMSE under the Gaussian prior (mean, variance) over time: (mean, error variance) of the coefficients of
    each frame, [T, 3, H, W] each, units of SCALE (image - 1/2)."""
    return to_frames(*proximal(mean, variance, z, v))


def refined(mean, variance, z, v, left, look):
    """Means of the coefficients of each frame once what a network said of the frames, (mean, variance) [T, 3, H, W],
    has been combined with another `look` (value, variance, inf: none) at their coefficients over time, and weighed
    against what arrived. The network's variance is spread over the frequencies as the error of the linear answer,
    `left`, is: what it does not know of a frame is mostly what did not arrive."""
    whole = left.mean(0)
    group, variance = to_group(mean, variance)
    variance = variance * np.divide(left, whole, out=np.ones_like(left), where=whole > 0)
    return to_frames(*proximal(*proximal(group, variance, *look), z, INFLATION * v))[0]


def pictures(mean, shifts):
    """Coefficients of each frame [T, 3, H, W] -> frames [T, H, W, 3], about 0..1."""
    frames = np.array([picture_transform.inverse(m) for m in mean]) / SCALE + 0.5
    return aligned(frames, shifts, back=True)

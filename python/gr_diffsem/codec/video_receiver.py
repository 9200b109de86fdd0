# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver of one stream of moving pictures: groups as they come -> frames, each group in the light of the last
frame before it.

What stood still since then is known already. The lowest frequency over time of a group of T frames is expected to be
sqrt(T) p, p the coefficients of the last frame by the linear receiver. What it differs by is the error e of p and the
innovation, whose variance w in each zone is found from what arrived, z = x + n:

    E (z - sqrt(T) p)^2 = v + T e + w

by weighted least squares (the weights are 1 / (v + T e + w)^2, so a few passes). This is the prediction step of a
Kalman filter with a random walk of unknown pace (Kalman 1960; the pace by matching of moments, Myers and Tapley 1976).
A prediction that knows less than the spectrum that was sent is not used, so a scene cut, which makes w large, costs
nothing, and a coefficient that was lost is taken from the frame before where the scene stands still. What a network
says of a frame is not expected of the next one: its own details would confirm themselves.

A group that did not come at all is generated: the straight line between the frames shown on both sides of it, the
mean of a random walk tied at both ends (a Brownian bridge). Such frames are marked. Where the scene changed meanwhile,
or too many frames are missing, none are made. (The network, told the bridge's variance, made them worse by 0.1 to
0.5 dB.)
"""

from dataclasses import dataclass, replace

import numpy as np

from ..base import picture_transform
from ..base.picture_bands import SCALE, proximal
from . import video_codec, video_groups
from .video_plan import FIRST_BITS, MOST_FRAMES
from .zones import zones

PASSES = 4  #: of the weighted least squares
AS_MANY = 4.0  #: coefficients that what is known of all zones together counts for in each
MOST_GENERATED = 2 * MOST_FRAMES  #: frames of a gap


@dataclass(frozen=True)
class Last:
    """The last frame of a group: its number; frame, by the linear receiver, float [H, W, 3], about 0..1; error:
    variance of its coefficients [3, H, W], units of (SCALE (image - 1/2))^2; shown: the frame as it was shown."""

    number: int
    frame: np.ndarray
    error: np.ndarray
    shown: np.ndarray

    @property
    def coefficients(self):
        """[3, H, W], units of SCALE (image - 1/2)."""
        return SCALE * picture_transform.forward(self.frame - 0.5)


@dataclass(frozen=True)
class Shown:
    """Frames of a group float [T, H, W, 3], about 0..1, and what was generated in front of them, [G, H, W, 3]."""

    frames: np.ndarray
    generated: np.ndarray


class VideoReceiver:
    """receiver = VideoReceiver(); shown = receiver.take(plan, symbols, noise_var, answer) for each group of a stream.

    A group that comes again is answered as the first time, from the same frame before it.
    """

    def __init__(self):
        self._before = self._last = None
        self._group = None

    def take(self, plan, symbols, noise_var, answer=None):
        """Shown, of what arrived of a group.

        answer: (number in the group, mean, error, spectrum) of a frame, [3, H, W] each -> its (mean, variance) by a
        network, or None where it is not asked: that frame is changed as its neighbours in time were. Without it all
        keep the linear ones.
        """
        clip, seen = plan.clip, tuple(video_codec.observation(plan, symbols, noise_var))
        if clip.first != self._group:
            self._before, self._group = self._last, clip.first
        last = self._before
        if last is not None and (clip.cut or last.frame.shape[:2] != tuple(plan.shape)):
            last = None
        gap = missing(last, clip)
        if not 0 <= gap <= MOST_GENERATED:
            last, gap = None, 0
        expected = predicted(last, plan, seen)
        mean, error = video_codec.linear(*seen[:2], *expected)
        spectrum = video_codec.of_frames(seen[2])
        frames = video_codec.pictures(mean, clip.shifts)
        shown = frames
        if answer:
            shown = video_codec.pictures(_answered(answer, mean, spectrum, seen, expected), clip.shifts)
        made = between(last.shown, shown[0], gap) if gap else shown[:0]
        number = (clip.first + clip.frames - 1) % (1 << FIRST_BITS)
        self._last = Last(number, frames[-1], error[-1], shown[-1])
        return Shown(shown, made)


def missing(last, clip):
    """Frames between the last one shown and a group; negative where the group comes from further back."""
    if last is None:
        return 0
    whole = 1 << FIRST_BITS
    return (clip.first - last.number - 1 + whole // 2) % whole - whole // 2


def predicted(last, plan, seen):
    """(mean, variance) of a group's coefficients, [T, 3, H, W], before what arrived of it is looked at: by the spectrum
    that was sent, and by the `last` frame (None: there is none) where that says more."""
    z, v, spectrum = seen
    mean, variance = np.zeros_like(spectrum), spectrum.copy()
    if last is None:
        return mean, variance
    count = len(spectrum)
    p = np.sqrt(np.float32(count)) * _moved(last, plan, seen).coefficients
    error = np.float32(count) * last.error
    told = np.isfinite(v[0])
    told[:, : plan.block[0], : plan.block[1]] = False  # came digitally: nothing is left to predict
    zone = zones(*plan.shape, plan.model).index
    for colour in range(3):
        off = innovation(z[0, colour] - p[colour], v[0, colour], error[colour], spectrum[0, colour], told[colour], zone)
        expected = error[colour] + off
        better = expected < spectrum[0, colour]
        mean[0, colour] = np.where(better, p[colour], 0)
        variance[0, colour] = np.where(better, expected, spectrum[0, colour])
    return mean, variance


def innovation(off, v, error, spectrum, told, zone):
    """Variance of what is new in each coefficient, float32 [H, W], one for each zone.

    off: what arrived less what was expected; v, error: variances of both; told: where something arrived; zone: int
    [H, W]. Where little arrived of a zone it is what the others say in proportion to the `spectrum`.
    """
    shape, parts = zone.shape, (off, np.where(told, v, 1), error, spectrum, told, zone)
    off, v, error, spectrum, told, zone = (a.ravel() for a in parts)
    number, arrived = np.bincount(zone), np.bincount(zone, told)
    level = np.bincount(zone, spectrum) / np.maximum(number, 1)
    new, squares, level_here = spectrum, off * off - v - error, level[zone]
    for _ in range(PASSES):
        weight = np.where(told, 1 / (v + error + new) ** 2, 0).astype(np.float64)
        found, total = (np.bincount(zone, weight * a, number.size) for a in (squares, 1.0))
        share = np.sum(weight * squares * level_here) / max(np.sum(weight * level_here**2), 1e-30)
        common = level * np.clip(share, 0, 1)
        own = np.divide(found, total, out=np.zeros_like(found), where=total > 0)
        each = np.maximum((arrived * own + AS_MANY * common) / (arrived + AS_MANY), 0)
        new = each[zone].astype(np.float32)
    return new.reshape(shape)


def between(last, first, count):
    """The `count` frames between two [H, W, 3], about 0..1, float [count, H, W, 3]; none where they show different
    scenes."""
    if video_groups.ends_scene(*(video_groups.reduced(255 * np.clip(end, 0, 1)) for end in (last, first))):
        return first[None][:0]
    far = (np.arange(1, count + 1) / (count + 1))[:, None, None, None]
    return (1 - far) * last + far * first


def _moved(last, plan, seen):
    """The last frame where the camera, which moves over the group, was at the first frame of it."""
    if not plan.clip.shifts:
        return last
    mean = video_codec.linear(*seen[:2], np.zeros_like(seen[2]), seen[2])[0]
    here = video_codec.pictures(mean[:1], ())[0]
    (rows, columns) = video_groups.motion(255 * np.array([last.frame, here]))[1]
    return replace(last, frame=np.roll(last.frame, (rows, columns), (0, 1)))


def _answered(answer, mean, spectrum, seen, expected):
    """Means of the frames [T, 3, H, W] once a network has been asked about each. It sees them as if there were no frame
    before, as it was trained; what it says is then combined with what was `expected`, and weighed against what
    arrived. The `mean` stays where it says nothing."""
    z, v, variance = seen
    none = np.zeros_like(z), variance
    group, left = proximal(*none, z, v)
    alone, error = video_codec.to_frames(group, left)
    said = [answer(t, *frame) for t, frame in enumerate(zip(alone, error, spectrum, strict=True))]
    if all(s is None for s in said):
        return mean
    alone, error = _changed(alone, error, said)
    look = expected[0], np.where(expected[1] < variance, expected[1], np.inf)
    return video_codec.refined(alone, error, z, v, left, look)


def _changed(mean, error, said):
    """(mean, error) [T, 3, H, W] of all frames, where a network answered, (mean, variance), about some of them, the
    others being None: what it changed, and the share of the error that it left, on the line between neighbours in
    time."""
    at = [t for t, s in enumerate(said) if s is not None]
    change = {t: said[t][0] - mean[t] for t in at}
    share = {t: np.divide(said[t][1], error[t], out=np.ones_like(error[t]), where=error[t] > 0) for t in at}
    out = np.empty_like(mean), np.empty_like(error)
    for t in range(len(mean)):
        after = min(np.searchsorted(at, t), len(at) - 1)
        b = at[after]
        a = at[max(after - 1, 0)] if b > t else b
        far = (t - a) / (b - a) if b > a else 0.0
        out[0][t] = mean[t] + (1 - far) * change[a] + far * change[b]
        out[1][t] = error[t] * ((1 - far) * share[a] + far * share[b])
    return out

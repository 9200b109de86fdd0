# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as they come -> groups of them that are sent together (video_codec.py).

Three things are decided here, all by the sender alone: where a scene ends, which closes a group; how long a group is,
where that is left to the content; and by how much frames are moved so that they lie over each other.

A scene ends where the frame before says less of a frame than the frame's own mean does, seen at an eighth of its size.
Motion of the camera is found by the phase of the cross-spectrum of neighbouring frames (Kuglin and Hines 1975), to a
part of a pixel, summed, and rounded, and taken where the code's own error estimate falls by it.
"""

import numpy as np

from ..base.errors import UserError
from . import picture_codec, video_codec
from .video_plan import MOST_FRAMES, Clip

LENGTHS = (4, 8, 16)
REDUCED = 8  #: pixels to one, where scenes are compared
MOST_SHIFT = 4  #: of a side, the part by which neighbouring frames may lie apart at most
WORTH_DB = 0.1  #: an alignment must promise so much


def check_length(length):
    """UserError unless it is a length of groups, or 0: by the content."""
    if length not in (0, *LENGTHS):
        raise UserError(f"group: {length} frames; give {', '.join(map(str, LENGTHS))}, or 0 for what suits the content")


class Groups:
    """for group, cut in groups.take(frame): ...; and groups.flush() at the end.

    length: frames of a group, or 0: of 16, 8 and 4 what promises the smallest error. uses: channel uses of a frame.
    """

    def __init__(self, length, uses):
        check_length(length)
        self._length, self._uses = length, uses
        self._waiting, self._cut, self._small = [], False, None

    def take(self, frame):
        """uint8 [H, W, 3] -> [(frames uint8 [T, H, W, 3], whether they begin another scene)]"""
        out, small = [], reduced(frame)
        cut = self._small is not None and ends_scene(self._small, small)
        self._small = small
        if cut:
            out = self.flush()
            self._cut = True
        self._waiting.append(frame)
        if len(self._waiting) == (self._length or MOST_FRAMES):
            out += self.flush()
        return out

    @property
    def empty(self):
        """Whether no frame waits."""
        return not self._waiting

    def flush(self):
        """What waits, as `take` gives it."""
        if not self._waiting:
            return []
        frames, cut = np.array(self._waiting), self._cut
        self._waiting, self._cut = [], False
        length = self._length or best_length(frames, self._uses)
        parts = [frames[i : i + length] for i in range(0, len(frames), length)]
        return [(part, cut and i == 0) for i, part in enumerate(parts)]


def reduced(frame):
    """Luma at an eighth of the size, float [H', W']; a side shorter than that stays one pixel."""
    h, w = (max(n // REDUCED * REDUCED, 1) for n in frame.shape[:2])
    grey = frame[:h, :w].mean(2)
    rows, columns = (np.arange(0, n, REDUCED) for n in (h, w))
    sums = np.add.reduceat(np.add.reduceat(grey, rows, 0), columns, 1)
    return sums * (len(rows) * len(columns) / (h * w))


def ends_scene(before, frame):
    """Whether two reduced frames show different scenes."""
    change = np.mean((frame - before) ** 2)
    own = np.mean((frame - frame.mean()) ** 2)
    return bool(change > max(own, 1.0))


def best_length(frames, uses):
    """Which of LENGTHS promises the smallest error for these frames at `uses` channel uses a frame."""

    def error(length):
        parts = [frames[i : i + length] for i in range(0, len(frames), length)]
        lost = [10 ** (_promised(part, uses, ()) / 10) for part in parts]
        return sum(lost)

    lengths = [n for n in LENGTHS if n < len(frames)] + [min(len(frames), MOST_FRAMES)]
    return min(reversed(lengths), key=error)


def _promised(frames, uses, shifts):
    clip = Clip(len(frames), shifts=shifts)
    spectrum = video_codec.forward(video_codec.aligned(frames, shifts) / 255.0 - 0.5)
    return picture_codec.promised_db(spectrum, uses * len(frames), clip)


def alignment(frames, uses):
    """Shifts of the frames of a group (Clip), or () where none promises less error at `uses` channel uses a frame."""
    found = motion(frames)
    if not any(map(any, found)):
        return ()
    return found if _promised(frames, uses, found) < _promised(frames, uses, ()) - WORTH_DB else ()


def motion(frames):
    """Rows and columns by which each frame lies off the first, whole pixels, ((0, 0), ...)."""
    grey = [frame.mean(2) for frame in frames]
    window = np.hanning(grey[0].shape[0] + 2)[1:-1, None] * np.hanning(grey[0].shape[1] + 2)[1:-1]
    spectra = [np.fft.rfft2((g - g.mean()) * window) for g in grey]
    where, out = np.zeros(2), [(0, 0)]
    for before, after in zip(spectra[:-1], spectra[1:], strict=True):
        where += _displacement(before, after, grey[0].shape)
        out.append(tuple(int(n) for n in np.rint(where)))
    return tuple(out)


def _displacement(before, after, shape):
    """(rows, columns) between two frames, from their spectra; 0 where it is more than a part of a side."""
    cross = after * before.conj()
    cross /= np.maximum(np.abs(cross), 1e-9)
    f = [np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])]
    peaks = np.fft.irfft2(cross * np.exp(-10 * (f[0] ** 2 + f[1] ** 2)), shape)  # single pixels are noise
    at = np.unravel_index(peaks.argmax(), shape)
    found = []
    for axis, n in enumerate(shape):
        near = [peaks[tuple((p + d) % m if a == axis else p for a, (p, m) in enumerate(zip(at, shape, strict=True)))]
                for d in (-1, 0, 1)]  # fmt: skip
        bend = near[0] - 2 * near[1] + near[2]
        part = 0.5 * (near[0] - near[2]) / bend if bend else 0.0
        found.append((at[axis] + n // 2) % n - n // 2 + part)
    far = any(abs(d) > n / MOST_SHIFT for d, n in zip(found, shape, strict=True))
    return np.zeros(2) if far else np.array(found)

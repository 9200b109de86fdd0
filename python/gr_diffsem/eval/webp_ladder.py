# SPDX-License-Identifier: GPL-3.0-or-later
"""A photograph as a WebP file that just fits into so many octets: the best the sender can do by its own PSNR."""

import io

import numpy as np

#: Sides of the file's picture over those of the photograph.
SCALES = (1.0, 0.8, 0.65, 0.5, 0.4, 0.32, 0.25, 0.2, 0.16, 0.125, 0.08, 0.05)
#: At this quality and above no smaller picture is tried: on photographs none did better from quality 42 on.
AMPLE = 90
#: Height and width, two octets each, precede the file, so that the receiver can scale it back.
SIZE_OCTETS = 4
METHOD = 6  #: Pillow's effort, 0..6: the best
#: Qualities, and the logarithm of their files' sizes over that of quality 0, a mean over photographs: where to look.
SHAPE = (
    (0, 2, 5, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95, 98, 100),
    (0, 0.5, 0.71, 0.94, 1.26, 1.5, 1.7, 1.86, 2.0, 2.14, 2.21, 2.43, 2.66, 2.95, 3.3, 3.5, 3.59),
)


class Ladder:
    """The WebP files of one photograph, made once each and kept: the smaller budgets reuse what the others tried."""

    def __init__(self, image):
        """image: uint8 [H, W, 3]."""
        self.image = image
        self._files, self._small, self._seen, self._best = {}, {}, {}, {}

    def file(self, scale, quality):
        """The octets of the file at this scale and quality 0..100."""
        from PIL import Image

        if (scale, quality) not in self._files:
            if scale not in self._small:
                h, w = self.image.shape[:2]
                size = (max(1, round(w * scale)), max(1, round(h * scale)))
                picture = Image.fromarray(self.image)
                self._small[scale] = picture if scale == 1 else picture.resize(size, Image.LANCZOS)
            buffer = io.BytesIO()
            self._small[scale].save(buffer, "WEBP", quality=quality, method=METHOD)
            self._files[scale, quality] = buffer.getvalue()
        return self._files[scale, quality]

    def decoded(self, data):
        """What a receiver shows for these octets: uint8 [H, W, 3]."""
        from PIL import Image

        picture = Image.open(io.BytesIO(data)).convert("RGB")
        h, w = self.image.shape[:2]
        return np.asarray(picture if picture.size == (w, h) else picture.resize((w, h), Image.BICUBIC))

    def _largest(self, scale, octets):
        """The highest quality whose file fits, or None; sizes grow with quality, nearly as SHAPE says."""
        if len(self.file(scale, 0)) > octets:
            return None
        known = {q: np.log(len(file) / octets) for (s, q), file in self._files.items() if s == scale}
        low = max(q for q, size in known.items() if size <= 0)
        high = min((q for q, size in known.items() if size > 0), default=101)
        while high - low > 1:
            at = np.interp((low, high), *SHAPE)
            share = -known[low] / (known[high] - known[low]) if high <= 100 else -known[low] / (at[1] - at[0])
            guess = int(np.interp(at[0] + share * (at[1] - at[0]), *SHAPE[::-1]))
            guess = min(max(guess, low + 1), high - 1)
            known[guess] = np.log(len(self.file(scale, guess)) / octets)
            low, high = (guess, high) if known[guess] <= 0 else (low, guess)
        return low

    def _tried(self, i, octets):
        """(PSNR, scale, quality) of the largest file at SCALES[i] that fits; PSNR -inf if none does."""
        from ..base.picture_metrics import psnr

        scale = SCALES[i]
        quality = self._largest(scale, octets)
        if quality is None:
            return -np.inf, scale, -1
        if (scale, quality) not in self._seen:
            self._seen[scale, quality] = psnr(self.image, self.decoded(self.file(scale, quality)))
        return self._seen[scale, quality], scale, quality

    def best(self, octets):
        """(file, picture as received, PSNR in dB) of the best file of at most octets - SIZE_OCTETS; None if none fits.

        Scales are tried from that of the nearest size on, both ways until two in a row are worse than the best (one may
        be for want of a quality that fills the octets).
        """
        octets = max(int(octets) - SIZE_OCTETS, 1)
        if octets not in self._best:
            near = min(self._best, key=lambda other: abs(np.log(other / octets)), default=None)
            start = self._best[near][0] if near else 0
            best, i = self._tried(start, octets), start
            for scales in (range(start + 1, len(SCALES)), range(start - 1, -1, -1)):
                worse = 0
                for other in scales:
                    if worse == 2 or (other > start and best[2] >= AMPLE):
                        break
                    tried = self._tried(other, octets)
                    worse += tried[0] < best[0] or (other < start and tried[2] < 0)
                    if tried[0] > best[0]:
                        best, i, worse = tried, other, 0
            self._best[octets] = i, best[1:] if best[2] >= 0 else None
        found = self._best[octets][1]
        if found is None:
            return None
        data = self.file(*found)
        return data, self.decoded(data), self._seen[found]


def mean_colour(image):
    """What an undelivered picture counts as: its own mean colour everywhere (a sender could send that much)."""
    mean = np.rint(image.reshape(-1, 3).mean(0)).astype(np.uint8)
    return np.broadcast_to(mean, image.shape)

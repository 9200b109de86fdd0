# SPDX-License-Identifier: GPL-3.0-or-later
"""A photograph as a WebP file that just fits into so many octets: the best the sender can do by its own PSNR."""

import io

import numpy as np

#: Sides of the file's picture over those of the photograph.
SCALES = (1.0, 0.8, 0.65, 0.5, 0.4, 0.32, 0.25, 0.2, 0.16, 0.125, 0.08, 0.05)
#: Height and width, two octets each, precede the file, so that the receiver can scale it back.
SIZE_OCTETS = 4
METHOD = 4  #: Pillow's effort, 0..6


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
        """The highest quality whose file fits, or None: by bisection, as sizes grow with quality."""
        if len(self.file(scale, 0)) > octets:
            return None
        low, high = 0, 101
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if len(self.file(scale, middle)) <= octets else (low, middle)
        return low

    def best(self, octets):
        """(file, picture as received, PSNR in dB) of the best file of at most octets - SIZE_OCTETS; None if none fits.

        Scales are tried from the largest down, until PSNR falls.
        """
        from .metrics import psnr

        octets = int(octets) - SIZE_OCTETS
        if octets in self._best:
            return self._best[octets]
        best = None
        for scale in SCALES:
            quality = self._largest(scale, octets)
            if quality is None:
                continue
            if (scale, quality) not in self._seen:
                self._seen[scale, quality] = psnr(self.image, self.decoded(self.file(scale, quality)))
            if best and self._seen[scale, quality] < best[1]:
                break
            best = ((scale, quality), self._seen[scale, quality])
        if best:
            data = self.file(*best[0])
            best = (data, self.decoded(data), best[1])
        self._best[octets] = best
        return best


def mean_colour(image):
    """What an undelivered picture counts as: its own mean colour everywhere (a sender could send that much)."""
    mean = np.rint(image.reshape(-1, 3).mean(0)).astype(np.uint8)
    return np.broadcast_to(mean, image.shape)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the semantic link's `linear` receiver knows of a photograph: training data of `photo_mmse`.

The link's own encoder, with fading, its estimate, noise and lost frames on the symbols; only the digital part
and the headers are taken as received.
"""

import numpy as np

from ..air import symbol_channel
from ..air.symbol_channel import DATA
from ..base.picture_bands import SCALE
from ..base.signal import complex_noise
from ..codec import frames, picture_codec
from . import photo_data

LOG_CBR = tuple(np.log((1 / 72, 1 / 4)))
SNR_DB = (-5.0, 20.0)
LOSS = 0.4  # at most this share of the frames is lost


def receive(rng, symbols, snr_db, kind, loss):
    """Symbols [N] -> (equalised symbols [N], noise variance that the receiver states [N], inf in lost frames)."""
    noise = 10 ** (-snr_db / 10)
    count = frames.frame_count(symbols.size)
    h = symbol_channel.draw(kind, rng, count)
    guess, error = symbol_channel.estimate(h, noise, rng, symbol_channel.ESTIMATE_TAPS.get(kind, 17))
    stated = ((noise + error) / np.abs(guess) ** 2)[:, DATA]
    stated[rng.permutation(count)[: round(loss * count)]] = np.inf
    turn, frame = np.divmod(np.arange(symbols.size), count)  # frames take turns, carriers within a frame
    at = frame, turn % DATA.size
    h, guess = h[:, DATA][at], guess[:, DATA][at]
    received = (symbols * h + complex_noise(rng, symbols.size, noise)) / guess
    return received.astype(np.complex64), stated[at].astype(np.float32)


def encode(photograph, cbr):
    """The photograph's code at this bandwidth ratio, or at the next that has room for its side information."""
    while True:
        try:
            return picture_codec.encode(photograph, round(cbr * photograph.size))
        except picture_codec.ContentError:
            if cbr >= 1:
                raise
            cbr = min(1.2 * cbr, 1.0)


def observe(rng, photograph, cbr=None, snr_db=None, kind=None, loss=None):
    """(truth [H, W, 3] in units of x, z, v, spectrum [3, H, W]) of a photograph behind a link that is
    drawn where it is not given."""
    return next(observations(rng, photograph, cbr, snr_db, kind, loss))


def observations(rng, photograph, cbr=None, snr_db=None, kind=None, loss=None):
    """What `observe` gives, again and again: the photograph is turned and encoded once, which is what takes time, and
    goes through another link each time."""
    image = photo_data.augment(rng, photograph) if cbr is None else photograph
    cbr = np.exp(rng.uniform(*LOG_CBR)) if cbr is None else cbr
    sent = encode(image, cbr)
    truth = SCALE * (image.astype(np.float32) / 255 - 0.5)
    while True:
        snr = rng.uniform(*SNR_DB) if snr_db is None else snr_db
        path = rng.choice(["awgn", "awgn", "tdl", "tdl_c"]) if kind is None else kind
        share = (rng.uniform(0, LOSS) if rng.random() < 0.4 else 0.0) if loss is None else loss
        known = picture_codec.observation(sent.plan, *receive(rng, sent.symbols, snr, path, share))
        yield (truth, *known)

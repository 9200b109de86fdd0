# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs over the air by every method, at the same channel uses, through the same channels and noise.

A trial is one photograph through one realisation of the channel at one SNR. The realisation depends on the
seed and the trial alone: frames are equally long for every method, so each meets the same fading, noise and losses.
"""

from dataclasses import dataclass, field

import numpy as np

from ..air import symbol_channel
from ..air.fading import SEMANTIC_LINK
from ..base import picture_metrics
from ..base.errors import UserError
from ..codec import collector, frames
from . import photo_receivers, webp_ladder, webp_link

REFERENCE_CODES = ("photo_mmse", "jscc")  # receivers that every other one is compared with where they are asked for
CLASSICAL = ("webp", "webp_ldpc", "webp_capacity")
CHANNELS = SEMANTIC_LINK
SNR_DEFINITION = "Es/N0 per data carrier behind the FFT, averaged over the fading"


@dataclass
class Trials:
    """Outcome of one method: psnr, ms_ssim, delivered: [SNRs, pictures, realisations]; modes: of `webp`, one an SNR."""

    psnr: np.ndarray
    ms_ssim: np.ndarray
    delivered: np.ndarray
    uses: list
    modes: list = field(default_factory=list)
    by_mode: dict = field(default_factory=dict)
    distances: dict = field(default_factory=dict)  # {name of a distance: [SNRs, pictures, realisations]}


def budget(height, width, cbr):
    """(channel uses, OFDM symbols) of a picture at this bandwidth ratio: whole OFDM symbols, headers counted."""
    uses = int(height * width * 3 * cbr)
    total = webp_link.total_symbols(uses)
    if total < 1:
        raise UserError(f"--cbr {cbr:g}: {uses} channel uses for {height} x {width} pixels hold no frame; spend more")
    if total > frames.head.MAX_TOTAL:
        most = int((frames.head.MAX_TOTAL * 48) / 3 / cbr)
        raise UserError(f"--cbr {cbr:g}: {height} x {width} pixels are too many; at most {most}: lower --max-side")
    return frames.HEADER_USES * frames.frame_count(total * frames.CARRIERS) + total * frames.CARRIERS, total


def spent(sent):
    """Channel uses of a list of frames."""
    return sum(f.symbols.size + frames.HEADER_USES for f in sent)


class Evaluation:
    """photographs {name: uint8 [H, W, 3]} at one bandwidth ratio.

    channel: one of CHANNELS. loss: share of frames lost. chain: (frames, snr_db, channel, loss, rng) -> list of
    Received. save: called with (method, snr_db, name, picture, realisation). tick: called after each step.
    distances: {name: (picture, picture) -> number}, reported beside PSNR and MS-SSIM. receivers: {method: what
    photo_receivers.make takes}, where that is not the method's name. misstated_db: by how much the SNR that receivers
    of pictures are told lies above the true one. csi: whether they are told each symbol's noise; else its mean.
    """

    def __init__(
        self, photographs, cbr, snr_db, channel, loss, chain, realisations, seed, save=None, tick=None,
        distances=None, receivers=None, misstated_db=0.0, csi=True
    ):  # fmt: skip
        self.photographs, self.cbr, self.snr_db = photographs, cbr, list(snr_db)
        self.channel, self.loss, self.chain = channel, loss, chain
        self.realisations, self.seed = realisations, seed
        self.save = save or (lambda *_: None)
        self.tick = tick or (lambda text: None)
        self.distances = distances or {}
        self.receivers = receivers or {}
        self.misstated_db, self.csi = misstated_db, csi
        self.uses = [budget(*image.shape[:2], cbr)[0] for image in photographs.values()]
        self.blank = [webp_ladder.mean_colour(image) for image in photographs.values()]
        self.blank_psnr = [picture_metrics.psnr(a, b) for a, b in zip(photographs.values(), self.blank, strict=True)]
        self.ladders = {}
        self._scored = {}

    @property
    def shape(self):
        return len(self.snr_db), len(self.photographs), self.realisations

    def through(self, sent, snr_index, picture, realisation):
        """Frames through one trial's channel."""
        assert spent(sent) == self.uses[picture], f"{spent(sent)} channel uses, not {self.uses[picture]}"
        snr = self.snr_db[snr_index]
        rng = np.random.default_rng([self.seed, picture, realisation, round(1000 * (snr + 200))])
        return self.chain(sent, snr, self.channel, self.loss, rng)

    def ladder(self, picture):
        """The WebP files of one photograph; kept, as other rates want others of them."""
        name = list(self.photographs)[picture]
        if name not in self.ladders:
            self.ladders[name] = webp_ladder.Ladder(self.photographs[name])
        return self.ladders[name]

    def judge(self, trials, at, shown, key=None):
        """MS-SSIM and the other distances of one trial; pictures with a key are compared once."""
        found = self._scored.get((at[1], key))
        if found is None:
            image = list(self.photographs.values())[at[1]]
            found = (
                picture_metrics.ms_ssim(image, shown),
                [distance(image, shown) for distance in self.distances.values()],
            )
            if key is not None:
                self._scored[at[1], key] = found
        trials.ms_ssim[at] = found[0]
        for name, value in zip(self.distances, found[1], strict=True):
            trials.distances[name][at] = value

    def _empty(self):
        distances = {name: np.zeros(self.shape) for name in self.distances}
        return Trials(*(np.zeros(self.shape) for _ in range(3)), self.uses, distances=distances)

    def send(self, picture, code=None):
        """(photograph, its frames) by a `LearnedCode`, or by the linear one."""
        from ..codec import picture_codec

        name, image = list(self.photographs.items())[picture]
        try:
            if code:
                encoded = code.encode(image, self.uses[picture]).encoded
            else:
                encoded = picture_codec.encode(image, self.uses[picture])
        except ValueError as error:
            raise UserError(f"{name} at --cbr {self.cbr:g}: {error}") from None
        return image, frames.cut(encoded.digital, encoded.symbols, picture)

    def classical(self, name, code, snr_known):
        """`webp` by the best mode in hindsight: for each SNR (snr_known), or one for all of them."""
        spans = ("frame",) if self.channel == "awgn" and not self.loss else ("frame", "picture")
        everything = webp_link.modes(code, spans)
        psnr = np.zeros((len(everything), *self.shape))
        delivered = np.zeros(psnr.shape, bool)
        for m, mode in enumerate(everything):
            delivered[m], psnr[m] = self._one_mode(mode)
            self.tick(f"{name} {mode}")
        mean = psnr.mean((2, 3))
        best = mean.argmax(0) if snr_known else np.full(len(self.snr_db), mean.mean(1).argmax())
        out = self._empty()
        out.modes = [str(everything[m]) for m in best]
        out.by_mode = {str(mode): list(mean[m]) for m, mode in enumerate(everything)}
        for s, p, r in np.ndindex(self.shape):
            m = best[s]
            out.psnr[s, p, r], out.delivered[s, p, r] = psnr[m, s, p, r], delivered[m, s, p, r]
            octets = webp_link.Link(everything[m], self.uses[p]).octets if delivered[m, s, p, r] else None
            shown = self.ladder(p).best(octets)[1] if octets else self.blank[p]
            self.judge(out, (s, p, r), shown, octets or "blank")
            self.save(name, self.snr_db[s], list(self.photographs)[p], shown, r)
        return out

    def _one_mode(self, mode):
        """(delivered, PSNR) of every trial in one mode: really sent, really decoded."""
        delivered, psnr = np.zeros(self.shape, bool), np.zeros(self.shape)
        waiting, where, size = [], [], 0

        def flush():
            for at, came in zip(where, webp_link.arrived(waiting), strict=True):
                delivered[at] = came
            waiting.clear()
            where.clear()

        for p in range(len(self.photographs)):
            link = webp_link.Link(mode, self.uses[p])
            best = self.ladder(p).best(link.octets)
            psnr[:, p] = self.blank_psnr[p]
            if best is None:
                continue
            h, w = self.blank[p].shape[:2]
            file = h.to_bytes(2, "little") + w.to_bytes(2, "little") + best[0]
            sent = link.encode(file)
            for s, _, r in np.ndindex(len(self.snr_db), 1, self.realisations):
                waiting.append((link, link.soft(self.through(sent, s, p, r)), file))
                where.append((s, p, r))
                size += link.place.size
                if size > 2e7:
                    flush()
                    size = 0
            psnr[:, p] = best[2]
        flush()
        blank = np.array(self.blank_psnr)[None, :, None]
        return delivered, np.where(delivered, psnr, blank)

    def capacity(self, name):
        """`webp_capacity`: an ideal code, never broken. Under fading: at the mean capacity over it."""
        out = self._empty()
        for s, snr in enumerate(self.snr_db):
            gains = np.ones(1)
            if self.channel != "awgn":
                gains = np.abs(symbol_channel.draw(self.channel, np.random.default_rng(0), 4000)) ** 2
            bits = (1 - self.loss) * np.mean(np.log2(1 + gains * 10 ** (snr / 10)))
            for p, image_name in enumerate(self.photographs):
                payload = self.uses[p] - frames.HEADER_USES * -(-self.uses[p] // 2496)
                octets = int(bits * payload / 8)
                best = self.ladder(p).best(octets)
                shown = best[1] if best else self.blank[p]
                out.psnr[s, p] = best[2] if best else self.blank_psnr[p]
                out.delivered[s, p] = best is not None
                for r in range(self.realisations):
                    self.judge(out, (s, p, r), shown, ("capacity", octets))
                self.save(name, snr, image_name, shown, 0)
            self.tick(f"{name} {snr:g} dB")
        return out

    def semantic(self, names):
        """`linear` and the schemes behind it, on the same received symbols; learned codes on symbols of their own
        through the same channels: {name: Trials}."""
        out = {name: self._empty() for name in names}
        ours = {name: photo_receivers.make(self.receivers.get(name, name)) for name in names}
        for p, image_name in enumerate(self.photographs):
            codes = {key_of(code): code for code in (getattr(receiver, "code", None) for receiver in ours.values())}
            sent = {key: self.send(p, code) for key, code in codes.items()}
            for s in range(len(self.snr_db)):
                for r in range(self.realisations):
                    came = {key: self.told(collected(self.through(f, s, p, r))) for key, (_, f) in sent.items()}
                    for name, trials in out.items():
                        at = s, p, r
                        key = key_of(getattr(ours[name], "code", None))
                        image, arrived = sent[key][0], came[key]
                        shown = ours[name](*arrived) if arrived else self.blank[p]
                        trials.delivered[at] = bool(arrived)
                        trials.psnr[at] = picture_metrics.psnr(image, shown)
                        self.judge(trials, at, shown, None if arrived else "blank")
                        self.save(name, self.snr_db[s], image_name, shown, r)
                self.tick(f"{image_name} {self.snr_db[s]:g} dB")
        return out

    def told(self, arrived):
        """What arrived, with the noise that receivers are told."""
        if not arrived or (self.csi and not self.misstated_db):
            return arrived
        plan, symbols, noise_var, fades = arrived
        here = np.isfinite(noise_var)
        if not self.csi and here.any():
            noise_var = np.where(here, 1 / np.mean(1 / noise_var[here]), noise_var).astype(np.float32)
        return plan, symbols, noise_var * np.float32(10 ** (-self.misstated_db / 10)), fades

    def run(self, names, snr_known):
        """{method: Trials}."""
        out = {}
        for name, code in (("webp", "k7"), ("webp_ldpc", "ldpc")):
            if name in names:
                out[name] = self.classical(name, code, snr_known)
        if "webp_capacity" in names:
            out["webp_capacity"] = self.capacity("webp_capacity")
        ours = [name for name in names if name not in CLASSICAL]
        if ours:
            out |= self.semantic(ours)
        return {name: out[name] for name in names}


def key_of(code):
    """What two receivers of one learned code have in common; None: the linear code."""
    return code and code.hash


def methods():
    """Names of everything that can be compared."""
    return [*CLASSICAL, *photo_receivers.names()]


def collected(received):
    """Received frames -> (plan, symbols, noise_var, fades) of their picture (Collector.fades), or None when the digital
    part is broken."""
    from ..codec import content, picture_codec

    found = collector.collect(received)
    if found is None:
        return None
    data, symbols, noise_var = found.result()
    if data is None:
        return None
    try:
        plan = picture_codec.Plan.from_bytes(content.opened(data)[1])
    except picture_codec.ContentError:
        return None
    return plan, *(part[: plan.n_symbols] for part in (symbols, noise_var, found.fades()))


def symbols_chain(sent, snr_db, channel, loss, rng):
    """The air symbol by symbol, with a channel estimate that has its real errors: fast."""
    return symbol_channel.apply_channel(sent, snr_db, channel, loss, rng)


def score(trials, reference):
    """The report's entry of one method: means over pictures and realisations, intervals over pictures.

    reference: {name: Trials} whose difference is reported with an interval, pairs of the same trial.
    """
    flat = trials.psnr.reshape(len(trials.psnr), -1)
    out = {
        "psnr_db": list(flat.mean(1)),
        "psnr_ci95": [interval(x) for x in trials.psnr],
        "ms_ssim": list(trials.ms_ssim.mean((1, 2))),
        "psnr_p5_db": list(np.percentile(flat, 5, axis=1)),
        "delivered": list(trials.delivered.mean((1, 2))),
        "channel_uses": int(sum(trials.uses)),
        **{name: list(values.mean((1, 2))) for name, values in trials.distances.items()},
        "all_snr": {"psnr_db": float(flat.mean()), "psnr_p5_db": float(np.percentile(flat, 5))},
    }
    for name, other in reference.items():
        if other is trials:
            continue
        gain = trials.psnr - other.psnr
        out[f"over_{name}"] = {
            **({"modes": other.modes} if other.modes else {}),
            "psnr_db": list(gain.mean((1, 2))),
            "ci95": [interval(x) for x in gain],
            "all_snr": float(gain.mean()),
            "all_snr_ci95": interval(gain.mean(0)),
            "p5_db": float(np.percentile(flat, 5) - np.percentile(other.psnr, 5)),
        }
    if trials.modes:
        out["modes"] = trials.modes
        out["by_mode_psnr_db"] = trials.by_mode
    return out


def interval(values, draws=1000):
    """95 % bootstrap interval of the mean of [pictures, realisations]; drawn over pictures, or over
    realisations when there is one picture."""
    rows = values if len(values) > 1 else values.T
    if len(rows) < 2:
        return [None, None]
    rng = np.random.default_rng(0)
    means = rows.mean(1)[rng.integers(0, len(rows), (draws, len(rows)))].mean(1)
    return [float(x) for x in np.percentile(means, [2.5, 97.5])]


def report(evaluation, trials):
    """One object of the JSON report."""
    uses = {name: t.uses for name, t in trials.items()}
    assert all(u == evaluation.uses for u in uses.values()), f"channel uses differ: {uses}"
    reference = {name: trials[name] for name in ("linear", "webp", "webp_ldpc", *REFERENCE_CODES) if name in trials}
    return {
        "images": len(evaluation.photographs),
        "cbr": evaluation.cbr,
        "channel": evaluation.channel,
        "loss": evaluation.loss,
        "misstated_db": evaluation.misstated_db,
        "csi": evaluation.csi,
        "realisations": evaluation.realisations,
        "seed": evaluation.seed,
        "snr_db": evaluation.snr_db,
        "snr_definition": SNR_DEFINITION,
        "air_samples_per_use": air_samples_per_use(),
        "methods": {name: score(t, reference) for name, t in trials.items()},
    }


def air_samples_per_use():
    """Samples on the air per channel use, for every method the same: prefix, pilots and sync words."""
    from ..codec.frame_layout import Layout

    return Layout().air_samples_per_use

# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips over the air by every method, at the same channel uses, through the same channels and noise.

A trial is a clip through one realisation of the channel at one SNR. Whatever has not come when it is to be shown is
concealed by the last frame that was, for every method. `walk` is one path that fades at walking pace: the radio frames
of a method lie where their pictures' time is, so every method meets the same fades.
"""

from dataclasses import dataclass, field

import numpy as np

from ..air import moving_paths, symbol_channel
from ..air.fading import SEMANTIC_LINK
from ..base import picture_metrics
from ..base.errors import UserError
from ..codec import frames, picture_codec, video_receiver, video_sender
from . import coded_video, photo_receivers, photo_trials, scores, webp_link

#: Codec and channel code of each classical method.
CODES = {
    "x264": ("x264", "k7"),
    "x264_ldpc": ("x264", "ldpc"),
    "x265_ldpc": ("x265", "ldpc"),
    "svtav1_ldpc": ("svtav1", "ldpc"),
}
SEMANTIC = ("video", "video_linear", "frames", "frames_linear")
METHODS = (*SEMANTIC, *CODES)
USUAL = METHODS[:6]  #: the others take minutes a clip
NET = "photo_mmse"  #: of photographs
FAST = "photo_mmse/int8"  #: of moving pictures: what runs in real time
WALK, WALK_HZ = "walk", 2.0  #: of Doppler: 1.4 m/s at 430 MHz
CHANNELS = (*SEMANTIC_LINK, WALK)
MOST_DB = 60.0  #: of a frame's PSNR: a black frame received as black has no end of it
USABLE_DB = 20.0
STILL = 2.0  #: grey levels, standard deviation over a second, up to which a pixel stands still
SSIM_EVERY = 4  #: frames
LONGEST_STRIDE = 8


@dataclass
class Trials:
    """Of one method: psnr {clip: [SNRs, realisations, frames]}; ms_ssim, flicker: lists for each SNR; uses of each
    clip; modes: one an SNR, of x264."""

    psnr: dict = field(default_factory=dict)
    ms_ssim: list = field(default_factory=list)
    flicker: list = field(default_factory=list)
    uses: dict = field(default_factory=dict)
    modes: list = field(default_factory=list)
    by_mode: dict = field(default_factory=dict)
    notes: dict = field(default_factory=dict)


@dataclass
class Sent:
    """Part of a clip on the air: its frames' numbers, the radio frames, what a receiver of `ours` must know."""

    first: int
    count: int
    frames: list
    what: object = None

    @property
    def uses(self):
        return sum(f.symbols.size + frames.HEADER_USES for f in self.frames)


class Evaluation:
    """clips {name: (uint8 [T, H, W, 3], frames a second)} at one bandwidth ratio.

    channel: one of CHANNELS. loss: share of radio frames lost. group: frames of a group, 0: by the content. save:
    called with (method, snr_db, name, frames, rate, realisation).
    """

    def __init__(self, clips, cbr, snr_db, channel, loss, realisations, seed, group=8, save=None, tick=None):
        self.clips, self.cbr, self.snr_db, self.channel, self.loss = clips, cbr, list(snr_db), channel, loss
        self.realisations, self.seed, self.group = realisations, seed, group
        self.save, self.tick = save or (lambda *_: None), tick or (lambda text: None)
        self.uses = {name: int(clip[0].size * cbr) for name, (clip, _) in clips.items()}
        self._nets, self._coded = {}, {}

    def through(self, sent, name, snr_db, realisation):
        """Radio frames of a part of a clip through the air."""
        number, rate = list(self.clips).index(name), self.clips[name][1]
        rng = np.random.default_rng([self.seed, number, realisation, sent.first, round(1000 * (snr_db + 200))])
        kind = self.channel
        if kind == WALK:
            walk = moving_paths.draw(np.random.default_rng([self.seed, number, realisation]), [0.0], [0.0], WALK_HZ)
            at = (sent.first + sent.count * np.arange(len(sent.frames)) / len(sent.frames)) / rate
            snr_db = snr_db + 20 * np.log10(np.maximum(np.abs(walk.gains(at)[0]), 1e-6))
            kind = "awgn"
        return symbol_channel.apply_channel(sent.frames, snr_db, kind, self.loss, rng)

    # What is sent

    def groups(self, name):
        """[Sent] of the method `video`."""
        clip, rate = self.clips[name]
        sender = video_sender.VideoSender(self.uses[name], rate, self.group)
        try:
            made = [encoded for frame in clip for encoded in sender.take(frame)] + sender.flush()
        except ValueError as error:
            raise UserError(f"{name} at --cbr {self.cbr:g}: {error}") from None
        out = []
        for n, encoded in enumerate(made):
            said = encoded.plan.clip
            out.append(Sent(said.first, said.frames, frames.cut(encoded.digital, encoded.symbols, n)))
        return out

    def stills(self, name):
        """[Sent] of the method `frames`: every frame as a photograph, or, where one does not fit, every second with
        twice the channel uses, and so on."""
        clip, _ = self.clips[name]
        for stride in range(1, LONGEST_STRIDE + 1):
            try:
                out, debt = [], 0
                for n, first in enumerate(range(0, len(clip), stride)):
                    count = min(stride, len(clip) - first)
                    encoded = picture_codec.encode(clip[first], self.uses[name] * stride - debt)
                    part = Sent(first, count, frames.cut(encoded.digital, encoded.symbols, n))
                    debt += part.uses - self.uses[name] * stride
                    out.append(part)
                return out
            except picture_codec.TooFewUses:
                continue
        raise UserError(f"{name}: {self.uses[name]} channel uses a frame are too few for photographs: raise --cbr")

    # What is shown

    def semantic(self, names):
        """{method: Trials} of `video`, `frames`, and both with the linear receiver alone."""
        out = {name: Trials() for name in names}
        for clip in self.clips:
            for base, make, shower in (("video", self.groups, self._video), ("frames", self.stills, self._still)):
                mine = [n for n in names if n.removesuffix("_linear") == base]
                if not mine:
                    continue
                sent = make(clip)
                for n in mine:
                    out[n].uses[clip] = sum(s.uses for s in sent)
                    out[n].notes[clip] = [s.count for s in sent]
                for s, snr in enumerate(self.snr_db):
                    for r in range(self.realisations):
                        came = [arrived(self.through(part, clip, snr, r)) for part in sent]
                        for n in mine:
                            show = shower(n == base)
                            shown = [{} if c is None else show(c, part) for part, c in zip(sent, came, strict=True)]
                            self.score(out[n], n, clip, s, r, shown)
                    self.tick(f"{base} {clip} {snr:g} dB")
        return out

    def answer(self, _, mean, error, spectrum):
        """What the network says of a frame (video_receiver.VideoReceiver.take)."""
        from ..reference import photo

        return photo.answer(self._net(FAST).net, *(x.astype(np.float32) for x in (mean, error, spectrum)))

    def _net(self, name):
        if name not in self._nets:
            self._nets[name] = photo_receivers.make(name)
        return self._nets[name]

    def _video(self, net):
        """What shows the groups of a clip: (what arrived, Sent) -> {frame: picture}."""
        receiver, answer = video_receiver.VideoReceiver(), self.answer if net else None

        def show(came, part):
            shown = receiver.take(*came, answer)
            frames = photo_receivers.to_bytes(np.concatenate((shown.generated, shown.frames)))
            return {part.first - len(shown.generated) + t: frame for t, frame in enumerate(frames)}

        return show

    def _still(self, net):
        """The same of photographs."""
        receiver = self._net(NET) if net else photo_receivers.linear
        return lambda came, part: {part.first: receiver(*came)}

    def classical(self, name, snr_known):
        """Trials of x264 in the best mode in hindsight: at each SNR, or one for all."""
        modes = coded_video.modes(CODES[name][1], self.channel, self.loss)
        each = [self._one_mode(name, mode) for mode in modes]
        mean = np.array([[self._mean(trials, s) for s in range(len(self.snr_db))] for trials, _ in each])
        best = mean.argmax(0) if snr_known else np.full(len(self.snr_db), mean.mean(1).argmax())
        out = Trials(modes=[str(modes[m]) for m in best], uses=each[0][0].uses)
        out.by_mode = {str(mode): list(m) for mode, m in zip(modes, mean, strict=True)}
        for clip in self.clips:
            for s in range(len(self.snr_db)):
                for r in range(self.realisations):
                    self.score(out, name, clip, s, r, each[best[s]][1][clip, s, r])
        return out

    def _mean(self, trials, s):
        return np.mean([np.mean(psnr[s]) for psnr in trials.psnr.values()])

    def _one_mode(self, name, mode):
        """(Trials with PSNR alone, {(clip, SNR, realisation): shown})."""
        out, kept = Trials(), {}
        for clip in self.clips:
            parts = self.coded(clip, CODES[name][0])
            out.uses[clip] = 0
            links = [webp_link.Link(mode, self.uses[clip] * len(g.frames)) for _, g in parts]
            files, sent, waiting, where = [], [], [], []
            for (first, group), link in zip(parts, links, strict=True):
                coded = group.best(link.octets)
                file, borders = coded_video.stream(coded) if coded else (b"", np.zeros(1, int))
                files.append((coded, file, borders))
                sent.append(Sent(first, len(group.frames), link.encode(file)))
                out.uses[clip] += sent[-1].uses
            for s, snr in enumerate(self.snr_db):
                for r in range(self.realisations):
                    kept[clip, s, r] = [{} for _ in parts]
                    for g, part in enumerate(sent):
                        if files[g][0] is not None:
                            soft = links[g].soft(self.through(part, clip, snr, r))
                            waiting.append((links[g], soft, files[g][1]))
                            where.append((s, r, g))
            for (s, r, g), came in zip(where, webp_link.blocks_arrived(waiting) if waiting else [], strict=True):
                coded, _, borders = files[g]
                here = coded_video.there(links[g], borders, came)
                shown = parts[g][1].shown(coded, here) if any(here) else {}
                kept[clip, s, r][g] = {parts[g][0] + t: f for t, f in shown.items()}
            for s, r in np.ndindex(len(self.snr_db), self.realisations):
                self.score(out, name, clip, s, r, kept[clip, s, r], whole=False)
        self.tick(f"{name} {mode}")
        return out, kept

    def coded(self, clip, codec):
        """[(first frame, coded_video.Group)] of a clip; kept."""
        if (clip, codec) not in self._coded:
            pictures, rate = self.clips[clip]
            length = self.group or 8
            even = pictures[:, : pictures.shape[1] // 2 * 2, : pictures.shape[2] // 2 * 2]
            if even.shape != pictures.shape:  # what yuv420p cannot hold is continued, and cut off again
                odd = [(0, 0), (0, pictures.shape[1] % 2), (0, pictures.shape[2] % 2), (0, 0)]
                even = np.pad(pictures, odd, mode="edge")
            firsts = range(0, len(even), length)
            groups = [(first, coded_video.Group(even[first : first + length], rate, codec)) for first in firsts]
            self._coded[clip, codec] = groups
        return self._coded[clip, codec]

    def score(self, trials, name, clip, s, r, shown, whole=True):
        """Compare what was shown, a list of {frame: picture}, with a clip. whole: MS-SSIM and flicker too."""
        truth, rate = self.clips[clip]
        h, w = truth.shape[1:3]
        every = {t: picture[:h, :w] for part in shown for t, picture in part.items()}
        last, out = coded_video.blank(truth), []
        for t in range(len(truth)):
            last = every.get(t, last)
            out.append(last)
        psnr = [min(picture_metrics.psnr(a, b), MOST_DB) for a, b in zip(truth, out, strict=True)]
        shape = len(self.snr_db), self.realisations, len(truth)
        trials.psnr.setdefault(clip, np.zeros(shape))[s, r] = psnr
        if not whole:
            return
        while len(trials.ms_ssim) < len(self.snr_db):
            trials.ms_ssim.append([])
            trials.flicker.append([])
        some = range(0, len(truth), SSIM_EVERY)
        trials.ms_ssim[s].append(np.mean([picture_metrics.ms_ssim(truth[t], out[t]) for t in some]))
        trials.flicker[s].append(flicker(truth, np.array(out), rate))
        self.save(name, self.snr_db[s], clip, out, rate, r)

    def run(self, methods, snr_known):
        """{method: Trials}."""
        out = self.semantic([m for m in methods if m in SEMANTIC])
        out |= {m: self.classical(m, snr_known) for m in methods if m in CODES}
        return {m: out[m] for m in methods}


def arrived(received):
    """Received radio frames -> (plan, symbols, noise_var), or None where the digital part is broken."""
    found = photo_trials.collected(received)
    return found and found[:3]


def flicker(truth, shown, rate):
    """Variance over a second of the error of pixels that stand still in it, in grey levels squared, mean over seconds;
    NaN where none stands still."""
    out, n = [], max(round(rate), 2)
    for i in range(0, len(truth) - n + 1, n):
        part = truth[i : i + n].astype(np.float32)
        still = part.std(0).max(-1) < STILL
        if still.any():
            out.append(np.var(shown[i : i + n].astype(np.float32) - part, axis=0)[still].mean())
    return float(np.mean(out)) if out else float("nan")


def seconds(psnr, rate):
    """PSNR of frames [..., T] -> means over whole seconds (and what is left) of each trial, flat."""
    n = max(round(rate), 1)
    rows = psnr.reshape(-1, psnr.shape[-1])
    return np.concatenate([[row[i : i + n].mean() for i in range(0, len(row), n)] for row in rows])


def summary(evaluation, trials):
    """The report's entry of one method; means over clips of means over their frames."""
    rates = {name: rate for name, (_, rate) in evaluation.clips.items()}
    count = range(len(evaluation.snr_db))
    every = [[seconds(psnr[s], rates[name]) for name, psnr in trials.psnr.items()] for s in count]
    below = [np.mean([np.mean(psnr[s] < USABLE_DB) for psnr in trials.psnr.values()]) for s in count]
    out = {
        "psnr_db": [float(np.mean([psnr[s].mean() for psnr in trials.psnr.values()])) for s in count],
        "psnr_p5_db": [float(np.percentile(np.concatenate(e), 5)) for e in every],
        "ms_ssim": [float(np.mean(x)) for x in trials.ms_ssim],
        "below_20_db": [float(b) for b in below],
        "flicker": [_finite(x) for x in trials.flicker],
        "channel_uses": int(sum(trials.uses.values())),
        "by_clip_psnr_db": {name: [float(psnr[s].mean()) for s in count] for name, psnr in trials.psnr.items()},
    }
    if trials.modes:
        out |= {"modes": trials.modes, "by_mode_psnr_db": trials.by_mode}
    if trials.notes:
        out["frames_of_parts"] = trials.notes
    return out


def over(ours, theirs):
    """{"psnr_db": [SNRs], "interval_db": [[low, high], ...]}: by how much a method is ahead of another, in the mean of
    clips and realisations, with a bootstrap interval of 95 % over these (paired)."""
    rows = [
        np.concatenate([(psnr[s] - theirs.psnr[name][s]).mean(-1) for name, psnr in ours.psnr.items()])
        for s in range(len(next(iter(ours.psnr.values()))))
    ]
    return {"psnr_db": [float(r.mean()) for r in rows], "interval_db": [scores.bootstrap(np.mean, [r]) for r in rows]}


def _finite(values):
    known = [x for x in values if np.isfinite(x)]
    return float(np.mean(known)) if known else None

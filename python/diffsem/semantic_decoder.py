# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a semantic link -> content."""

import logging
import queue
import threading
import time

import numpy as np
import pmt
from gnuradio import gr

from .content_pdu import plain
from .decoder_scheme import DecoderScheme
from .latent_pictures import LatentPictures
from .video_frames import to_content
from .video_pictures import VideoPictures

log = logging.getLogger("gr_diffsem.semantic_decoder")
#: How often silence is looked for, seconds.
TICK = 0.1
COUNTS = "in out dropped undecoded overrun failed bypassed late previews skipped"
DEVIATION_WHITE = 0.2  #: of the range of a pixel, what 255 of a map of its deviation stands for
TRIAL = 192  #: pixels a side of the picture that costs are first measured on


class semantic_decoder(gr.basic_block):
    """PDUs of received frames in (port ``frames``), PDUs of content out (port ``content``).

    Frames carry ``id``, ``total``, ``index``, ``digital`` (longs), ``snr_db``, ``noise_var`` (f32vector, one
    variance for each symbol, or a number) and a c32vector of equalised symbols. A pass over a content ends when all
    its frames or the last of them arrived, when its indices begin again, when more frames of others have come than it
    still lacks (two at least, since one header in some hundred bad ones looks good), when no frame came for
    ``patience`` seconds, or when the block stops. Content goes out at the end of each pass whose digital part could be
    decoded: lost frames are infinite noise, and copies in later passes are combined, as is what comes behind a silence.
    Several contents may come at once, from several senders: their frames are never mixed, though their headers be the
    same (gr_diffsem/codec/passes.py).

    Content is the encoder's, with ``callsign`` where one was sent, ``scheme``, ``snr_db`` (mean over the frames),
    ``frames``, ``frames_lost``, ``evaluations`` and ``seconds`` (of the inference), ``diffsem_age`` (seconds since its
    last frame came), and for photographs ``scheme_match`` (False: the sender asked for other weights),
    ``diffsem_planned`` (evaluations, had nothing been cut), ``diffsem_model`` (of the content hash) and
    ``diffsem_bypassed`` (why: ``deadline``, or what the core says) where the picture is the linear one in place of the
    scheme's.

    scheme: ``linear``, ``photo_mmse``, ``photo_posterior``, or another package of photographs, run by the C++ core
    in a thread of the block's own. A photograph that a learned code sent is inferred by that code's own package,
    where it is found and the scheme is not ``linear``, and says so (``codec``). steps: evaluations of the net, 0:
    the scheme's own. carriers, frame_symbols: as at the sender. queue_size: contents that may wait for inference.
    on_full: what happens to more of them: ``drop`` (counted), as the air goes on, or ``wait``, as a file can
    (frames then wait in this block's message queue, which has no end: hold the file back too, as `gr-diffsem
    receive` does). realism (experimental; linear and photo_posterior): 0, the posterior's mean, to 1, a draw from
    it. patience: seconds of silence that end a pass whose last frame was lost; 0: none does.

    A scheme that denoises a learned code's latents (``cddm``, ``latent_onestep``, ``djscc_csi``; ``latent_ednsc``,
    which needs no SNR, ``latent_dnsc``, which needs no channel state) brings the code's own decoder with it; where
    there is time for some of the evaluations (``fewer_steps``) the decoder alone answers, and says so by ``scheme``.

    uncertainty: whether a photograph goes out with the standard deviation of its error at each pixel, ``deviation``, a
    u8vector [H W] of which 255 is ``DEVIATION_WHITE`` of the range, and with the PSNR to be expected by it,
    ``expected_psnr`` (dB). What a network says of its own error, spread as the picture's detail is.

    preview: least seconds between two previews of a photograph whose pass goes on, 0: none. A preview is the linear
    picture of what came so far, marked ``partial`` (True), with ``frames_lost`` for what is still to come. It is made
    in a thread of its own, only while no picture waits for inference or is in it, and only where it has a frame that
    the content's last picture had not; final pictures do not depend on it.

    deadline: milliseconds from the last frame of a photograph to its coming out, 0: none. overload: what happens where
    the network would not be ready by then: ``wait`` (it comes late), ``fewer_steps`` (as many evaluations as are
    affordable; with none the linear picture), ``bypass`` (all evaluations or the linear picture). Costs are measured,
    first on a small picture at construction.

    Port ``stats``: ``in`` (frames), ``out`` (contents), ``dropped`` (frames that are malformed or of no content
    that was decoded), ``undecoded`` (contents whose digital part did not come through), ``overrun`` (contents
    dropped because the queue was full), ``failed`` (contents that are not what their bytes say), ``bypassed`` and
    ``late`` (of those out), ``previews``, ``skipped`` (previews, because pictures were at work); with ``block``,
    ``scheme``, ``model``, ``queue``, ``deadline`` (seconds) and ``overload`` as the blocks of C++ say them. Raises
    ValueError naming the parameter, its value and the remedy.
    """

    def __init__(
        self,
        scheme="linear",
        steps=0,
        carriers=48,
        frame_symbols=50,
        queue_size=4,
        realism=0.0,
        patience=2.0,
        preview=0.0,
        deadline=0.0,
        overload="wait",
        on_full="drop",
        uncertainty=False,
    ):
        gr.basic_block.__init__(self, name="semantic_decoder", in_sig=None, out_sig=None)
        from gnuradio.diffsem.evaluation_budget import EvaluationBudget
        from gr_diffsem.codec import content, frame_header, frames, passes

        from .diffsem_python import core
        from .diffsem_python import scheme as handle

        self._core, self._content, self._frames, self._header = core, content, frames, frame_header.Header
        if carriers < 1 or frame_symbols < 1:
            raise ValueError(f"carriers is {carriers}, frame_symbols {frame_symbols}: both are 1 or more")
        if not 1 <= queue_size <= 1024:
            raise ValueError(f"queue_size is {queue_size}: must lie in 1 .. 1024")
        if not 0 <= realism <= 1:
            raise ValueError(f"realism is {realism}: must lie in 0 (the mean) .. 1 (a draw)")
        if not 0 <= patience < float("inf"):
            raise ValueError(f"patience is {patience}: give seconds of silence, or 0 for no end by silence")
        if not 0 <= preview < float("inf"):
            raise ValueError(f"preview is {preview}: give seconds between two previews, or 0 for none")
        if on_full not in ("drop", "wait"):
            raise ValueError(f"on_full is '{on_full}': give drop or wait")
        self._patience, self._heard, self._abandoned = float(patience), None, False
        self._layout = (int(carriers), int(frame_symbols))
        self._realism, self._uncertainty = float(realism), bool(uncertainty)
        self._counts = dict.fromkeys(COUNTS.split(), 0)
        self._lock = threading.Lock()
        self._passing = threading.RLock()  # what is collected: the handler's, and the worker's in silence
        self._passes = passes.Passes(self._layout, self._hand_on, self._count)
        self._queue, self._waits = queue.Queue(queue_size), on_full == "wait"
        self._preview, self._looked, self._ended = float(preview), 0.0, 0
        self._previews = queue.Queue(1)
        self._videos = VideoPictures(core)
        self._linear = core.picture_estimator("linear")
        self._linear_preview = core.picture_estimator("linear") if preview else None
        self._threads = []

        def budget():
            return EvaluationBudget(deadline / 1000, overload, core.CostModel(), core.CostModel())

        budget()  # wrong values fail now
        self._schemes = DecoderScheme(core, handle, budget, self._realism, self._cost)
        self._schemes.set(scheme, steps)
        for port in ("content", "stats"):
            self.message_port_register_out(pmt.intern(port))
        self.message_port_register_in(pmt.intern("frames"))
        self.set_msg_handler(pmt.intern("frames"), self._handle)

    def set_scheme(self, scheme):
        """Live: contents that come out from now on; as at construction, and on an error all stays as it was."""
        self._schemes.set(scheme, self._schemes.now.steps)

    def set_steps(self, steps):
        """Live, as set_scheme."""
        self._schemes.set(self._schemes.now.given, steps)

    def _cost(self, made):
        """What a picture costs, before the first one comes; the second time, when the memory is there."""
        from gr_diffsem.codec import picture_codec
        from gr_diffsem.codec.passes import Known

        grey = np.random.default_rng(0).integers(0, 256, (TRIAL, TRIAL, 3), np.uint8)
        sent = picture_codec.encode(grey, TRIAL * TRIAL // 4, scheme_hash=made.hash)  # what it is the receiver of
        known = Known(0, sent.digital, sent.symbols, np.full(sent.symbols.size, 0.1, np.float32), 10.0, 1, 0)
        return [self._photograph(known, made.estimator)[-1] for _ in range(2)][-1]

    def counts(self):
        """The numbers of the port ``stats``, as a dictionary."""
        with self._lock:
            return dict(self._counts)

    def abandon(self):
        """Let go what is collected and what waits for inference: no content comes out any more."""
        self._abandoned = True

    def start(self):
        jobs = [(self._queue, self._infer, "failed", self._look_for_silence)]
        if self._preview:
            jobs.append((self._previews, self._show, "skipped", lambda: None))
        self._threads = [threading.Thread(target=self._work, args=job, daemon=True) for job in jobs]
        for thread in self._threads:
            thread.start()
        return True

    def stop(self):
        with self._passing:
            self._passes.close()
        for thread, waiting in zip(self._threads, (self._queue, self._previews), strict=False):
            waiting.put(None)
            thread.join()
        self._threads = []
        return True

    def _count(self, name, by=1):
        with self._lock:
            self._counts[name] += by

    # Collecting, in the block's thread

    def _handle(self, message):
        self._count("in")
        try:
            frame, snr_db = self._from_pdu(message)
            with self._passing:
                self._heard = time.monotonic()
                self._passes.take(frame, snr_db)
                if self._preview and self._heard - self._looked >= self._preview:
                    self._looked = self._heard
                    self._ask_for_preview()
        except Exception as e:  # whatever it is, the block lives on
            self._count("dropped")
            log.warning("frame dropped: %.200s", e)

    def _ask_for_preview(self):
        preview = self._passes.so_far()
        if preview is None or self._abandoned:
            return
        if self._queue.unfinished_tasks or self._previews.unfinished_tasks:
            self._count("skipped")
        else:
            self._previews.put_nowait((preview, self._ended))

    def _look_for_silence(self):
        """A pass whose last frame was lost must not wait for a sender that has gone."""
        with self._passing:
            if not self._patience or self._heard is None or time.monotonic() - self._heard < self._patience:
                return
            self._heard = None
            if self._passes.decodable():
                self._passes.end()

    def _hand_on(self, known):
        """The end of a pass."""
        self._ended += 1
        while not self._abandoned:
            try:
                self._queue.put((known, time.monotonic()), self._waits, TICK)
                return
            except queue.Full:
                if self._waits:
                    continue
                self._count("overrun")
                log.warning("content %d dropped: %d wait for inference", known.id, self._queue.qsize())
                return

    def _from_pdu(self, message):
        if not (pmt.is_pair(message) and pmt.is_dict(pmt.car(message)) and pmt.is_c32vector(pmt.cdr(message))):
            raise ValueError("the message is no pair of a dictionary and a c32vector")
        said = plain(pmt.car(message))
        missing = [k for k in ("id", "total", "index", "digital", "noise_var") if k not in said]
        if missing:
            raise ValueError(f"its dictionary has no {', '.join(missing)}")
        head = self._header(*(int(said[k]) for k in ("id", "total", "index", "digital")))
        symbols = np.array(pmt.c32vector_elements(pmt.cdr(message)), np.complex64)
        noise = np.asarray(said["noise_var"])
        if noise.dtype.kind not in "iuf":
            raise ValueError("noise_var is not a number, nor a vector of them")
        with np.errstate(over="ignore"):  # infinite: a lost symbol
            noise = noise.astype(np.float32)
        if noise.ndim == 0:
            noise = np.full(symbols.shape, noise)
        return self._frames.Received(head, symbols, noise), float(said.get("snr_db", np.nan))

    # Inference, in threads

    def _work(self, waiting, do, failed, idle):
        """Do what waits, one by one, until there is None."""
        while True:
            try:
                job = waiting.get(timeout=TICK)
            except queue.Empty:
                idle()
                continue
            try:
                if job is None:
                    return
                if not self._abandoned:
                    do(*job)
            except Exception as e:  # whatever it is, the link goes on
                self._count(failed)
                log.warning("content %d %s: %s", job[0].id, failed, e)
            finally:
                waiting.task_done()
            self._report()

    def _report(self):
        now = self._schemes.now
        about = {"block": self.alias(), "scheme": now.spec, "model": now.model, "queue": self._queue.qsize()}
        about.update(deadline=now.budget.seconds, overload=now.budget.overload)
        self.message_port_pub(pmt.intern("stats"), pmt.to_pmt({**self.counts(), **about}))

    def _show(self, preview, ended):
        """A preview, unless its pass has ended meanwhile."""
        known = preview.known()
        if known is None or self._content.kind(known.data) != self._content.PHOTOGRAPH:
            return
        said, vector, *_ = self._photograph(known, self._linear_preview)  # it runs beside the worker's
        message = self._message({**said, "scheme": "linear", "partial": True}, vector)
        with self._passing:
            if ended == self._ended:
                self._count("previews")
                self.message_port_pub(pmt.intern("content"), message)

    def _infer(self, known, arrived):
        self._content.check_kind(known.data)
        kind = self._content.kind(known.data)
        if kind == self._content.VIDEO:
            said, messages = self._video(known, arrived)
        else:
            if kind == self._content.PHOTOGRAPH:
                said, vector = self._best(known, arrived)
            else:
                said, vector = (self._text if kind == self._content.TEXT else self._array)(known)
            said["diffsem_age"] = time.monotonic() - arrived
            messages = [self._message(said, vector)]
        self._count("out")
        self._count("bypassed", "diffsem_bypassed" in said)
        self._count("late", self._schemes.now.budget.missed(said["diffsem_age"]))
        for message in messages:
            self.message_port_pub(pmt.intern("content"), message)

    def _video(self, p, arrived):
        """(what is said of a group of moving pictures, a PDU for each frame)."""
        from gr_diffsem.codec.picture_plan import Plan
        from gr_diffsem.codec.video_plan import FIRST_BITS

        plan = Plan.from_bytes(p.data)
        clip, (h, w) = plan.clip, plan.shape
        now, _ = self._schemes.of(plan.scheme_hash, 0xFF if plan.block == (1, 1) else 0xFFFF)
        estimator = getattr(now.estimator, "behind_linear", now.estimator)
        each = estimator.max_evaluations
        planned = each * clip.frames
        affordable = now.budget.evaluations(planned, h * w, arrived) if planned else 0
        asked = affordable // each if planned else None
        arrived_symbols = self._analogue(p, plan.n_symbols)
        frames, made, info = self._videos.receive(estimator, plan, *arrived_symbols, p.call_sign, asked)
        now.budget.learn(h * w, info["evaluations"], info["seconds"], info["net_seconds"])
        said = {**self._frames_of(p), "scheme": now.spec if info["evaluations"] else "linear", "cut": clip.cut}
        said.update(diffsem_planned=planned, diffsem_model=now.model)
        if planned and info["evaluations"] < planned:
            said["diffsem_bypassed"] = info["reason"] or "deadline"
        said["diffsem_age"] = time.monotonic() - arrived
        said["seconds"] = info["seconds"] / clip.frames
        marked = [(frame, {"evaluations": 0, "generated": True}) for frame in made]
        marked += [(frame, {"evaluations": n}) for frame, n in zip(frames, info["each"], strict=True)]
        first = clip.first - len(made)
        return said, [
            to_content(frame, clip.rate, clip.stream, (first + t) % (1 << FIRST_BITS), **said, **marks)
            for t, (frame, marks) in enumerate(marked)
        ]

    def _best(self, p, arrived):
        """The best photograph that there is time for."""
        plan = self._core.PicturePlan(p.data).describe()
        bits = 0xFF if plan["block"] == (1, 1) else 0xFFFF
        now, code = self._schemes.of(plan["scheme_hash"], bits)
        now.estimator.set_steps(now.steps)
        latent = isinstance(now.estimator, LatentPictures)
        planned = now.estimator.planned(bool(code)) if latent else now.estimator.max_evaluations
        affordable = now.budget.evaluations(planned, plan["shape"][0] * plan["shape"][1], arrived)
        bypassed = planned and not affordable
        alone = latent and 0 < affordable < planned
        if alone:
            now.estimator.leave_alone()
        elif affordable and not latent:
            now.estimator.set_steps(affordable)
        said, vector, info, cost = self._photograph(p, self._linear if bypassed else now.estimator)
        now.budget.learn(*cost)
        if bypassed or info["linear"]:
            said["diffsem_bypassed"] = "deadline" if bypassed else info["reason"]
        match = plan["scheme_hash"] in (0, now.hash & bits)
        match = match and not (code and "diffsem_bypassed" in said)
        if not match:
            log.warning(
                "content %d was sent for other weights than those of '%s' here (hash %x): set the scheme, or make both "
                "ends use the same package",
                p.id,
                now.spec,
                plan["scheme_hash"],
            )
        spec = "linear" if "diffsem_bypassed" in said else (code or now.spec) if alone else now.spec
        said.update(scheme=spec, scheme_match=match, diffsem_planned=planned, diffsem_model=now.model)
        if code and "diffsem_bypassed" not in said:
            said["codec"] = code
        elif not match:  # what its sender changed, a map of this receiver's own error does not know
            said.pop("deviation", None)
            said.pop("expected_psnr", None)
        return said, vector

    def _photograph(self, p, estimator):
        """(what is said of it, octets, what the core says, what it cost: see EvaluationBudget.learn)."""
        began = time.monotonic()
        plan = self._core.PicturePlan(p.data).describe()
        arrived = self._analogue(p, plan["n_symbols"])
        if isinstance(estimator, LatentPictures):
            fades = p.fades if p.fades is None else p.fades[: plan["n_symbols"]]
            image, info = estimator.receive(p.data, *arrived, fades, self._uncertainty)
        else:
            image, info = self._core.receive_picture(estimator, p.data, *arrived, self._uncertainty)
        said = {
            **self._frames_of(p),
            "kind": "photograph",
            "shape": plan["shape"],
            "evaluations": info["evaluations"],
            "seconds": info["seconds"],
        }
        if self._uncertainty:
            said["expected_psnr"] = float(-10 * np.log10(max(np.mean(info["deviation"] ** 2), 1e-12)))
            said["deviation"] = np.rint(255 * np.clip(info["deviation"] / DEVIATION_WHITE, 0, 1)).astype(np.uint8)
        vector = pmt.init_u8vector(image.size, image.ravel().tolist())
        pixels = plan["shape"][0] * plan["shape"][1]
        return said, vector, info, (pixels, info["evaluations"], time.monotonic() - began, info["net_seconds"])

    def _text(self, p):
        text = self._content.decode_text(p.data).encode("utf-8")
        return {**self._frames_of(p), "kind": "text"}, pmt.init_u8vector(len(text), list(text))

    def _array(self, p):
        array = self._content.Array.from_bytes(p.data)
        values, variance = self._content.decode_array(array, *self._analogue(p, array.n_symbols))
        said = {**self._frames_of(p), "kind": "array", "domain": array.domain, "shape": array.shape}
        make = pmt.init_c32vector if array.complex_domain else pmt.init_f32vector
        return {**said, "mean_variance": float(variance.mean())}, make(values.size, values.ravel().tolist())

    @staticmethod
    def _frames_of(p):
        said = {"id": p.id, "snr_db": p.snr_db, "frames": p.frames, "frames_lost": p.frames_lost}
        return {**said, "callsign": p.call_sign} if p.call_sign else said

    def _analogue(self, p, n):
        if not n <= p.symbols.size < n + 2 * self._layout[0]:
            raise ValueError(f"its digital part speaks of {n} symbols, the frames hold {p.symbols.size}")
        return p.symbols[:n], p.noise_var[:n]

    @staticmethod
    def _message(said, vector):
        shape, deviation = said.get("shape"), said.get("deviation")
        d = pmt.to_pmt({name: value for name, value in said.items() if name not in ("shape", "deviation")})
        if deviation is not None:
            octets = pmt.init_u8vector(deviation.size, deviation.ravel().tolist())
            d = pmt.dict_add(d, pmt.intern("deviation"), octets)
        if shape is not None:
            d = pmt.dict_add(d, pmt.intern("shape"), pmt.init_u64vector(len(shape), list(shape)))
        return pmt.cons(d, vector)

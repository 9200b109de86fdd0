# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a semantic link -> content."""

import logging
import queue
import threading
import time
from dataclasses import dataclass

import numpy as np
import pmt
from gnuradio import gr

from .semantic_encoder import plain, scheme_hash

log = logging.getLogger("gr_diffsem.semantic_decoder")
#: How often silence is looked for, seconds.
TICK = 0.1
#: A sender that repeats a picture is combined over this many of its passes.
PASSES = 8


@dataclass
class _Picture:
    """A pass that came to its end: what is known of one content."""

    id: int
    data: bytes
    symbols: np.ndarray
    noise_var: np.ndarray
    snr_db: float
    frames: int
    frames_lost: int


@dataclass(frozen=True)
class _Inference:
    """What makes pictures: replaced whole, so that the worker never sees half of a change."""

    given: object
    steps: int
    spec: str
    estimator: object
    hash: int


class semantic_decoder(gr.basic_block):
    """PDUs of received frames in (port ``frames``), PDUs of content out (port ``content``).

    Frames carry ``id``, ``total``, ``index``, ``digital`` (longs), ``snr_db``, ``noise_var`` (f32vector, one
    variance for each symbol, or a number) and a c32vector of equalised symbols. A pass over a content ends when all
    its frames or the last of them arrived, when its indices begin again, when frames of another content arrive
    (two, since one header in some hundred bad ones looks good), when no frame came for ``patience`` seconds, or
    when the block stops. Content goes out at the
    end of each pass whose digital part could be decoded: lost frames are infinite noise, and copies in later passes
    are combined. Frames of one content are never mixed with those of another (semantic/frames.py).

    Content is the encoder's, with ``scheme``, ``snr_db`` (mean over the frames), ``frames``, ``frames_lost``,
    ``evaluations`` and ``seconds`` (of the inference), and ``scheme_match`` (False: the sender asked for other
    weights).

    scheme: ``linear``, ``photo_mmse``, ``photo_posterior``, or another package of photographs, run by the C++ core
    in a thread of the block's own. steps: evaluations of the net, 0: the scheme's own. carriers, frame_symbols: as
    at the sender. queue_size: contents that may wait for inference; more are dropped and counted. realism
    (experimental; linear and photo_posterior): 0, the posterior's mean, to 1, a draw from it. patience: seconds of
    silence that end a pass whose last frame was lost; 0: none does.

    Port ``stats``: ``in`` (frames), ``out`` (contents), ``dropped`` (frames that are malformed or of no content
    that was decoded), ``undecoded`` (contents whose digital part did not come through), ``overrun`` (contents
    dropped because the queue was full), ``failed`` (contents that are not what their bytes say). Raises ValueError
    naming the parameter, its value and the remedy.
    """

    def __init__(
        self, scheme="linear", steps=0, carriers=48, frame_symbols=50, queue_size=4, realism=0.0, patience=2.0
    ):
        gr.basic_block.__init__(self, name="semantic_decoder", in_sig=None, out_sig=None)
        from gr_diffsem.semantic import content, frames, header

        from .diffsem_python import core

        self._core, self._content, self._frames, self._header = core, content, frames, header.Header
        if carriers < 1 or frame_symbols < 1:
            raise ValueError(f"carriers is {carriers}, frame_symbols {frame_symbols}: both are 1 or more")
        if not 1 <= queue_size <= 1024:
            raise ValueError(f"queue_size is {queue_size}: must lie in 1 .. 1024")
        if not 0 <= realism <= 1:
            raise ValueError(f"realism is {realism}: must lie in 0 (the mean) .. 1 (a draw)")
        if not 0 <= patience < float("inf"):
            raise ValueError(f"patience is {patience}: give seconds of silence, or 0 for no end by silence")
        self._patience, self._heard, self._abandoned = float(patience), None, False
        self._layout = (int(carriers), int(frame_symbols))
        self._realism = float(realism)
        self._inference = self._load(scheme, steps)
        self._counts = dict.fromkeys(("in", "out", "dropped", "undecoded", "overrun", "failed"), 0)
        self._lock = threading.Lock()
        self._passing = threading.RLock()  # what is collected: the handler's, and the worker's in silence
        self._queue = queue.Queue(queue_size)
        self._worker = None
        self._forget()
        for port in ("content", "stats"):
            self.message_port_register_out(pmt.intern(port))
        self.message_port_register_in(pmt.intern("frames"))
        self.set_msg_handler(pmt.intern("frames"), self._handle)

    def set_scheme(self, scheme):
        """Live: contents that come out from now on; as at construction, and on an error all stays as it was."""
        self._inference = self._load(scheme, self._inference.steps)

    def set_steps(self, steps):
        """Live, as set_scheme."""
        self._inference = self._load(self._inference.given, steps)

    def _load(self, scheme, steps):
        spec = scheme if isinstance(scheme, str) else scheme.spec()
        use = scheme
        if self._realism:
            keyed = "=" in spec.rpartition(":")[2]
            use = spec = f"{spec}{',' if keyed else ':'}realism={self._realism:g}"
        return _Inference(scheme, int(steps), spec, self._core.PhotoEstimator(use, int(steps)), scheme_hash(use))

    def counts(self):
        """The numbers of the port ``stats``, as a dictionary."""
        with self._lock:
            return dict(self._counts)

    def abandon(self):
        """Let go what is collected and what waits for inference: no content comes out any more."""
        self._abandoned = True

    def start(self):
        self._worker = threading.Thread(target=self._infer_all, daemon=True)
        self._worker.start()
        return True

    def stop(self):
        with self._passing:
            self._end_pass()
        if self._worker:
            self._queue.put(None)
            self._worker.join()
            self._worker = None
        return True

    def _count(self, name, by=1):
        with self._lock:
            self._counts[name] += by

    # Collecting, in the block's thread

    def _forget(self):
        self._collector, self._before, self._known = None, None, None
        self._last, self._passes, self._snrs, self._others = -1, 0, [], []

    def _handle(self, message):
        self._count("in")
        try:
            frame, snr_db = self._from_pdu(message)
        except (ValueError, TypeError, KeyError) as e:
            self._count("dropped")
            log.warning("frame dropped: %s", e)
            return
        with self._passing:
            self._heard = time.monotonic()
            self._take(frame, snr_db)

    def _take(self, frame, snr_db):
        if self._collector is None:
            self._begin(frame, snr_db)
        elif self._collector.matches(frame.header):
            self._others = []
            if frame.header.index <= self._last:
                self._end_pass()
            self._add(frame, snr_db)
        else:
            self._meet_other(frame, snr_db)

    def _look_for_silence(self):
        """A pass whose last frame was lost must not wait for a sender that has gone."""
        with self._passing:
            if not self._patience or self._heard is None or time.monotonic() - self._heard < self._patience:
                return
            self._heard = None
            if self._collector is not None and self._collector.data() is not None:
                self._end_pass()

    def _meet_other(self, frame, snr_db):
        """A frame of another content; the second of one ends this one."""
        head = frame.header
        same = [(f, s) for f, s in self._others if self._same(f.header, head)]
        single = self._frames.frame_count(head.total * self._layout[0], *self._layout) == 1
        self._count("dropped", len(self._others) - len(same))
        self._others = [*same, (frame, snr_db)]
        if len(self._others) > 1 or single:
            others = self._others
            self._end_pass()
            self._forget()
            for other, snr in others:
                if self._collector is None:
                    self._begin(other, snr)
                else:
                    self._add(other, snr)

    @staticmethod
    def _same(a, b):
        return (a.id, a.total, a.digital) == (b.id, b.total, b.digital)

    def _begin(self, frame, snr_db):
        try:
            self._collector = self._frames.Collector(frame.header, *self._layout)
        except ValueError as e:
            self._count("dropped")
            log.warning("frame dropped: %s", e)
            return
        self._add(frame, snr_db)

    def _add(self, frame, snr_db):
        if self._collector is None:  # a pass was handed on: this begins the next one of the same content
            self._collector = self._frames.Collector(frame.header, *self._layout)
        if not self._collector.add(frame):
            self._count("dropped")
            return
        self._last = frame.header.index
        self._snrs.append(snr_db)
        if self._collector.received == self._collector.count or self._last == self._collector.count - 1:
            self._end_pass()

    def _end_pass(self):
        """Hand on what is known, and begin again; without a digital part go on collecting."""
        collector = self._collector
        self._last = -1
        if collector is None or not collector.arrived or self._abandoned:
            return
        self._passes += 1
        fresh = len(collector.arrived)
        data = collector.data()
        if data is None:
            self._count("undecoded")
            if self._passes >= PASSES:
                self._count("dropped", fresh)
                self._forget()
            return
        if self._before is not None and data == self._known:
            collector.arrived[:0] = self._before
        dropped = collector.dropped
        _, symbols, noise_var = collector.result()
        self._count("dropped", collector.dropped - dropped)
        picture = _Picture(
            collector.key[0],
            data,
            symbols,
            noise_var,
            float(np.mean(self._snrs)),
            collector.received,
            collector.count - collector.received,
        )
        try:
            self._queue.put_nowait(picture)
        except queue.Full:
            self._count("overrun")
            log.warning("content %d dropped: %d wait for inference", picture.id, self._queue.qsize())
        self._known, self._before = data, collector.arrived[-PASSES * collector.count :]
        header = self._header(collector.key[0], collector.key[1], 0, collector.key[2])
        self._collector = self._frames.Collector(header, *self._layout)
        self._passes, self._snrs = 0, []

    def _from_pdu(self, message):
        if not (pmt.is_pair(message) and pmt.is_dict(pmt.car(message)) and pmt.is_c32vector(pmt.cdr(message))):
            raise ValueError("the message is no pair of a dictionary and a c32vector")
        said = plain(pmt.car(message))
        missing = [k for k in ("id", "total", "index", "digital", "noise_var") if k not in said]
        if missing:
            raise ValueError(f"its dictionary has no {', '.join(missing)}")
        head = self._header(*(int(said[k]) for k in ("id", "total", "index", "digital")))
        symbols = np.array(pmt.c32vector_elements(pmt.cdr(message)), np.complex64)
        noise = np.asarray(said["noise_var"], np.float32)
        if noise.ndim == 0:
            noise = np.full(symbols.shape, noise)
        return self._frames.Received(head, symbols, noise), float(said.get("snr_db", np.nan))

    # Inference, in the worker

    def _infer_all(self):
        while True:
            try:
                picture = self._queue.get(timeout=TICK)
            except queue.Empty:
                self._look_for_silence()
                continue
            if picture is None:
                return
            if self._abandoned:
                continue
            try:
                said, vector = self._infer(picture)
            except Exception as e:  # whatever it is, the link goes on
                self._count("failed")
                log.warning("content %d dropped: %s", picture.id, e)
            else:
                self._count("out")
                self.message_port_pub(pmt.intern("content"), pmt.cons(said, vector))
            self.message_port_pub(pmt.intern("stats"), pmt.to_pmt({**self.counts(), "block": self.alias()}))

    def _infer(self, p):
        said = {"id": p.id, "snr_db": p.snr_db, "frames": p.frames, "frames_lost": p.frames_lost}
        kind = self._content.kind(p.data)
        if kind == self._content.TEXT:
            text = self._content.decode_text(p.data).encode("utf-8")
            return self._dictionary({**said, "kind": "text"}), pmt.init_u8vector(len(text), list(text))
        if kind == self._content.ARRAY:
            array = self._content.Array.from_bytes(p.data)
            values, variance = self._content.decode_array(array, *self._analogue(p, array.n_symbols))
            said.update(kind="array", domain=array.domain, mean_variance=float(variance.mean()))
            make = pmt.init_c32vector if array.complex_domain else pmt.init_f32vector
            return self._dictionary(said, array.shape), make(values.size, values.ravel().tolist())
        now = self._inference
        plan = self._core.PicturePlan(p.data).describe()
        bits = 0xFF if plan["block"] == (1, 1) else 0xFFFF
        match = plan["scheme_hash"] in (0, now.hash & bits)
        if not match:
            log.warning(
                "content %d was sent for other weights than those of '%s' here (hash %x): set the scheme, or make both "
                "ends use the same package",
                p.id,
                now.spec,
                plan["scheme_hash"],
            )
        analogue = self._analogue(p, plan["n_symbols"])
        image, info = self._core.receive_picture(now.estimator, p.data, *analogue)
        octets = image.ravel().tolist()
        said.update(
            kind="photograph",
            scheme="linear" if info["linear"] else now.spec,
            scheme_match=match,
            evaluations=info["evaluations"],
            seconds=info["seconds"],
        )
        return self._dictionary(said, plan["shape"]), pmt.init_u8vector(len(octets), octets)

    def _analogue(self, p, n):
        if not n <= p.symbols.size < n + 2 * self._layout[0]:
            raise ValueError(f"its digital part speaks of {n} symbols, the frames hold {p.symbols.size}")
        return p.symbols[:n], p.noise_var[:n]

    @staticmethod
    def _dictionary(said, shape=None):
        d = pmt.to_pmt(said)
        if shape is not None:
            d = pmt.dict_add(d, pmt.intern("shape"), pmt.init_u64vector(len(shape), list(shape)))
        return d

# SPDX-License-Identifier: GPL-3.0-or-later
"""A moving channel whose taps a generator draws."""

import logging
import math
import queue
import time

import numpy as np
import pmt
from gnuradio import gr

from .own_thread import OwnThread

log = logging.getLogger("gr_diffsem.channel_model_cc")
UNDERRUNS = ("wait", "hold")
MOST_TAPS, MOST_AHEAD, MOST_INTERVAL = 4096, 1024, 1 << 30
SECONDS = 1.0  # between two messages of `stats`


class channel_model_cc(OwnThread, gr.sync_block):
    """Samples through a filter whose taps are drawn from a generator, as `channels.selective_fading_model` draws its
    own from sums of sinusoids.

    scheme: a string or a handle, of a package whose draws are over [time] (one tap: each path has draws of its own),
    [carrier], [delay], or one of the two and [symbol] or [time]. tap_interval: samples between two instants of a draw,
    which sets the Doppler: f cycles an instant are f / tap_interval cycles a sample. delays, in samples (fractions
    too), and mags: the paths of a generator of one tap. ntaps: length of the filter, 0: as needed. seed: draw k of item
    i has its index, so that the same seed gives the same channel. underrun: `wait` for the next frame, or `hold` the
    last taps and count. ahead: frames that a thread of its own keeps drawn. condition: what the generator is told.

    Port `stats`: `frames`, `underruns`, `held` (samples), `faults`. A tag `diffsem_underrun` stands where holding
    begins. Raises ValueError naming the parameter, its value and the remedy.
    """

    def __init__(
        self,
        scheme,
        tap_interval=1000,
        delays=(0.0,),
        mags=(1.0,),
        ntaps=0,
        seed=1,
        underrun="wait",
        ahead=8,
        condition=None,
    ):
        from gr_diffsem.base import model_packages, tap_frames

        from .diffsem_python import scheme as make_scheme

        _whole("tap_interval", tap_interval, 1, MOST_INTERVAL)
        _whole("ntaps", ntaps, 0, MOST_TAPS)
        _whole("seed", seed, 0, (1 << 63) - 1)
        _whole("ahead", ahead, 1, MOST_AHEAD)
        if underrun not in UNDERRUNS:
            raise ValueError(f"underrun is {underrun!r}: give one of {', '.join(UNDERRUNS)}")
        delays, mags = _paths(delays, mags)
        self._scheme = make_scheme(scheme) if isinstance(scheme, str) else scheme
        said = self._scheme.info()
        if said["unknowns"] or said["operator"] not in ("identity", "mask"):
            raise ValueError(
                f"scheme is {said['spec']}, which draws no channels by itself: give a generator of channels"
            )
        self._layout = tap_frames.TapLayout(said["shape"], model_packages.axes_of(said), delays, mags, int(ntaps))
        self._seed, self._condition = int(seed), dict(condition or {})
        self._wait = underrun == "wait"
        self._width = math.prod(said["shape"])
        self._drawn, self._last = 0, None
        self._counts = dict.fromkeys(("frames", "underruns", "held", "faults"), 0)
        self._filter = tap_frames.MovingFilter(self._layout.taps, int(tap_interval))
        self._asked_interval = int(tap_interval)
        first = self._hop()  # so that what cannot be drawn is said here
        self._filter.begin(first[:2])
        self._rows, self._holding, self._said = first[2:], False, 0.0
        self._queue, self._ready = queue.Queue(int(ahead)), None  # a frame that did not fit in yet
        gr.sync_block.__init__(self, name="channel_model_cc", in_sig=[np.complex64], out_sig=[np.complex64])
        self.set_history(self._layout.taps)
        self.own(self._draw_ahead)
        self.message_port_register_out(pmt.intern("stats"))

    def set_tap_interval(self, tap_interval):
        """Samples between two instants, from the next instant on."""
        self._asked_interval = _whole("tap_interval", tap_interval, 1, MOST_INTERVAL)

    def set_condition(self, condition):
        """What the generator is told, from the frames on that are not drawn yet."""
        self._condition = dict(condition or {})

    def ntaps(self):
        """Length of the filter."""
        return self._layout.taps

    def counts(self):
        """What the port `stats` says."""
        return dict(self._counts)

    # ---- drawing, in a thread of its own ----

    def _frame(self):
        """The next tap frame [instants, taps]. Raises ValueError where the scheme gives none."""
        items = self._layout.items
        y = np.zeros((items, self._width), np.complex64)
        draws, _, said = self._scheme.estimate(
            y, np.float32(np.inf), seed=self._seed, first=self._drawn * items, condition=self._condition
        )
        draws = said.get("latent", draws)
        if not np.isfinite(draws).all():
            raise ValueError("scheme draws NaN or infinite taps: take another sampler or plan")
        if not np.mean(np.abs(draws) ** 2) > 1e-6:
            spec = self._scheme.spec
            raise ValueError(
                f"scheme is {spec}, which estimates from a measurement and draws nothing without one: give a generator "
                f"or let it begin in noise ({spec}:start=noise,sampler=dpmpp_2m,plan=karras,steps=20)"
            )
        self._drawn += 1
        return self._layout.frame(draws)

    def _hop(self):
        """The next rows [hop, taps] of the stream."""
        before = self._frame() if self._last is None else self._last
        self._last = self._frame()
        return self._layout.blended(before, self._last)

    def _draw_ahead(self):
        while not self._stopped.is_set():
            try:
                self._ready = self._hop() if self._ready is None else self._ready
                self._queue.put(self._ready, timeout=0.1)
                self._ready = None
            except queue.Full:
                continue
            except Exception as error:  # a condition that the generator refuses, say: the channel stands still
                self._counts["faults"] += 1
                if self._counts["faults"] == 1:
                    log.error("no more taps are drawn: %.300s", error)
                self._stopped.wait(1.0)

    # ---- samples ----

    def work(self, input_items, output_items):
        x, y = input_items[0], output_items[0]
        if self._asked_interval != self._filter.interval:
            self._filter.set_interval(self._asked_interval)
        self._filter.run(x, self._take(self._filter.needs(len(y))), y)
        self._publish()
        return len(y)

    def _take(self, count):
        """The next rows [count, taps]; where none are drawn, the last one again."""
        parts, missing = [], count
        while missing:
            part, self._rows = self._rows[:missing], self._rows[missing:]
            parts.append(part)
            missing -= len(part)
            if missing and not self._fetch():
                self._held(missing, parts)
                break
        return np.concatenate(parts) if parts else np.zeros((0, self._layout.taps), np.complex64)

    def _fetch(self):
        """The next frame's rows; False where there is none."""
        try:
            self._rows = self._queue.get_nowait()
        except queue.Empty:
            while self._wait and not self._stopped.is_set() and not self._counts["faults"]:
                try:
                    self._rows = self._queue.get(timeout=0.1)
                    break
                except queue.Empty:
                    continue
            else:
                return False
        self._counts["frames"] += 1
        self._holding = False
        return True

    def _held(self, missing, parts):
        """Rows for what is missing: the last one stands still."""
        last = next((part[-1] for part in reversed(parts) if len(part)), self._filter.last())
        parts.append(np.repeat(last[None], missing, 0))
        self._counts["held"] += missing * self._filter.interval
        if not self._holding:
            self._holding = True
            self._counts["underruns"] += 1
            self.add_item_tag(0, self.nitems_written(0), pmt.intern("diffsem_underrun"), pmt.PMT_T)

    def _publish(self):
        now = time.monotonic()
        if now >= self._said + SECONDS:
            self._said = now
            self.message_port_pub(pmt.intern("stats"), pmt.to_pmt({**self.counts(), "block": self.alias()}))


def _whole(name, value, least, most):
    if isinstance(value, bool) or int(value) != value or not least <= value <= most:
        raise ValueError(f"{name} is {value}: give a whole number {least} .. {most}")
    return int(value)


def _paths(delays, mags):
    try:
        delays, mags = ([float(v) for v in np.atleast_1d(given)] for given in (delays, mags))
    except (TypeError, ValueError):
        raise ValueError(f"delays is {delays}, mags {mags}: give lists of numbers") from None
    if not delays or len(delays) != len(mags):
        raise ValueError(f"delays has {len(delays)} paths, mags {len(mags)}: give a magnitude for each delay")
    if not all(0 <= d < MOST_TAPS for d in delays) or not all(math.isfinite(m) for m in mags):
        raise ValueError(f"delays is {delays}, mags {mags}: give delays 0 .. {MOST_TAPS} samples, finite magnitudes")
    return delays, mags

# SPDX-License-Identifier: GPL-3.0-or-later
"""Power in a band, or any number that tags carry, with the position it was measured at: the recorder of a walk."""

import datetime
import logging
import math

import numpy as np
import pmt
from gnuradio import gr

log = logging.getLogger("gr_diffsem.rssi_logger")
BINS = 1024  #: of the spectrum that a band is cut out of
STALE = 3.0  #: seconds after which a position is none any more


class rssi_logger(gr.sync_block):
    """Complex samples in; PATH.csv and PATH.geojson are written, a row each `interval` seconds of samples.

    path: without ending. rate: samples a second. band: (low, high) in Hz from the carrier; None: all. calibration: dB
    added to dBFS (10 log10 of mean |x|^2), so that rows are dBm where it is known. floor: dB at and below which a row
    is marked `censored`. tag: key of a stream tag (`snr`, ...) whose mean is written in the power's place; an interval
    without one has no value. gps: "" (positions come as messages), gpsd://HOST:PORT, nmea:/dev/ttyUSB0, and for
    recordings nmea:LOG or sigmf:FILE.sigmf-meta (`core:geolocation`), which follow the stream. cell: a name, written
    into each row.

    Message port `position`: a dict (or a PDU with it as metadata) of latitude, longitude in degrees and, if known,
    accuracy in metres. Port `out`: a dict for each row; `stats`: `rows`, `without_fix`, `dropped` (not written). Raises
    ValueError naming the parameter, its value and the remedy.
    """

    def __init__(self, path, rate, interval=1.0, band=None, calibration=0.0, floor=None, tag="", gps="", cell=""):
        gr.sync_block.__init__(self, name="rssi_logger", in_sig=[np.complex64], out_sig=None)
        from gr_diffsem.base import position_source, positions, walk_files

        if not (rate > 0 and math.isfinite(rate)):
            raise ValueError(f"rate is {rate}: give the samples a second")
        if not (interval > 0 and interval * rate >= 1 and math.isfinite(interval)):
            raise ValueError(f"interval is {interval}: give the seconds of a row, one sample or more")
        self._bins = _bins_of(band, rate)
        self._rate, self._each = float(rate), max(round(interval * rate), 1)
        self._calibration, self._floor = float(calibration), None if floor is None else float(floor)
        self._tag = pmt.intern(tag) if tag else None
        self._cell, self._no_fix = str(cell), positions.NONE
        self._source = position_source.open_source(str(gps), self._rate)
        try:
            self._files = walk_files.WalkFiles(path, tag or "power")
        except OSError as e:
            self._source.close()
            raise ValueError(f"path is {path}: cannot be written ({e.strerror})") from None
        self._counts = dict.fromkeys(("rows", "without_fix", "dropped"), 0)
        self._clear()
        self.message_port_register_in(pmt.intern("position"))
        self.message_port_register_out(pmt.intern("out"))
        self.message_port_register_out(pmt.intern("stats"))
        self.set_msg_handler(pmt.intern("position"), self.take_position)

    def _clear(self):
        self._energy, self._seen, self._values = 0.0, 0, []

    def set_calibration(self, calibration):
        """dB added to dBFS, from now on."""
        self._calibration = float(calibration)

    def set_cell(self, cell):
        """The name that rows carry, from now on."""
        self._cell = str(cell)

    def counts(self):
        """What the port `stats` says."""
        return dict(self._counts)

    def take_position(self, message):
        """A position, as if it had come in at the port; what is none leaves the block without a fix."""
        from gr_diffsem.base import positions

        said = pmt.car(message) if pmt.is_pair(message) and pmt.is_dict(pmt.car(message)) else message
        fix = positions.NONE
        if pmt.is_dict(said):
            got = [_number(said, name) for name in ("latitude", "longitude", "accuracy")]
            fix = positions.made(*got)
        self._source.tell(fix)

    def work(self, input_items, output_items):
        x = input_items[0]
        taken = min(len(x), self._each - self._seen)
        part, at = x[:taken], self.nitems_read(0)
        if self._tag is not None:
            for tag in self.get_tags_in_range(0, at, at + taken, self._tag):
                if pmt.is_number(tag.value) and not pmt.is_complex(tag.value):
                    self._values.append(pmt.to_double(tag.value))
        else:
            self._energy += _power(part, self._bins) * taken
        self._seen += taken
        if self._seen >= self._each:
            self._row((at + taken) / self._rate)
            self._clear()
        return taken

    def _row(self, seconds):
        """Write what was measured until `seconds` after the first sample."""
        fix, age = self._source.at(seconds)
        fix = fix if age <= STALE else self._no_fix
        value = self._value()
        censored = self._floor is not None and value <= self._floor
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        try:
            self._files.add(now, fix, value, censored, self._cell)
            self._counts["rows"] += 1
            self._counts["without_fix"] += not fix.valid
        except (OSError, ValueError) as e:  # a full disk: the walk goes on
            self._counts["dropped"] += 1
            if self._counts["dropped"] == 1:
                log.warning("a row was not written: %.200s", e)
        said = {"time": now, "value": value, "fix": bool(fix.valid), "censored": bool(censored)}
        said |= {"latitude": fix.latitude, "longitude": fix.longitude} if fix.valid else {}
        self.message_port_pub(pmt.intern("out"), pmt.to_pmt(said))
        self.message_port_pub(pmt.intern("stats"), pmt.to_pmt({**self.counts(), "block": self.alias()}))

    def _value(self):
        """dB of the interval; NaN where nothing was measured."""
        if self._tag is not None:
            finite = [v for v in self._values if math.isfinite(v)]
            return sum(finite) / len(finite) if finite else math.nan
        power = self._energy / self._seen
        return 10 * math.log10(power) + self._calibration if 0 < power < math.inf else math.nan

    def stop(self):
        self._source.close()
        self._files.close()
        return True


def _number(said, name):
    value = pmt.dict_ref(said, pmt.intern(name), pmt.PMT_NIL)
    return pmt.to_double(value) if pmt.is_number(value) and not pmt.is_complex(value) else math.nan


def _bins_of(band, rate):
    """[BINS] bool, the bins of an FFT that lie in a band; None: all of them. ValueError where none does."""
    if band is None:
        return None
    try:
        low, high = (float(edge) for edge in band)
    except (TypeError, ValueError):
        raise ValueError(f"band is {band}: give (low, high) in Hz from the carrier") from None
    inside = np.fft.fftfreq(BINS, 1 / rate)
    inside = (inside >= low) & (inside <= high)
    if not inside.any():
        raise ValueError(f"band is {band}: give (low, high) within {-rate / 2:g} .. {rate / 2:g} Hz, low first")
    return inside


def _power(x, bins):
    """Mean |x|^2 of samples in a band. Pieces of BINS samples; what is shorter is filled up with zeros."""
    if bins is None:
        return float(np.mean(x.real.astype(np.float64) ** 2 + x.imag.astype(np.float64) ** 2))
    pieces = np.pad(x, (0, -len(x) % BINS)).reshape(-1, BINS)
    spectrum = np.abs(np.fft.fft(pieces, axis=1)[:, bins]) ** 2
    return float(spectrum.sum() / BINS / len(x))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Received moving pictures to files, one for each stream."""

import logging
import pathlib

import numpy as np
import pmt
from gnuradio import gr

from .video_frames import from_content

log = logging.getLogger("gr_diffsem.video_sink")
LONGEST_GAP = 30.0  #: seconds of missing frames that a file holds; behind more it goes on where the stream does


class video_sink(gr.basic_block):
    """PDUs of frames in (port ``content``), NUMBER_STREAM.mp4 and .json in a folder for each stream of them.

    Frames lie in the file where their numbers say. Those that did not come are the last one that did, counted as
    ``concealed``; those that the decoder made up from their neighbours are ``generated``; those that come again,
    because their sender repeats them, are left out. A file ends when the block stops or a stream of another size or
    rate comes under its number. Contents of other kinds are left to other sinks.

    folder: made if it is not there; what lies there already is not touched. written: called with (path, dictionary)
    for each file at its end; failed: with the OSError where one cannot be written.

    Port ``stats``: ``in`` = ``out`` + ``again`` + ``other`` (kinds) + ``dropped`` (no frame, or not written), and
    ``concealed``, ``generated`` (of those out), ``files``. Raises ValueError naming the parameter, its value and the
    remedy.
    """

    def __init__(self, folder, written=None, failed=None):
        gr.basic_block.__init__(self, name="video_sink", in_sig=None, out_sig=None)
        from gr_diffsem.base import video_files
        from gr_diffsem.base.errors import UserError

        self._files, self._folder = video_files, pathlib.Path(folder)
        try:
            video_files.pyav()
            self._folder.mkdir(parents=True, exist_ok=True)
        except UserError as e:
            raise ValueError(str(e)) from None
        except OSError as e:
            raise ValueError(f"folder is {folder}: cannot be made ({e.strerror})") from None
        self._written, self._failed = written, failed
        self._streams = {}
        self._counts = dict.fromkeys(("in", "out", "again", "other", "dropped", "concealed", "generated", "files"), 0)
        self.message_port_register_in(pmt.intern("content"))
        self.message_port_register_out(pmt.intern("stats"))
        self.set_msg_handler(pmt.intern("content"), self.take)

    def counts(self):
        """What the port ``stats`` says."""
        return dict(self._counts)

    @staticmethod
    def shows(message):
        """Whether a PDU of content is a frame of moving pictures, by what it says."""
        if not (pmt.is_pair(message) and pmt.is_dict(pmt.car(message))):
            return False
        kind = pmt.dict_ref(pmt.car(message), pmt.intern("kind"), pmt.PMT_NIL)
        return pmt.is_symbol(kind) and pmt.symbol_to_string(kind) == "video"

    def take(self, message):
        """Write a PDU of a frame, as if it had come in at the port."""
        self._counts["in"] += 1
        try:
            if self.shows(message):
                self._add(*from_content(message))
            else:
                self._counts["other"] += 1
        except Exception as e:  # whatever it is, the block lives on
            self._counts["dropped"] += 1
            log.warning("frame dropped: %.200s", e)
            if isinstance(e, OSError) and self._failed:
                self._failed(e)
        self.message_port_pub(pmt.intern("stats"), pmt.to_pmt({**self.counts(), "block": self.alias()}))

    def stop(self):
        self.close()
        return True

    def close(self):
        """End all files."""
        for stream in list(self._streams):
            self._end(stream)

    def _add(self, frame, said):
        stream, key = said["stream"], (frame.shape, said["rate"])
        if stream in self._streams and self._streams[stream].key != key:
            self._end(stream)
        if stream not in self._streams:
            self._streams[stream] = self._begin(stream, key)
        open_ = self._streams[stream]
        if said["number"] < open_.next:
            self._counts["again"] += 1
            return
        missing = said["number"] - open_.next if open_.last is not None else 0
        if missing > LONGEST_GAP * said["rate"]:
            log.warning("stream %d: %d frames are missing; the file goes on behind them", stream, missing)
            missing = 0
        for _ in range(missing):
            open_.writer.add(open_.last)
        open_.writer.add(frame)
        open_.took(frame, said, missing)
        self._counts["concealed"] += missing
        self._counts["generated"] += said.get("generated") is True
        self._counts["out"] += 1

    def _begin(self, stream, key):
        numbers = [p.name.split("_")[0] for p in self._folder.glob("*_*.*")]
        number = max((int(n) for n in numbers if n.isdigit()), default=-1) + 1
        path = self._folder / f"{number:04d}_{stream}.mp4"
        writer = self._files.Writer(path, key[0][:2], key[1])
        self._counts["files"] += 1
        return _Open(path, key, writer)

    def _end(self, stream):
        from gr_diffsem.base import jsonio

        open_ = self._streams.pop(stream)
        said = {"kind": "video", "stream": stream, **open_.about()}
        try:
            open_.writer.close()
            open_.path.with_suffix(".json").write_text(jsonio.dumps(said) + "\n")
        except OSError as e:
            log.warning("%s: %.200s", open_.path, e)
            if self._failed:
                self._failed(e)
            return
        if self._written:
            self._written(open_.path, said)


class _Open:
    """A file that is being written: its path, what its frames have in common, the number that comes next, the last
    frame."""

    def __init__(self, path, key, writer):
        self.path, self.key, self.writer = path, key, writer
        self.next, self.last = 0, None
        self._frames = self._concealed = self._generated = self._evaluations = 0
        self._snrs, self._seconds, self._scheme, self._callsign = [], 0.0, None, None

    def took(self, frame, said, missing):
        self.next, self.last = said["number"] + 1, frame
        self._frames += 1
        self._concealed += missing
        self._generated += said.get("generated") is True
        self._snrs.append(said.get("snr_db", np.nan))
        self._evaluations += said.get("evaluations", 0)
        self._seconds += said.get("seconds", 0.0)
        self._scheme = said.get("scheme", self._scheme)
        self._callsign = said.get("callsign", self._callsign)

    def about(self):
        """For the JSON."""
        (h, w, _), rate = self.key
        known = [x for x in self._snrs if isinstance(x, float) and np.isfinite(x)]
        snr = float(np.mean(known)) if known else None
        out = {"shape": [h, w], "rate": rate, "frames": self._frames, "concealed": self._concealed}
        out.update(generated=self._generated, snr_db=snr)
        out.update({"callsign": self._callsign} if self._callsign else {})
        return {**out, "scheme": self._scheme, "evaluations": self._evaluations, "seconds": round(self._seconds, 3)}

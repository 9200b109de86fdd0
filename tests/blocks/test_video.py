# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures through the blocks of the semantic link, from file to file."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pmt
import pytest

diffsem = pytest.importorskip("gnuradio.diffsem")
pytest.importorskip("av")
from gnuradio import gr  # noqa: E402
from gnuradio.diffsem.video_frames import from_content, to_content  # noqa: E402
from gr_diffsem.base import video_files  # noqa: E402

sys.path.append(str(Path(__file__).parents[1] / "python"))  # behind the blocks, whose modules may have the same names
from moving_pictures import clip  # noqa: E402


class Noise(gr.basic_block):
    """Noise on PDUs of frames; every `lose`-th is lost."""

    def __init__(self, snr_db, lose=0):
        gr.basic_block.__init__(self, "noise", None, None)
        self._var, self._lose, self._n = 10 ** (-snr_db / 10), lose, 0
        self._rng = np.random.default_rng(1)
        self.message_port_register_in(pmt.intern("in"))
        self.message_port_register_out(pmt.intern("out"))
        self.set_msg_handler(pmt.intern("in"), self._handle)

    def _handle(self, message):
        self._n += 1
        if self._lose and self._n % self._lose == 0:
            return
        x = np.array(pmt.c32vector_elements(pmt.cdr(message)))
        n = self._rng.standard_normal((2, x.size)) * np.sqrt(self._var / 2)
        said = pmt.car(message)
        for name, value in (("noise_var", self._var), ("snr_db", -10 * np.log10(self._var))):
            said = pmt.dict_add(said, pmt.intern(name), pmt.from_double(value))
        pdu = pmt.cons(said, pmt.init_c32vector(x.size, (x + n[0] + 1j * n[1]).tolist()))
        self.message_port_pub(pmt.intern("out"), pdu)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """(path, its frames)."""
    path = tmp_path_factory.mktemp("clip") / "a.mp4"
    writer = video_files.Writer(path, (96, 128), 25)
    for frame in clip(16, pan=(1, 1)):
        writer.add(frame)
    writer.close()
    return path, video_files.Video(path).first(None)


def through(file, folder, scheme, frames, **how):
    """(what the sink wrote, counts of decoder and sink) of a file through encoder, noise and decoder."""
    tb, done = gr.top_block(), []
    source, encoder = diffsem.video_source(str(file), 0, False, stream=7), diffsem.semantic_encoder(1 / 6)
    noise = Noise(12, how.pop("lose", 0))
    decoder = diffsem.semantic_decoder(scheme, on_full="wait", **how)
    sink = diffsem.video_sink(str(folder), lambda *what: done.append(what))
    for a, p, b, q in [(source, "content", encoder, "content"), (encoder, "frames", noise, "in"),
                       (noise, "out", decoder, "frames"), (decoder, "content", sink, "content")]:  # fmt: skip
        tb.msg_connect(a, p, b, q)
    tb.start()
    end = time.monotonic() + 60
    while sink.counts()["out"] < frames and time.monotonic() < end:
        time.sleep(0.02)
    tb.stop()
    tb.wait()
    return done, decoder.counts(), sink.counts()


def test_from_file_to_file(file, tmp_path):
    done, decoder, sink = through(file[0], tmp_path, "linear", 16)
    assert decoder["out"] == 2 and sink["out"] == 16 and not sink["concealed"]
    ((path, said),) = done
    assert said["frames"] == 16 and said["rate"] == 25 and said["stream"] == 7 and path.name == "0000_7.mp4"
    assert json.loads(path.with_suffix(".json").read_text())["shape"] == [96, 128]
    back = video_files.Video(path).first(None)
    assert -10 * np.log10(np.mean((back / 255.0 - file[1] / 255.0) ** 2)) > 24


def test_a_network_sees_every_frame_unless_there_is_no_time(file, tmp_path):
    done, decoder, _ = through(file[0], tmp_path, "photo_mmse", 16)
    assert done[0][1]["evaluations"] == 16 and not decoder["bypassed"]
    done, decoder, _ = through(file[0], tmp_path, "photo_mmse", 16, deadline=1.0, overload="fewer_steps")
    assert done[0][1]["evaluations"] < 16 and decoder["bypassed"] == 2


def test_lost_frames_make_it_softer(file, tmp_path):
    done, decoder, sink = through(file[0], tmp_path, "linear", 16, lose=4, patience=1.0)
    assert sink["out"] == 16 and decoder["out"] == 2 and done[0][1]["frames"] == 16


def frames_of(numbers, stream=0, rate=10.0, **more):
    return [to_content(np.full((32, 48, 3), 8 * n, np.uint8), rate, stream, n, **more) for n in numbers]


def test_a_sink_keeps_time(tmp_path):
    """Missing frames are the last one, those that come again are left out, another size begins a file."""
    sink = diffsem.video_sink(str(tmp_path))
    for pdu in [*frames_of([0, 1, 4]), *frames_of([1, 2]), *frames_of([5]), *frames_of([0], rate=5.0)]:
        sink.take(pdu)
    sink.take(pmt.cons(pmt.to_pmt({"kind": "text"}), pmt.init_u8vector(1, [65])))
    sink.close()
    counts = sink.counts()
    none = {"dropped": 0, "generated": 0}
    assert counts == {"in": 8, "out": 5, "again": 2, "other": 1, **none, "concealed": 2, "files": 2}
    assert video_files.Video(tmp_path / "0000_0.mp4").count == 6


def test_a_player_plays_at_the_streams_pace():
    class Player(diffsem.video_player):
        shown = []

        def message_port_pub(self, port, message):
            if pmt.symbol_to_string(port) == "content":
                self.shown.append((time.monotonic(), from_content(message)[1]["number"]))

    player = Player(0.2)
    player.start()
    begin = time.monotonic()
    for pdu in frames_of(range(4)):
        player.take(pdu)
    while len(player.shown) < 4 and time.monotonic() < begin + 10:
        time.sleep(0.01)
    player.stop()
    assert [n for _, n in player.shown] == [0, 1, 2, 3]
    assert player.shown[0][0] - begin > 0.19 and player.shown[3][0] - player.shown[0][0] > 0.28


def test_a_group_that_is_missing_is_generated_and_marked(file, tmp_path, monkeypatch):
    """Frames 4 to 7 of 12 never come: they are made of their neighbours, which sink and player know."""
    from gr_diffsem.codec import frames, video_sender

    sender = video_sender.VideoSender(6144, 25.0, 4)
    made = [encoded for frame in file[1][:12] for encoded in sender.take(frame)]
    decoder, shown = diffsem.semantic_decoder("linear"), []
    monkeypatch.setattr(decoder, "message_port_pub", lambda port, message: shown.append((str(port), message)))
    decoder.start()
    for number in (0, 2):
        for frame in frames.cut(made[number].digital, made[number].symbols, number):
            said = {"id": number, "total": frame.header.total, "index": frame.header.index}
            said.update(digital=frame.header.digital, noise_var=0.01, snr_db=20.0)
            vector = pmt.init_c32vector(frame.symbols.size, frame.symbols.tolist())
            decoder._handle(pmt.cons(pmt.to_pmt(said), vector))
    decoder.stop()
    sink = diffsem.video_sink(str(tmp_path))
    contents = [message for port, message in shown if port == "content"]
    for message in contents:
        sink.take(message)
    sink.close()
    marks = [(said["number"], said.get("generated") is True) for _, said in map(from_content, contents)]
    assert marks == [(n, 4 <= n < 8) for n in range(12)]
    assert sink.counts()["generated"] == 4 and not sink.counts()["concealed"]
    assert json.loads(next(tmp_path.glob("*.json")).read_text())["generated"] == 4


def test_a_player_leaves_out_what_was_generated_too_late():
    class Player(diffsem.video_player):
        shown = []

        def message_port_pub(self, port, message):
            if pmt.symbol_to_string(port) == "content":
                self.shown.append(from_content(message)[1]["number"])

    player = Player(0.0)
    player.start()
    end = time.monotonic() + 10
    player.take(frames_of([8])[0])
    for pdu in [*frames_of([4, 5], generated=True), *frames_of([6])]:
        player.take(pdu)
    while sum(player.counts()[n] for n in ("out", "dropped")) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    player.stop()
    assert player.shown == [8, 6] and player.counts()["dropped"] == 2


BAD = [
    pmt.PMT_NIL,
    pmt.cons(pmt.to_pmt({"kind": "video"}), pmt.init_u8vector(3, [1, 2, 3])),
    pmt.cons(pmt.to_pmt({"kind": "video", "shape": (2, 2)}), pmt.init_u8vector(3, [1, 2, 3])),
    to_content(np.zeros((16, 16, 3), np.uint8), 1e9, 0, 0),
    to_content(np.zeros((16, 16, 3), np.uint8), 10, 999, 0),
    to_content(np.zeros((16, 16, 3), np.uint8), 10, 0, -5),
    to_content(np.zeros((1, 1, 3), np.uint8), float("nan"), 0, 0),
]


def test_bad_messages_are_counted(tmp_path):
    sink, encoder = diffsem.video_sink(str(tmp_path)), diffsem.semantic_encoder()
    for message in BAD:
        sink.take(message)
        encoder._handle(message)
    counts = sink.counts()
    assert counts["in"] == len(BAD) == counts["dropped"] + counts["other"] and counts["out"] == 0
    assert encoder.content_dropped() == len(BAD)


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: diffsem.video_source("missing.mp4"), "path: missing.mp4"),
        (lambda: diffsem.video_source(__file__), "path: .*no file of moving pictures"),
        (lambda: diffsem.video_source("a.mp4", max_side=3), "max_side is 3"),
        (lambda: diffsem.video_source("a.mp4", stream=300), "stream is 300"),
        (lambda: diffsem.video_source("camera:", fps=0), "fps is 0"),
        (lambda: diffsem.video_source("camera:77"), "camera:77: no camera is at '/dev/video77'"),
        (lambda: diffsem.video_source("screen::77777"), "no screen can be seen at ':77777'"),
        (lambda: diffsem.video_source("a.mp4", paced=False, repeat=True), "repeat without paced"),
        (lambda: diffsem.video_sink("/proc/no/folder"), "folder is"),
        (lambda: diffsem.video_player(-1), "delay is -1"),
        (lambda: diffsem.semantic_encoder(group=3), "group: 3 frames"),
    ],
)
def test_bad_parameters_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()

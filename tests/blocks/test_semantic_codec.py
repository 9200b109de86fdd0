# SPDX-License-Identifier: GPL-3.0-or-later
"""semantic_encoder and semantic_decoder: content comes out as it went in, and nothing is ever mixed."""

import threading

import numpy as np
import pmt
import pytest
from gnuradio import diffsem, gr
from gr_diffsem.base import picture_files

from gnuradio.diffsem.image_sink import deviation_of  # isort: skip
from gnuradio.diffsem.semantic_decoder import DEVIATION_WHITE  # isort: skip
from gnuradio.diffsem.semantic_encoder import plain  # isort: skip


class Sink(gr.basic_block):
    """Keeps messages; wait(n) until there are n."""

    def __init__(self, port="in"):
        gr.basic_block.__init__(self, "sink", None, None)
        self.got, self._more = [], threading.Condition()
        self.message_port_register_in(pmt.intern(port))
        self.set_msg_handler(pmt.intern(port), self._take)

    def _take(self, message):
        with self._more:
            self.got.append(message)
            self._more.notify_all()

    def wait(self, count, seconds=30):
        with self._more:
            assert self._more.wait_for(lambda: len(self.got) >= count, seconds), f"{len(self.got)} of {count} messages"
        return self.got


def photograph(seed=1, h=120, w=160):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w]
    planes = [np.sin(x / rng.uniform(9, 30) + k) + np.cos(y / rng.uniform(7, 25)) for k in range(3)]
    image = np.stack(planes, -1) * 45 + 128 + rng.standard_normal((h, w, 3)) * 4
    return image.clip(0, 255).astype(np.uint8)


def content(image, **more):
    said = pmt.to_pmt(more)
    said = pmt.dict_add(said, pmt.intern("shape"), pmt.init_u64vector(2, list(image.shape[:2])))
    return pmt.cons(said, pmt.init_u8vector(image.size, image.ravel().tolist()))


def encoded(contents, count, **parameters):
    """All PDUs of frames, at least `count`, that an encoder makes of contents."""
    tb, encoder, sink = gr.top_block(), diffsem.semantic_encoder(**parameters), Sink()
    tb.msg_connect(encoder, "frames", sink, "in")
    tb.start()
    try:
        for c in contents:
            encoder.to_basic_block()._post(pmt.intern("content"), c)
        sink.wait(count)
        while encoder.content_in() < len(contents):
            threading.Event().wait(0.01)
        return list(sink.wait(encoder.frames_out()))
    finally:  # a running flowgraph that is destroyed waits for ever
        tb.stop()
        tb.wait()


def on_air(frame, snr_db=15.0, rng=None):
    """The frame as the semantic receiver would give it."""
    rng = rng or np.random.default_rng(3)
    symbols = np.array(pmt.c32vector_elements(pmt.cdr(frame)), np.complex64)
    noise = 10 ** (-snr_db / 10)
    n = rng.standard_normal((2, symbols.size)) * np.sqrt(noise / 2)
    said = pmt.dict_add(pmt.car(frame), pmt.intern("snr_db"), pmt.from_double(snr_db))
    said = pmt.dict_add(said, pmt.intern("noise_var"), pmt.init_f32vector(symbols.size, [noise] * symbols.size))
    return pmt.cons(said, pmt.init_c32vector(symbols.size, (symbols + n[0] + 1j * n[1]).tolist()))


def decoded(frames, count, **parameters):
    """(contents, counts) that a decoder makes of received frames; stops it after `count` contents."""
    tb, decoder, sink = gr.top_block(), diffsem.semantic_decoder(**parameters), Sink()
    tb.msg_connect(decoder, "content", sink, "in")
    tb.start()
    try:
        for f in frames:
            decoder.to_basic_block()._post(pmt.intern("frames"), f)
        got = list(sink.wait(count))
        while decoder.counts()["in"] < len(frames):
            threading.Event().wait(0.01)
    finally:
        tb.stop()
        tb.wait()
    return got, decoder.counts()


def image_of(message):
    said = plain(pmt.car(message))
    h, w = said["shape"]
    return np.array(pmt.u8vector_elements(pmt.cdr(message)), np.uint8).reshape(h, w, 3), said


def psnr(a, b):
    return -10 * np.log10(np.mean((a / 255.0 - b / 255.0) ** 2))


CBR = {"cbr": 1 / 4}
COUNT = 6  # frames of one picture at that rate


@pytest.fixture(scope="module")
def sent():
    return encoded([content(photograph(1), id=5)], COUNT, **CBR)


def test_a_photograph_arrives(sent):
    assert [plain(pmt.car(f))["index"] for f in sent] == list(range(COUNT))
    power = [np.mean(np.abs(np.array(pmt.c32vector_elements(pmt.cdr(f)))) ** 2) for f in sent]
    assert abs(np.mean(power) - 1) < 0.05
    (message,), counts = decoded([on_air(f) for f in sent], 1)
    image, said = image_of(message)
    assert psnr(image, photograph(1)) > 27
    assert (said["id"], said["frames"], said["frames_lost"], said["scheme"]) == (5, COUNT, 0, "linear")
    assert said["scheme_match"] is True and said["evaluations"] == 0 and abs(said["snr_db"] - 15) < 1e-6
    assert counts.pop("in") == COUNT and counts.pop("out") == 1 and not any(counts.values())


def test_realism_is_a_draw_and_costs_psnr(sent):
    """At 0 dB, where much is unknown: the mean has the smaller error, and the key joins others of the scheme's."""
    shown = {}
    for scheme, realism in (("linear", 0.0), ("linear", 0.5), ("linear:seed=4", 0.5)):
        (message,), _ = decoded([on_air(f, 0.0) for f in sent], 1, scheme=scheme, realism=realism)
        image, said = image_of(message)
        assert said["scheme_match"] is True and ("realism=0.5" in said["scheme"]) == bool(realism)
        shown[scheme, realism] = image
    quality = [psnr(image, photograph(1)) for image in shown.values()]
    assert quality[0] > quality[1] + 0.1 and abs(quality[1] - quality[2]) < 0.5
    assert (shown["linear", 0.5] != shown["linear:seed=4", 0.5]).any()


@pytest.mark.parametrize(("snr_db", "scheme"), [(0.0, "linear"), (15.0, "linear"), (5.0, "photo_mmse")])
def test_a_map_says_where_the_picture_errs_and_by_how_much(tmp_path, snr_db, scheme):
    """Its mean square is that of the error to 2 dB, and its brighter half holds more of that."""
    picture = next(iter(picture_files.bundled(160, 1).values()))
    sent = encoded([content(picture, id=5)], COUNT, **CBR)
    (message,), _ = decoded([on_air(f, snr_db) for f in sent], 1, scheme=scheme, uncertainty=True)
    image, said = image_of(message)
    deviation = deviation_of(message)
    assert deviation.shape == image.shape[:2]
    assert abs(said["expected_psnr"] - psnr(image, picture)) < 2
    error = np.mean((image / 255.0 - picture / 255.0) ** 2, -1)
    stated = (deviation / 255 * DEVIATION_WHITE) ** 2
    assert abs(10 * np.log10(stated.mean()) + said["expected_psnr"]) < 1
    assert np.mean(deviation == 255) < 0.05
    bright = deviation > np.median(deviation)
    assert error[bright].mean() > 1.3 * error[~bright].mean()
    sink = diffsem.image_sink(str(tmp_path), keep=1)
    for _ in range(2):
        sink.take(message)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0001_5.json", "0001_5.png", "0001_5.uncertainty.png"]
    assert [p.name for p in picture_files.files(tmp_path)] == ["0001_5.png"]  # the map is none to be sent
    plain_message, _ = decoded([on_air(f, snr_db) for f in sent], 1, scheme=scheme)
    assert deviation_of(plain_message[0]) is None
    assert np.array_equal(image_of(plain_message[0])[0], image)


def test_lost_frames_cost_quality_not_the_picture(sent):
    whole, _ = decoded([on_air(f) for f in sent], 1)
    some, _ = decoded([on_air(f) for f in sent[:2] + sent[3:]], 1)
    image, said = image_of(some[0])
    assert (said["frames"], said["frames_lost"]) == (COUNT - 1, 1)
    assert 15 < psnr(image, photograph(1)) < psnr(image_of(whole[0])[0], photograph(1))


def test_a_carousel_is_joined_late_and_its_copies_are_combined(sent):
    rng = np.random.default_rng(4)
    air = [on_air(f, -3.0, rng) for f in sent[3:] + sent + sent]
    got, counts = decoded(air, 3)
    last = image_of(got[-1])[0]
    once = image_of(decoded([on_air(f, -3.0) for f in sent], 1)[0][0])[0]
    assert psnr(last, photograph(1)) > psnr(once, photograph(1)) + 0.4
    assert counts["dropped"] == 0


@pytest.mark.parametrize(("before", "contents"), [(3, 2), (1, 1)])
def test_a_sender_that_starts_again_is_never_mixed(sent, before, contents):
    """Some frames of a picture, then another with the same id, size and layout: it comes out as if alone. Half of the
    first one's frames are enough to show it, one of six is not."""
    other = encoded([content(photograph(2), id=5)], COUNT, **CBR)
    rng = np.random.default_rng(5)
    got, counts = decoded([on_air(f, 15.0, rng) for f in sent[:before] + other], contents)
    images = [image_of(m)[0] for m in got]
    assert len(images) == contents and psnr(images[-1], photograph(2)) > 27
    if contents == 2:
        assert psnr(images[0], photograph(1)) > psnr(images[0], photograph(2)) + 1
    else:
        assert counts["dropped"] == before


def test_a_newer_content_ends_the_one_before(sent):
    other = encoded([content(photograph(2), id=6)], COUNT, **CBR)
    got, _ = decoded([on_air(f) for f in sent[:4] + other], 2)
    assert [image_of(m)[1]["id"] for m in got] == [5, 6]
    assert psnr(image_of(got[1])[0], photograph(2)) > 27


def test_frames_that_are_wrong_are_counted(sent):
    air = [on_air(f) for f in sent]
    no_noise = pmt.cons(pmt.dict_delete(pmt.car(air[0]), pmt.intern("noise_var")), pmt.cdr(air[0]))
    short = pmt.cons(pmt.car(air[1]), pmt.init_c32vector(3, [0j] * 3))
    stranger = pmt.cons(pmt.dict_add(pmt.car(air[1]), pmt.intern("id"), pmt.from_long(9)), pmt.cdr(air[1]))
    broken = [pmt.PMT_T, no_noise, air[0], short, stranger, *air[1:]]
    got, counts = decoded(broken, 1)
    assert psnr(image_of(got[0])[0], photograph(1)) > 27
    assert counts["dropped"] >= 3 and counts["out"] == 1


def test_noise_alone_gives_nothing_and_is_counted(sent):
    rng = np.random.default_rng(6)
    tb, decoder, sink = gr.top_block(), diffsem.semantic_decoder(), Sink()
    tb.msg_connect(decoder, "content", sink, "in")
    tb.start()
    for f in sent:
        decoder.to_basic_block()._post(pmt.intern("frames"), on_air(f, -25.0, rng))
    while decoder.counts()["undecoded"] < 1:
        threading.Event().wait(0.01)
    tb.stop()
    tb.wait()
    assert not sink.got and decoder.counts()["out"] == 0


def test_text_and_an_array_ride_too():
    text = b"73 de nobody"
    message = pmt.cons(pmt.to_pmt({"kind": "text", "id": 1}), pmt.init_u8vector(len(text), list(text)))
    frames = encoded([message], 1)
    got, _ = decoded([on_air(f, 3.0) for f in frames], 1)
    assert bytes(pmt.u8vector_elements(pmt.cdr(got[0]))) == text
    values = np.random.default_rng(7).standard_normal(64) + 1j
    message = pmt.cons(pmt.to_pmt({"kind": "array", "domain": "csi", "id": 2}), pmt.init_c32vector(64, values.tolist()))
    frames = encoded([message], 1)
    got, _ = decoded([on_air(f, 30.0) for f in frames], 1)
    found = np.array(pmt.c32vector_elements(pmt.cdr(got[0])))
    assert np.mean(np.abs(found - values) ** 2) < 0.01
    assert plain(pmt.car(got[0]))["domain"] == "csi"


def test_content_that_cannot_be_sent_is_counted():
    tb, encoder, sink = gr.top_block(), diffsem.semantic_encoder(), Sink()
    tb.msg_connect(encoder, "stats", sink, "in")
    tb.start()
    for bad in (pmt.PMT_T, content(photograph(1), kind="opera"), content(photograph(1, 8, 8))):
        encoder.to_basic_block()._post(pmt.intern("content"), bad)
    sink.wait(3)
    tb.stop()
    tb.wait()
    assert encoder.content_dropped() == 3 and encoder.frames_out() == 0


@pytest.mark.parametrize(
    ("block", "parameters", "message"),
    [
        ("semantic_encoder", {"cbr": 0}, "cbr is 0"),
        ("semantic_encoder", {"design_snr_db": 40}, "design_snr_db is 40"),
        ("semantic_encoder", {"copies": 0}, "copies is 0"),
        ("semantic_encoder", {"scheme": "nonesuch"}, "nonesuch"),
        ("semantic_decoder", {"scheme": "ls"}, "photographs"),
        ("semantic_decoder", {"queue_size": 0}, "queue_size is 0"),
        ("semantic_decoder", {"carriers": 0}, "carriers is 0"),
        ("semantic_decoder", {"realism": 1.5}, "realism is 1.5"),
        ("semantic_decoder", {"scheme": "photo_mmse", "realism": 0.5}, "no posterior to draw from"),
    ],
)
def test_parameters_are_checked(block, parameters, message):
    with pytest.raises(ValueError, match=message):
        getattr(diffsem, block)(**parameters)


def test_a_picture_whose_last_frame_is_lost_comes_after_silence(sent):
    tb, decoder, sink = gr.top_block(), diffsem.semantic_decoder(patience=0.3), Sink()
    tb.msg_connect(decoder, "content", sink, "in")
    tb.start()
    for f in sent[:-1]:
        decoder.to_basic_block()._post(pmt.intern("frames"), on_air(f))
    (message,) = sink.wait(1, 10)  # while the flowgraph runs
    tb.stop()
    tb.wait()
    image, said = image_of(message)
    assert (said["frames"], said["frames_lost"]) == (COUNT - 1, 1)
    assert psnr(image, photograph(1)) > 20
    assert len(sink.got) == 1 and decoder.counts()["out"] == 1


def test_a_decoder_that_is_abandoned_gives_nothing_more(sent):
    tb, decoder, sink = gr.top_block(), diffsem.semantic_decoder(), Sink()
    tb.msg_connect(decoder, "content", sink, "in")
    tb.start()
    for f in sent:
        decoder.to_basic_block()._post(pmt.intern("frames"), on_air(f))
    sink.wait(1)
    decoder.abandon()
    for f in sent:
        decoder.to_basic_block()._post(pmt.intern("frames"), on_air(f))
    while decoder.counts()["in"] < 2 * len(sent):
        threading.Event().wait(0.01)
    tb.stop()
    tb.wait()
    assert len(sink.got) == 1 and decoder.counts()["out"] == 1


def test_patience_is_checked():
    with pytest.raises(ValueError, match="patience is -1"):
        diffsem.semantic_decoder(patience=-1.0)

# SPDX-License-Identifier: GPL-3.0-or-later
"""image_source and image_sink: what a file says is what is sent, and what comes is what lies in the folder."""

import json
import time

import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, gr
from gnuradio.diffsem.image_source import to_content
from PIL import Image


def picture(seed, shape=(24, 32)):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def emitted(source, count, seconds=20):
    """The first messages of a source; [(dictionary, picture)]."""
    tb, store = gr.top_block(), blocks.message_debug()
    tb.msg_connect((source, "content"), (store, "store"))
    tb.start()
    end = time.monotonic() + seconds
    while store.num_messages() < count and time.monotonic() < end:
        time.sleep(0.02)
    tb.stop()
    tb.wait()
    out = []
    for i in range(store.num_messages()):
        said = pmt.to_python(pmt.car(store.get_message(i)))
        octets = np.array(pmt.u8vector_elements(pmt.cdr(store.get_message(i))), np.uint8)
        out.append((said, octets.reshape(*said["shape"], 3)))
    return out


def test_a_folder_is_sent_in_order_and_what_is_no_picture_is_counted(tmp_path):
    for i in (2, 0):
        Image.fromarray(picture(i)).save(tmp_path / f"{i}.png")
    (tmp_path / "1.png").write_text("not a picture")
    source = diffsem.image_source(str(tmp_path), 0, 0)
    got = emitted(source, 2)
    assert [said["name"] for said, _ in got] == ["0", "2"]
    assert [said["id"] for said, _ in got] == [0, 2]
    for i, (_, x) in zip((0, 2), got, strict=True):
        np.testing.assert_array_equal(x, picture(i))
    assert source.counts() == {"out": 2, "dropped": 1}


def test_the_first_picture_of_a_folder_may_be_the_broken_one(tmp_path):
    (tmp_path / "0.png").write_text("not a picture")
    Image.fromarray(picture(1, (8, 8))).save(tmp_path / "1.png")
    Image.fromarray(picture(2)).save(tmp_path / "2.gif")
    source = diffsem.image_source(str(tmp_path), 0, 0)
    assert [said["name"] for said, _ in emitted(source, 1)] == ["2"] and source.counts() == {"out": 1, "dropped": 2}
    (tmp_path / "2.gif").unlink()
    with pytest.raises(ValueError, match="path: .*none of its 2 pictures can be read, the first because: .*0.png"):
        diffsem.image_source(str(tmp_path), 0, 0)


def test_pictures_repeat_at_their_pace(tmp_path):
    Image.fromarray(picture(1, (40, 80))).save(tmp_path / "a.png")
    begin = time.monotonic()
    got = emitted(diffsem.image_source(str(tmp_path / "a.png"), 40, 20.0, True), 5)
    assert len(got) >= 5 and time.monotonic() - begin >= 4 / 20
    assert all(x.shape == (20, 40, 3) for _, x in got)


def test_alpha_sixteen_bits_and_grey(tmp_path):
    alpha = np.zeros((20, 20, 4), np.uint8)
    alpha[:, 10:] = (10, 20, 30, 255)
    Image.fromarray(alpha).save(tmp_path / "a.png")
    Image.fromarray(np.full((20, 20), 0x8140, np.uint16)).save(tmp_path / "b.png")
    Image.fromarray(np.full((20, 20), 77, np.uint8)).save(tmp_path / "c.png")
    a, b, c = (x for _, x in emitted(diffsem.image_source(str(tmp_path), 0, 0), 3))
    assert (a[:, :10] == 255).all() and (a[:, 10:] == (10, 20, 30)).all()
    assert (b == 0x81).all() and (c == 77).all()


def test_bad_files_and_parameters_are_named(tmp_path, monkeypatch):
    (tmp_path / "text.png").write_text("x")
    Image.fromarray(picture(1, (1, 1))).save(tmp_path / "one.png")
    Image.fromarray(picture(1)).save(tmp_path / "good.png")
    good = str(tmp_path / "good.png")
    for arguments, words in [
        ((str(tmp_path / "none"),), "path: .*no such f"),
        ((str(tmp_path / "text.png"),), "path: .*not a picture"),
        ((str(tmp_path / "one.png"),), "1 x 1 pixels; a photograph needs 16"),
        ((good, 3), "max_side is 3"),
        ((good, 0, -1.0), "rate is -1"),
        ((good, 0, 0, True), "rate is 0 with repeat"),
    ]:
        with pytest.raises(ValueError, match=words):
            diffsem.image_source(*arguments)
    monkeypatch.setattr("gr_diffsem.base.picture_files.MOST", 100)
    with pytest.raises(ValueError, match="scale it down first"):
        diffsem.image_source(good)


def test_the_sink_writes_counts_and_stays_bounded(tmp_path):
    (tmp_path / "0006_1.png").write_text("mine")
    sink = diffsem.image_sink(str(tmp_path), 2)
    for i in range(3):
        content = to_content(picture(i), i, "p")
        about = pmt.dict_add(pmt.car(content), pmt.intern("snr_db"), pmt.from_double(4.5 if i else float("nan")))
        sink.take(pmt.cons(about, pmt.cdr(content)))
    sink.take(pmt.intern("nonsense"))
    sink.take(pmt.cons(pmt.to_pmt({"id": 1}), pmt.init_u8vector(3, [1, 2, 3])))
    assert sorted(p.name for p in tmp_path.glob("*.png")) == ["0006_1.png", "0008_1.png", "0009_2.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "0009_2.png")), picture(2))
    said = json.loads((tmp_path / "0009_2.json").read_text())
    assert said["snr_db"] == 4.5 and said["shape"] == [24, 32]
    assert sink.counts() == {"in": 5, "out": 3, "partial": 0, "dropped": 2}
    with pytest.raises(ValueError, match="keep is 0"):
        diffsem.image_sink(str(tmp_path), 0)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="folder is"):
        diffsem.image_sink(str(tmp_path / "file" / "b"))


def test_no_window_system_is_loaded():
    import subprocess
    import sys

    code = "import sys; from gnuradio import diffsem; print('PyQt5' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr

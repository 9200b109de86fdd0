# SPDX-License-Identifier: GPL-3.0-or-later
"""Received photographs in a window: what is drawn is what came, and nothing is lost uncounted."""

import os
import subprocess
import sys

import numpy as np
import pmt
import pytest
from gnuradio import diffsem
from gnuradio.diffsem.image_source import to_content

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
QtWidgets = pytest.importorskip("PyQt5.QtWidgets")


@pytest.fixture(scope="module")
def app():
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication(["test"])


def picture(value, shape=(20, 30)):
    out = np.full((*shape, 3), value, np.uint8)
    out[:, : shape[1] // 2, 0] = 255 - value
    return out


def test_the_newest_picture_of_each_port_is_drawn(app):
    view = diffsem.image_view(["left", "right"])
    widget = view.widget()
    widget.resize(400, 300)
    widget.show()
    for panel, value in ((0, 10), (1, 20), (1, 200)):
        view.take(panel, to_content(picture(value), 0, "a"))
    view.take(0, pmt.intern("no picture"))
    widget.look()
    assert view.counts() == {"in": 4, "drawn": 2, "dropped": 1}
    assert np.array_equal(view.latest[1][0], picture(200))
    shown = widget.panels[1].canvas.pixmap().toImage()
    left, right = shown.pixelColor(1, shown.height() // 2), shown.pixelColor(shown.width() - 2, shown.height() // 2)
    assert (left.red(), left.green()) == (55, 200) and (right.red(), right.blue()) == (200, 200)
    assert abs(shown.width() / shown.height() - 1.5) < 0.05, "shape kept"
    before = shown.width()
    widget.resize(800, 600)
    app.processEvents()
    assert widget.panels[1].canvas.pixmap().width() > before, "grows with the window"
    widget.close()


def test_a_map_of_uncertainty_stands_beside_its_picture(app):
    """To the right of a high picture, below a wide one; a map of another size is left out."""
    view = diffsem.image_view(["mine"])
    for shape, number, shown in (((20, 16), 320, (20, 32)), ((20, 40), 800, (40, 40)), ((20, 16), 30, (20, 16))):
        message = to_content(picture(7, shape), 0, "a")
        said = pmt.dict_add(pmt.car(message), pmt.intern("deviation"), pmt.init_u8vector(number, [9] * number))
        view.take(0, pmt.cons(said, pmt.cdr(message)))
        assert view.fresh()[0][0].shape == (*shown, 3)
    assert np.array_equal(view.latest[0][0], picture(7, (20, 16)))


def test_caption_says_what_is_known(app, tmp_path):
    from PIL import Image

    sent = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    Image.fromarray(sent).save(tmp_path / "sent.png")
    view = diffsem.image_view(["mine"], str(tmp_path / "sent.png"))
    said = {"snr_db": 4.24, "frames": 3, "frames_lost": 1, "evaluations": 1}
    text = view.caption(0, (sent // 2) * 2, said)
    expected = 10 * np.log10(255**2 / np.mean((sent % 2).astype(float)))
    assert f"mine   {expected:.2f} dB PSNR" in text and "4.2 dB SNR, 3 of 4 frames, 1 evaluation" in text
    assert "PSNR" not in view.caption(0, picture(1), {})


@pytest.mark.parametrize(
    ("arguments", "message"), [(([],), "labels has 0"), ((["a"] * 9,), "1 to 8"), ((["a"], "/none.png"), "reference: ")]
)
def test_bad_parameters_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        diffsem.image_view(*arguments)


def test_qt_comes_with_the_widget_only():
    code = "import sys; from gnuradio import diffsem; diffsem.image_view(); print('PyQt5' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip().endswith("False"), done.stdout + done.stderr
    code = "from gnuradio import diffsem; diffsem.image_view().widget()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "make a QApplication" in done.stderr


def test_qt_outlives_its_windows():
    """Whoever made the QApplication may forget it; a second one beside the first one's widgets ended the process."""
    code = (
        "import gc; from gr_diffsem.apps.window import Window; from PyQt5 import QtWidgets;"
        "w = Window('a'); w.process(); w.close(); del w; gc.collect();"
        "print('still there' if QtWidgets.QApplication.instance() else 'gone')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.strip().endswith("still there")

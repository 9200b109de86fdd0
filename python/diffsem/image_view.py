# SPDX-License-Identifier: GPL-3.0-or-later
"""Received photographs, and frames of moving pictures, side by side in a window, as they arrive."""

import threading

import numpy as np
import pmt
from gnuradio import gr

from .image_sink import deviation_of, from_content

FRESH = 50  # milliseconds between two looks at what came
PIXELS = 4  # enlarged by so much, a picture is one of a few pixels, and these are shown as they are
_applications = set()  # Qt's one: were it deleted before its widgets, they would take the process with them


class image_view(gr.basic_block):
    """PDUs of content in (ports ``content0``, ``content1``, ... of ``labels``), the newest of each on its panel;
    previews of a semantic_decoder too, so that a picture fills in.

    labels: a caption for every panel. The caption says scheme, SNR, frames and evaluations beside it; with
    ``reference`` (path of the picture that is sent) PSNR too, where sizes agree. max_side: of the reference, as the
    image_source has it. Where a picture comes with a map of its uncertainty, it is shown beside it, the brighter the
    less is known.

    ``widget()`` is a PyQt5 widget for a layout, made on the first call and on Qt's thread. Messages are kept by the
    flowgraph's thread and drawn by a timer of Qt's: neither waits for the other, and a picture that is overtaken by a
    newer one is not drawn.

    Port ``stats``: ``in``, ``drawn``, ``dropped`` (no photograph). Raises ValueError naming the parameter, its value
    and the remedy.
    """

    def __init__(self, labels=("received",), reference="", max_side=512):
        gr.basic_block.__init__(self, name="image_view", in_sig=None, out_sig=None)
        self._labels = [str(label) for label in labels]
        if not 1 <= len(self._labels) <= 8:
            raise ValueError(f"labels has {len(self._labels)} captions: give 1 to 8, one for each panel")
        self._reference = load_reference(reference, max_side) if reference else None
        self._lock = threading.Lock()
        self._fresh = {}
        self._counts = dict.fromkeys(("in", "drawn", "dropped"), 0)
        self._widget = None
        self.latest = {}  #: panel: (uint8 [H, W, 3], dictionary), as drawn
        self.message_port_register_out(pmt.intern("stats"))
        for panel in range(len(self._labels)):
            port = pmt.intern(f"content{panel}")
            self.message_port_register_in(port)
            self.set_msg_handler(port, self._handler(panel))

    def _handler(self, panel):
        """GNU Radio looks a handler up by its name."""

        def handler(message):
            self.take(panel, message)

        handler.__name__ = f"take_content{panel}"
        setattr(self, handler.__name__, handler)
        return handler

    def counts(self):
        """What the port ``stats`` says."""
        with self._lock:
            return dict(self._counts)

    def take(self, panel, message):
        """Keep a PDU of content for a panel, as if it had come in at its port."""
        try:
            shown = from_content(message, ("photograph", "video"))
            deviation = deviation_of(message)
            if deviation is not None:
                shown = beside(shown[0], deviation), shown[1]
        except Exception:  # whatever it is, the block lives on
            shown = None
        with self._lock:
            self._counts["in"] += 1
            if shown is None:
                self._counts["dropped"] += 1
            else:
                self._fresh[panel] = shown
        self.message_port_pub(pmt.intern("stats"), pmt.to_pmt({**self.counts(), "block": self.alias()}))

    def fresh(self):
        """What came since the last call: {panel: (picture, dictionary)}."""
        with self._lock:
            fresh, self._fresh = self._fresh, {}
            self._counts["drawn"] += len(fresh)
        self.latest.update(fresh)
        return fresh

    def caption(self, panel, picture, said):
        """Two lines below a picture."""
        from gr_diffsem.base import picture_metrics

        words = [f"{said['snr_db']:.1f} dB SNR"] if said.get("snr_db") is not None else []
        if "frames" in said:
            total = said["frames"] + said.get("frames_lost", 0)
            words.append(f"{said['frames']} of {total} frames" + (" so far" if said.get("partial") else ""))
        if said.get("evaluations"):
            words.append(f"{said['evaluations']} evaluation{'s' if said['evaluations'] > 1 else ''}")
        h, w = said.get("shape", picture.shape[:2])
        known = self._reference is not None and self._reference.shape == (h, w, 3)
        quality = f"   {picture_metrics.psnr(self._reference, picture[:h, :w]):.2f} dB PSNR" if known else ""
        if said.get("expected_psnr") is not None:
            quality += f"   {said['expected_psnr']:.1f} dB expected"
        return f"{self._labels[panel]}{quality}\n{', '.join(words)}"

    def widget(self):
        """The QWidget; ImportError naming the package where PyQt5 is missing."""
        if self._widget is None:
            self._widget = make_widget(self)
        return self._widget


def beside(picture, deviation):
    """A picture and its map [H, W] in one, the map to the right: wide pictures have it below."""
    grey = np.repeat(deviation[..., None], 3, 2)
    return np.concatenate((picture, grey), 1 if picture.shape[1] <= 1.2 * picture.shape[0] else 0)


def load_reference(path, max_side):
    from gr_diffsem.base import picture_files
    from gr_diffsem.base.errors import UserError

    try:
        return next(iter(picture_files.folder(path, max_side or None, 1).values()))
    except UserError as e:
        raise ValueError(f"reference: {e}") from None


def make_widget(view):
    """The widget of an image_view; PyQt5 is needed from here on only."""
    try:
        from PyQt5 import QtCore, QtGui, QtWidgets
    except ImportError:
        raise ImportError("image_view needs PyQt5: apt install python3-pyqt5, or use an Image Sink") from None
    if QtWidgets.QApplication.instance() is None:
        raise RuntimeError("image_view: make a QApplication before its widget; GRC's Qt flowgraphs do")
    _applications.add(QtWidgets.QApplication.instance())

    class Panel(QtWidgets.QWidget):
        """One picture, as large as fits, and its caption."""

        def __init__(self, text):
            super().__init__()
            self.picture = None
            self.text = QtWidgets.QLabel(text + "\nnothing yet")
            self.text.setAlignment(QtCore.Qt.AlignHCenter)
            self.canvas = QtWidgets.QLabel()
            self.canvas.setAlignment(QtCore.Qt.AlignCenter)
            self.canvas.setMinimumSize(160, 120)
            self.canvas.setSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Ignored)
            column = QtWidgets.QVBoxLayout(self)
            column.setContentsMargins(2, 2, 2, 2)
            column.addWidget(self.canvas, 1)
            column.addWidget(self.text)

        def show_picture(self, picture, text):
            h, w, _ = picture.shape
            image = QtGui.QImage(picture.tobytes(), w, h, 3 * w, QtGui.QImage.Format_RGB888)
            self.picture = QtGui.QPixmap.fromImage(image)  # a copy: the octets may go
            self.text.setText(text)
            self.fit()

        def fit(self):
            if self.picture is not None:
                size = self.canvas.size()
                larger = min(size.width() / self.picture.width(), size.height() / self.picture.height())
                how = QtCore.Qt.SmoothTransformation if larger < PIXELS else QtCore.Qt.FastTransformation
                self.canvas.setPixmap(self.picture.scaled(size, QtCore.Qt.KeepAspectRatio, how))

        def resizeEvent(self, event):
            super().resizeEvent(event)
            self.fit()

    class View(QtWidgets.QWidget):
        def __init__(self):
            super().__init__()
            row = QtWidgets.QHBoxLayout(self)
            row.setContentsMargins(0, 0, 0, 0)
            self.panels = [Panel(label) for label in view._labels]
            for panel in self.panels:
                row.addWidget(panel, 1)
            self.timer = QtCore.QTimer(self)
            self.timer.timeout.connect(self.look)
            self.timer.start(FRESH)

        def look(self):
            for panel, (picture, said) in view.fresh().items():
                self.panels[panel].show_picture(picture, view.caption(panel, picture, said))

    return View()

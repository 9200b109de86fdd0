# SPDX-License-Identifier: GPL-3.0-or-later
"""The window of `gr-diffsem receive --view`: the newest picture, and previews while it comes."""

import subprocess
import sys

from ..base.errors import UserError

PREVIEW = 0.5  #: least seconds between two previews
SIZE = (900, 760)
_TRIAL = "from PyQt5 import QtWidgets; QtWidgets.QApplication([])"


class Window:
    """Made and processed in the main thread; take() may be called in any. UserError says what is missing."""

    def __init__(self, title):
        _check()
        from gnuradio import diffsem
        from PyQt5 import QtWidgets

        self._app = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["gr-diffsem"])
        self.view = diffsem.image_view(["received"])
        self._widget = self.view.widget()
        self._widget.setWindowTitle(title)
        self._widget.resize(*SIZE)
        self._widget.show()

    @property
    def open(self):
        """False once somebody has closed it."""
        return self._widget.isVisible()

    def take(self, message):
        """A PDU of content, as a semantic_decoder gives it."""
        self.view.take(0, message)

    def process(self):
        """Draw what came, and see to clicks and keys."""
        self._app.processEvents()

    def stay(self, stop):
        """Until it is closed or `stop` (an Event) is set; where there is no screen nobody could, so not at all."""
        self._widget.look()
        try:
            while self.open and self._app.platformName() not in ("offscreen", "minimal") and not stop.wait(0.02):
                self.process()
        except KeyboardInterrupt:
            self.close()

    def close(self):
        """As somebody would."""
        self._widget.close()


def _check():
    """Qt ends the whole process where it cannot have a window, so another one tries first."""
    done = subprocess.run([sys.executable, "-c", _TRIAL], capture_output=True, text=True, timeout=60, check=False)
    if not done.returncode:
        return
    if "ModuleNotFoundError" in done.stderr:
        raise UserError("--view needs PyQt5: apt install python3-pyqt5, or leave --view out: --out has every picture")
    said = " ".join(done.stderr.split())[:120] or f"Qt ended with {done.returncode}"
    raise UserError(f"--view: no window can be opened ({said}): log in with a screen, or leave --view out")

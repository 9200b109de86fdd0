# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files of the example flowgraphs lie: in the checkout, or where they were installed."""

from ..base.errors import UserError
from . import environments


def path(name):
    """Absolute path of the file `name` beside the examples, as a string; UserError if there is none."""
    folders = [root / "examples" for root in (environments.checkout(), environments.share_dir()) if root]
    for folder in folders:
        if (folder / name).exists():
            return str(folder / name)
    raise UserError(f"there is no example file '{name}' in {', '.join(map(str, folders)) or 'any folder known'}")


def wifi_recording(packets=40, snr_db=18.0):
    """Path of a cf32 recording at 20 MS/s for wifi_capture.grc: $CAPTURE if set, else simulated packets
    (802.11a, 12 Mbit/s, QPSK; random channels), written once to the folder for temporary files."""
    import os
    import tempfile
    from pathlib import Path

    if os.environ.get("CAPTURE"):
        return os.environ["CAPTURE"]
    file = Path(tempfile.gettempdir()) / f"gr-diffsem-wifi-{packets}-{snr_db:g}-1.5.cf32"
    if not file.exists():
        import numpy as np

        from ..receivers.wifi import wifi_simulate

        conditions = wifi_simulate.Conditions(snr_db=snr_db, cfo_hz=31e3, delay_spread=1.5)
        sent = wifi_simulate.packet_list(packets, np.random.default_rng(3), rates=(12,), lengths=(138,))
        samples, _ = wifi_simulate.recording(sent, conditions, seed=3)
        part = file.with_suffix(f".{os.getpid()}")
        wifi_simulate.write(part, samples, "cf32")
        os.replace(part, file)  # another process may write the same
    return str(file)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs from one process to another over ZeroMQ, as the demo sends them: each comes, or that is said."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gnuradio.diffsem")

from gr_diffsem.apps import two_processes
from gr_diffsem.base import picture_files, picture_metrics
from gr_diffsem.base.errors import UserError

pytestmark = pytest.mark.timing


def test_photographs_cross_between_two_processes(tmp_path):
    sent = picture_files.bundled(160, 2)
    said = two_processes.run(sent, [20.0, 15.0], tmp_path, "1/4", "linear", "awgn")
    assert [(snr, name) for snr, name, _ in said] == [(snr, name) for snr in (20.0, 15.0) for name in sent]
    for snr, name, about in said:
        assert about["frames_lost"] == 0 and about["snr_db"] == pytest.approx(snr, abs=0.5)
        came = np.asarray(Image.open(tmp_path / "zmq" / f"{snr:g}" / f"{name}.png"))
        assert picture_metrics.psnr(sent[name], came) > 22
    assert "0 lost" in two_processes.table(said)


def test_a_process_that_fails_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gr-diffsem send failed: .*too few"):
        two_processes.run(picture_files.bundled(64, 2), [20.0], tmp_path, "1/1000", "linear", "awgn")

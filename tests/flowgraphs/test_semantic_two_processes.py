# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs from one process to another over ZeroMQ, as the demo sends them: each comes, or that is said."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gnuradio.diffsem")

from gr_diffsem.errors import UserError
from gr_diffsem.semantic import metrics, photographs, two_processes

pytestmark = pytest.mark.timing


def test_photographs_cross_between_two_processes(tmp_path):
    sent = photographs.bundled(160, 2)
    said = two_processes.run(sent, [20.0, 15.0], tmp_path, "1/4", "linear", "awgn")
    assert [(snr, name) for snr, name, _ in said] == [(snr, name) for snr in (20.0, 15.0) for name in sent]
    for snr, name, about in said:
        assert about["frames_lost"] == 0 and about["snr_db"] == pytest.approx(snr, abs=0.5)
        came = np.asarray(Image.open(tmp_path / "zmq" / f"{snr:g}" / f"{name}.png"))
        assert metrics.psnr(sent[name], came) > 22
    assert "0 lost" in two_processes.table(said)


def test_a_process_that_fails_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gr-diffsem send failed: .*too few"):
        two_processes.run(photographs.bundled(64, 2), [20.0], tmp_path, "1/1000", "linear", "awgn")

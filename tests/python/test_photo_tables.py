# SPDX-License-Identifier: GPL-3.0-or-later
"""bench/photo_tables.py: its commands are understood, and a step that was done is not done again."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from gr_diffsem.apps.cli import Parser
from gr_diffsem.eval import semantic_link

BENCH = Path(__file__).parents[2] / "bench" / "photo_tables.py"


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("photo_tables", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("quick", [False, True])
def test_every_command_is_understood(tables, tmp_path, quick):
    for name, (_, bsds, _) in tables.STEPS.items():
        parser = Parser()
        semantic_link.add_arguments(parser)
        args = parser.parse_args(tables.command(name, tmp_path, quick)[5:-1])
        assert [semantic_link.ratio(text) for text in args.cbr] in ([1 / 48], [1 / 6]) and bool(args.images) == bsds
        assert (
            set(args.methods) <= set(semantic_link.photo_trials.methods())
            and args.channel in semantic_link.photo_trials.CHANNELS
        )
        assert (args.count == 2 and args.max_side <= 384) or not quick


def test_what_was_measured_is_printed_and_not_measured_again(tables, tmp_path, monkeypatch, capsys):
    scores = {"psnr_db": [24.5], "ms_ssim": [0.8], "delivered": [1.0], "all_snr": {"psnr_db": 24.5, "psnr_p5_db": 20.0}}
    gain = {"psnr_db": [0.75], "ci95": [[0.5, 1.0]], "all_snr": 0.75, "all_snr_ci95": [0.5, 1.0], "p5_db": 0.25}
    report = {
        "snr_db": [10.0],
        "channel": "awgn",
        "images": 2,
        "realisations": 1,
        "chain": "symbols",
        "cpu_seconds": 9.0,
        "methods": {"linear": scores, "photo_mmse": {**scores, "over_linear": gain}},
    }
    (tmp_path / "loss_10.json").write_text(json.dumps(report))
    monkeypatch.setattr(tables, "DATA", tmp_path)
    monkeypatch.setattr(sys, "argv", ["photo_tables.py", "--only", "loss_10", "--out", str(tmp_path)])
    monkeypatch.setattr(tables.subprocess, "Popen", None)
    assert tables.main() == 0
    said = capsys.readouterr().out
    assert "| linear | 24.50 (0.800) |" in said and "| photo_mmse over linear | +0.75 [0.50, 1.00] |" in said
    assert "--images DIR --count 10" in said and str(tmp_path) not in said

# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be seen of a training: reports however short it is, and curves without a gap where it went on.

A step takes a second of a clock of the tests' own: how busy the machine is does not matter.
"""

import argparse
import itertools
import types

import pytest
from gr_diffsem.apps import train
from gr_diffsem.models import training

pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    seconds = itertools.count()
    monkeypatch.setattr(training, "time", types.SimpleNamespace(monotonic=lambda: float(next(seconds))))
    score = training.score
    monkeypatch.setattr(training, "score", lambda net, batch: score(net, few(batch)))


def few(batch):
    """Its first 20 items: how good the net is does not matter either."""
    return type(batch)(**{name: part[:20] for name, part in vars(batch).items()})


def trained(out, seconds, *words):
    """Steps after a training of so many steps and reports together."""
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    args = ["known_mixture", "--batch", "2", "--out", str(out), "--minutes", str(seconds / 60), *words]
    return train.run(parser.parse_args(args))["networks"][0]["steps"]


def points(out, tag="loss/mean"):
    """Steps of a curve as TensorBoard shows it: what was purged is not there."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(out / "diffusion" / "log"), size_guidance={"scalars": 0})
    log.Reload()
    return [point.step for point in log.Scalars(tag)]


def test_a_training_of_seconds_reports(tmp_path, capsys):
    steps = trained(tmp_path, 5)
    said = capsys.readouterr().out
    assert f"step {steps}, loss " in said and "NMSE in dB" in said
    assert points(tmp_path) == points(tmp_path, "all/nmse_plus_snr_db/10") == [steps]


def test_the_first_report_comes_early_and_more_follow(tmp_path, monkeypatch):
    def advance(self, batch):
        self.step += 1
        return 1.0, 1.0

    monkeypatch.setattr(training.Training, "_advance", advance)
    monkeypatch.setattr(training.Training, "draws", lambda self: types.SimpleNamespace(next=tuple, close=tuple))
    steps = trained(tmp_path, 600)
    seen = points(tmp_path)
    assert seen[0] <= 15 and seen[1] <= 60 and seen[-1] == steps
    assert max(b - a for a, b in itertools.pairwise(seen)) <= 122, "never less often than every two minutes"


def test_no_point_is_lost_when_a_training_goes_on(tmp_path):
    seen = []
    for seconds in (12, 24):
        steps = trained(tmp_path, seconds, *["--resume"] * bool(seen))
        now = points(tmp_path)
        assert now[: len(seen)] == seen and len(now) > len(seen) and now[-1] == steps
        seen = now


def test_what_a_kill_left_beyond_the_checkpoint_is_shown_once(tmp_path):
    """Killed behind a report and before its checkpoint: what is trained again replaces what was written."""
    first = trained(tmp_path, 5)
    checkpoint = tmp_path / "diffusion" / "checkpoint.pt"
    older = checkpoint.read_bytes()
    assert trained(tmp_path, 10, "--resume") > first
    checkpoint.write_bytes(older)
    last = trained(tmp_path, 12, "--resume")
    assert points(tmp_path) == [first, last]


def test_an_interrupted_training_keeps_its_last_points(tmp_path, monkeypatch, capsys):
    advance = training.Training._advance

    def interrupted(self, batch):
        if self.step == 5:
            raise KeyboardInterrupt
        return advance(self, batch)

    monkeypatch.setattr(training.Training, "_advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, 60)
    assert "step 5, loss " in capsys.readouterr().out
    assert points(tmp_path) == [5]
    assert training.load_checkpoint(tmp_path / "diffusion" / "checkpoint.pt")["step"] == 5


def test_one_that_has_had_its_time_says_so(tmp_path, capsys):
    steps = trained(tmp_path, 5)
    assert trained(tmp_path, 5, "--resume") == steps and points(tmp_path) == [steps]
    assert "give more with --minutes" in capsys.readouterr().out

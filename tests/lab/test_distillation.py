# SPDX-License-Identifier: GPL-3.0-or-later
"""Progressive distillation: the target is where two steps of DDIM end; what it refuses."""

import argparse

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gr_diffsem import schemes  # noqa: E402
from gr_diffsem.base.errors import UserError  # noqa: E402
from gr_diffsem.models import distillation  # noqa: E402


def arguments(**more):
    names = ("minutes", "batch", "rate", "images", "start", "resume", "workers")
    given = {**dict.fromkeys(names), "scheme": "ris_chanest", "seed": 1, "threads": 1, "device": "cpu", **more}
    return argparse.Namespace(**given)


@pytest.fixture
def started(tmp_path):
    """A distillation of 4 levels into 2, from the weights as they are built."""
    from gr_diffsem.models.pilot_gains import surface

    scheme = schemes.get("ris_chanest")
    torch.manual_seed(0)
    weights = surface().state_dict()
    torch.save({"scheme": scheme.name, "member": "diffusion", "average": weights}, tmp_path / "start.pt")
    args = arguments(start=str(tmp_path / "start.pt"), batch=8)
    return distillation.Distillation(scheme, "student4", scheme.networks()["student4"], args, tmp_path)


def test_levels():
    levels = distillation.geometric(30.0, 0.03, 4)
    np.testing.assert_allclose(levels[:-1], [30, 3, 0.3, 0.03])
    assert levels[-1] == 0


def test_state_and_measurement_by_their_precisions():
    one = torch.ones(1, 2, 1, 1)
    u, deviation = distillation.combined(3 * one, torch.full((1, 1, 1, 1), 2.0), 1 * one, torch.ones(1, 1, 1, 1))
    torch.testing.assert_close(u, (3 / 4 + 1) / (1 / 4 + 1) * one)
    assert abs(float(deviation) - (1 / 4 + 1) ** -0.5) < 1e-6


def test_a_perfect_teacher_of_one_answer_is_met_at_once(started):
    """Where the teacher's answer does not depend on the state, two of its steps are one of the same answer."""

    class Known(torch.nn.Module):
        def forward(self, u, seen, *told):
            return torch.full_like(u, 0.25), torch.zeros_like(seen)

    started.teacher = started.net = Known()
    started.elapsed, started.seconds = 0.0, 1.0
    fit, _ = started.loss(*started.draw(np.random.default_rng(1)))
    assert float(fit) < 1e-6


def test_levels_halve_with_time(started):
    started.seconds = 3.0
    counts = []
    for started.elapsed in (0.0, 1.0, 2.0):
        started._advance(started.draw(np.random.default_rng(1)))
        counts.append(len(started.levels) - 1)
    assert counts == [32, 16, 8] and "to 4 levels" in started.facts()["distilled"]


def test_it_wants_a_teacher(tmp_path):
    scheme = schemes.get("ris_chanest")
    for more, words in (({}, "--start"), ({"resume": True, "start": "x.pt"}, "--resume")):
        with pytest.raises(UserError, match=words):
            distillation.Distillation(scheme, "student4", scheme.networks()["student4"], arguments(**more), tmp_path)

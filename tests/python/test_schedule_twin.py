# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules, spacings, ends and the samplers' own keys: the core against its NumPy twin, through scheme strings."""

import json
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.base import signal
from gr_diffsem.reference import plans, scheme

DATA = Path(__file__).resolve().parents[1] / "data"
TOY, IMPORTED = DATA / "goldens" / "toy", DATA / "imported"
OF_FILE = {"type": "linear_vp", "steps": 1000, "beta_min": 1e-4, "beta_max": 0.02}

#: Plans of the imported package, whose file states OF_FILE; its member says spacing leading, 50 steps.
PLANS = [
    {"type": "schedule", "steps": 7, "spacing": "even"},
    {"type": "schedule", "steps": 7, "spacing": "leading", "steps_offset": 3},
    {"type": "schedule", "steps": 7, "spacing": "trailing"},
    {"type": "schedule", "steps": 7, "spacing": "linspace"},
    {"type": "schedule", "steps": 7, "spacing": "linspace", "drop_last": True},
    {"type": "schedule", "steps": 7, "spacing": "leading", "drop_last": True, "sigma_min": 0.3, "sigma_max": 60},
    {"type": "linear_vp", "steps": 9},
    {"type": "linear_vp", "steps": 9, "beta_max": 0.05, "spacing": "trailing"},
    {"type": "linear_vp", "steps_train": 30, "beta_min": 0.01, "beta_max": 0.3, "steps": 5},
    {"type": "scaled_linear", "steps": 6, "beta_min": 0.00085, "beta_max": 0.012, "end": 0.005},
    {"type": "cosine", "steps": 6, "steps_train": 50, "spacing": "trailing"},
    {"type": "alphas_cumprod", "alphas_cumprod": [0.99, 0.9, 0.5, 0.1], "steps": 3},
    {"type": "list", "sigmas": [40, 3, 0.2], "end": 0.1},
    {"type": "list", "timesteps": [900, 301.5, 0]},
    {"type": "karras", "steps": 4, "sigma_max": 80, "sigma_min": 0.02, "end": 0.01},
]


@pytest.fixture(scope="module")
def diffsem():
    pytest.importorskip("gnuradio", reason="GNU Radio is not in this environment")
    return pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")


def text(keys):
    """Keys as a scheme string has them."""

    def value(v):
        if isinstance(v, list):
            return ";".join(map(str, v))
        return str(v).lower() if isinstance(v, bool) else str(v)

    return ",".join(f"{'plan' if key == 'type' else key}={value(v)}" for key, v in keys.items())


@pytest.mark.parametrize("plan", PLANS, ids=text)
def test_levels(diffsem, plan):
    # Of another type the member's own keys are gone, of its own they stay.
    whole = {"spacing": "leading", **plan} if plan["type"] == "schedule" else plan
    expected = plans.Plan(whole, OF_FILE)
    got = diffsem.scheme(f"{IMPORTED}:{text(plan)}").info()
    np.testing.assert_allclose(got["levels"], expected.levels(expected.sigma_max), rtol=2e-6)
    assert got["steps"] == expected.steps


SAMPLERS = [
    "sampler=ddim,clip=0.4,steps=6",
    "sampler=ddim,clip=0.4,eta=0.7,steps=6",
    "sampler=ddpm,large_variance=1,steps=6",
    "sampler=ddpm,steps=6,plan=scaled_linear,spacing=trailing,end=0.02",
    "sampler=heun,steps=5,end=0.005",
    "sampler=dpmpp_2m,plan=list,sigmas=20;4;1;0.3;0.05,end=0.03",
]


@pytest.mark.parametrize("keys", SAMPLERS)
@pytest.mark.parametrize("start", ["noise", "noise,full_power=true", "matched"])
def test_samples(diffsem, keys, start):
    """The same noise, so that draws are equal too."""
    prior = scheme.load_prior(json.loads((TOY / "manifest.json").read_text())["members"]["gmm"]["prior"], TOY)
    rng = np.random.default_rng(5)
    y = (prior.draw(rng, 3) + signal.complex_noise(rng, (3, 8), 0.2)).astype(np.complex64)
    said = dict(part.split("=") for part in f"start={start},{keys}".split(","))
    member = {"start": {"type": said.pop("start")}, "sampler": {"type": said.pop("sampler")}}
    member["plan"] = {"type": said.pop("plan", "geometric")}
    member["start"] |= {key: True for key in ("full_power",) if said.pop(key, None)}
    member["sampler"] |= {key: float(said.pop(key)) for key in ("clip", "eta", "large_variance") if key in said}
    for key, value in said.items():
        member["plan"][key] = (
            [float(v) for v in value.split(";")] if key == "sigmas" else value if key == "spacing" else float(value)
        )
    handle = diffsem.scheme(f"{TOY}/gmm:start={start},{keys},guard=off")
    mean, _, info = handle.estimate(y, 0.2, seed=7)
    expected = scheme.estimate(prior, y, 0.2, member, seed=7)
    np.testing.assert_allclose(mean, expected[0], atol=2e-4)
    if "heun" not in keys:  # whose last step above 0 takes two evaluations as well
        assert list(info["steps"]) == list(expected[2])


def test_a_last_step_above_zero_costs_heun_two(diffsem):
    y = np.ones((1, 8), np.complex64)
    for end, evaluations in ((0, 9), (0.005, 10)):
        handle = diffsem.scheme(f"{TOY}/gmm:start=noise,sampler=heun,steps=5,end={end}")
        assert list(handle.estimate(y, 0.2)[2]["steps"]) == [evaluations]


def test_the_state_of_the_process_at_the_end(diffsem):
    y = np.ones((1, 8), np.complex64)
    keys = f"{TOY}/gmm:start=noise,sampler=ddim,steps=5,sigma_min=0.9,end=0.8,guard=off"
    plain, scaled = (diffsem.scheme(keys + more).estimate(y, 0.2)[0] for more in ("", ",vp_end=true"))
    np.testing.assert_allclose(scaled, plain / np.sqrt(1 + 0.8**2), rtol=1e-5)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The C++ core against its NumPy twin, through the bindings; and the goldens against both."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.base import errors, philox, signal
from gr_diffsem.eval import scheme_runner
from gr_diffsem.reference import parametrisation, plans, posterior, priors, scheme, unknowns
from gr_diffsem.reference.operators import OPERATORS
from gr_diffsem.reference.samplers import SAMPLERS

GOLDENS = Path(__file__).resolve().parents[1] / "data" / "goldens"
TOY = GOLDENS / "toy"
CASES = json.loads((GOLDENS / "goldens.json").read_text())["cases"]


@pytest.fixture(scope="module")
def diffsem():
    pytest.importorskip("gnuradio", reason="GNU Radio is not in this environment")
    return pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")


def golden(case, name):
    """Array of a case, [items, rows or elements]."""
    flat = np.load(GOLDENS / f"{name}.npy", mmap_mode="r")
    columns = {"y": case["rows"], "noise_var": case["noise_stride"]}.get(name, 8)
    first = case["at"][name]
    return np.array(flat[first : first + case["items"] * columns]).reshape(case["items"], columns)


def run_core(diffsem, case, y, noise_var, **more):
    noise_var = noise_var[:, 0] if case["noise_stride"] == 1 else noise_var
    observed = np.array(case["observed"], bool) if case["observed"] else None
    return diffsem.scheme(f"{TOY}/{case['spec']}").estimate(
        y, noise_var, observed=observed, seed=case["seed"], stream=case["stream"], first=case["first"], **more
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_core_gives_the_goldens(diffsem, case):
    mean, variance, info = run_core(diffsem, case, golden(case, "y"), golden(case, "noise_var"))
    assert not np.any(info["bypassed"]), info["reason"]
    np.testing.assert_allclose(mean, golden(case, "mean"), atol=case["tolerance"], rtol=2e-5)
    np.testing.assert_allclose(variance, golden(case, "variance"), atol=case["tolerance"], rtol=1e-4)
    assert list(info["steps"]) == case["steps"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_batch_and_chunks_do_not_matter(diffsem, case):
    y, noise_var = golden(case, "y"), golden(case, "noise_var")
    whole = run_core(diffsem, case, y, noise_var)[0]
    chunked = run_core(diffsem, case, y, noise_var, max_batch=2)[0]
    late = run_core(diffsem, {**case, "first": case["first"] + 3}, y[3:], noise_var[3:])[0]
    np.testing.assert_allclose(chunked, whole, atol=3e-6, rtol=3e-6)
    np.testing.assert_allclose(late, whole[3:], atol=3e-6, rtol=3e-6)


def test_goldens_are_what_the_twin_says(tmp_path, monkeypatch):
    """The generator, run again, changes nothing beyond rounding."""
    path = GOLDENS.parent / "make_goldens.py"
    spec = importlib.util.spec_from_file_location("make_goldens", path)
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    monkeypatch.setattr(generator, "FOLDER", tmp_path)
    generator.main()
    assert json.loads((tmp_path / "goldens.json").read_text())["cases"] == CASES
    for name in ("y", "noise_var", "mean", "variance", "philox"):
        again, kept = np.load(tmp_path / f"{name}.npy"), np.load(GOLDENS / f"{name}.npy")
        np.testing.assert_allclose(again, kept, atol=1e-5, rtol=1e-5)


def test_registries_hold_the_same_names(diffsem):
    registered = diffsem.core.nouns()
    twin = {
        "prior": scheme.PRIORS,
        "operator": OPERATORS,
        "start": scheme.STARTS,
        "guidance": posterior.GUIDANCES,
        "sampler": SAMPLERS,
        "plan": [*plans.PLANS, *plans.GIVEN, *plans.MEASURED],
        "bilinear operator": unknowns.BILINEAR,
        "driver": unknowns.DRIVERS,
    }
    assert list(registered) == list(twin)
    for noun, entries in registered.items():
        assert sorted(e["name"] for e in entries) == sorted(twin[noun]), noun
        for entry in entries:
            assert entry["documentation"].endswith(".") and all(entry["keys"].values()), entry["name"]


def test_noise(diffsem):
    for item, step, seed, stream in [(0, 0, 0, 0), (7, 3, 2**63 + 11, 5), (2**33 + 1, 9, 4, 2)]:
        for complex_domain, make in ((True, philox.complex_normals), (False, philox.normals)):
            got = diffsem.core.normal(11, item, step, seed, stream, complex_domain)
            np.testing.assert_allclose(got, make(11, step, [item], seed, stream)[0], atol=3e-7, rtol=3e-7)
    words = diffsem.core.philox_words([1, 2, 3, 4], 5, 6)
    assert list(words) == [int(word) for word in philox.philox4x32((1, 2, 3, 4), (5, 6))]


def test_signal_convention(diffsem):
    core, db = diffsem.core, np.array([-20.0, 0.0, 13.0])
    sigma = signal.snr_db_to_sigma(db)
    np.testing.assert_allclose(core.sigma_from_db(db), sigma)
    np.testing.assert_allclose(core.alpha_bar_from_sigma(sigma), signal.sigma_to_alpha_bar(sigma))
    np.testing.assert_allclose(core.vp_scale(sigma), parametrisation.input_scale(sigma, "vp"))
    np.testing.assert_allclose(core.flow_scale(sigma), parametrisation.input_scale(sigma, "flow"))
    np.testing.assert_allclose(core.flow_time_from_sigma(sigma), parametrisation.sigma_to_flow_time(sigma))
    np.testing.assert_allclose(core.sigma_from_alpha_bar(signal.sigma_to_alpha_bar(sigma)), sigma)


@pytest.mark.parametrize("snr_db", [-10, 0, 10])
def test_mean_squared_error_is_the_closed_form(diffsem, tmp_path, snr_db):
    """White Gaussian of unit power: sigma^2 / (1 + sigma^2), at 0 dB one half. 3 dB off fails."""
    np.save(tmp_path / "v.npy", np.ones(4, np.float32))
    digest = __import__("hashlib").sha256((tmp_path / "v.npy").read_bytes()).hexdigest()
    manifest = {
        "diffsem.contract": 1,
        "name": "white",
        "signal": {"domain": "complex", "shape": [4], "axes": ["element"], "gain": "unit"},
        "default": "lmmse",
        "members": {"lmmse": {"prior": {"type": "gaussian", "variance": "v.npy"}, "operator": {"type": "identity"}}},
        "files": {"v.npy": digest},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    rng = np.random.default_rng(1)
    sigma = float(signal.snr_db_to_sigma(snr_db))
    x = signal.complex_noise(rng, (20_000, 4))
    y = x + signal.complex_noise(rng, x.shape, sigma**2)
    one = diffsem.scheme(f"{tmp_path}/lmmse:guard=off")  # which would take one item of ten thousand
    mean, variance, _ = one.estimate(y.astype(np.complex64), np.float32(sigma**2))
    expected = sigma**2 / (1 + sigma**2)
    assert np.mean(np.abs(mean - x) ** 2) == pytest.approx(expected, rel=0.02)
    assert variance == pytest.approx(expected, rel=1e-4)


def test_gmm_is_within_a_hair_of_the_conditional_mean(diffsem):
    """Closed form in C++ against the twin over -10..30 dB, on data drawn from the mixture itself."""
    prior = scheme.load_prior(json.loads((TOY / "manifest.json").read_text())["members"]["gmm"]["prior"], TOY)
    assert isinstance(prior, priors.Mixture)
    rng = np.random.default_rng(4)
    x = prior.draw(rng, 500)
    for snr_db in range(-10, 31, 10):
        sigma = float(signal.snr_db_to_sigma(snr_db))
        y = (x + signal.complex_noise(rng, x.shape, sigma**2)).astype(np.complex64)
        mean = diffsem.scheme(f"{TOY}/gmm").estimate(y, np.float32(sigma**2))[0]
        assert parametrisation.nmse_db(mean, x) == pytest.approx(
            parametrisation.nmse_db(prior(y, sigma)[0], x), abs=1e-3
        )


@pytest.mark.parametrize(
    "spec, mask",
    [
        ("gmm", True),
        ("diagonal", False),
        ("matrix_gmm:start=noise", False),
        ("gmm:operator=matrix,start=noise", False),
        ("gmm:operator=quantiser,bits=3,step=0.5,start=noise,sampler=posterior_mean", False),
    ],
)
def test_block_and_core_say_the_same(diffsem, spec, mask):
    """The evaluation's two chains: arrays through the core, and a flowgraph through the block."""
    matrix = np.load(TOY / "matrix.npy") if "matrix" in spec else None
    observed = np.arange(8) % 3 != 1 if mask else None
    y = signal.complex_noise(np.random.default_rng(8), (150, 8 if matrix is None else len(matrix)))
    runs = [scheme_runner.estimate(f"{TOY}/{spec}", y, 0.1, observed, matrix, chain) for chain in scheme_runner.CHAINS]
    for core, block in zip(*runs, strict=True):
        assert (core is None) is (block is None)  # the variance, where the guidance states none
        if core is not None:
            np.testing.assert_allclose(core, block, atol=1e-5)


def test_wrong_scheme_is_a_sentence(diffsem):
    with pytest.raises(errors.UserError, match="gmm"):
        scheme_runner.estimate(f"{TOY}/gm", np.zeros((1, 8)), 0.1)
    with pytest.raises(errors.UserError, match="bypassed"):
        scheme_runner.estimate(f"{TOY}/gmm", np.full((1, 8), np.nan), 0.1)


def test_content_hash_and_packages(diffsem, monkeypatch):
    from gr_diffsem.base import model_packages

    assert diffsem.scheme(f"{TOY}/gmm").info()["content_hash"] == model_packages.content_hash(TOY)
    monkeypatch.setenv("DIFFSEM_MODELS", str(GOLDENS))
    assert dict(diffsem.core.find_packages())["toy"] == str(model_packages.find_packages()["toy"])
    both = dict(diffsem.core.find_packages()), model_packages.find_packages()
    assert {name: str(path) for name, path in both[1].items()} == both[0]


@pytest.mark.parametrize("start", scheme.STARTS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_and_plan_is_its_twin(diffsem, sampler, start):
    """Walks the tables: the same noise, so that draws are equal too. The guard minds coarse steps."""
    prior = scheme.load_prior(json.loads((TOY / "manifest.json").read_text())["members"]["gmm"]["prior"], TOY)
    rng = np.random.default_rng(11)
    y = (prior.draw(rng, 3) + signal.complex_noise(rng, (3, 8), 0.2)).astype(np.complex64)
    level = {"sigma_max": 0.7} if start in ("level", "renoise") else {"sigma_max": 20.0}
    for plan in plans.PLANS:
        member = {
            "start": {"type": start, **({"sigma": 0.7} if start in ("level", "renoise") else {})},
            "sampler": {"type": sampler},
            "plan": {"type": plan, "steps": 5, "sigma_min": 0.01, **level},
        }
        keys = ",".join(f"{k}={v}" for k, v in level.items())
        steps = "" if sampler == "one_step" else ",steps=5"
        handle = diffsem.scheme(f"{TOY}/gmm:start={start},sampler={sampler},plan={plan},{keys}{steps},guard=off")
        mean, variance, info = handle.estimate(y, 0.2, seed=7)
        expected = scheme.estimate(prior, y, 0.2, member, seed=7)
        np.testing.assert_allclose(mean, expected[0], atol=2e-4, err_msg=plan)
        np.testing.assert_allclose(variance, expected[1], atol=2e-4, err_msg=plan)
        assert list(info["steps"]) == list(expected[2])


@pytest.mark.parametrize("sampler", ["posterior_mean", "posterior_draw", "heun"])
@pytest.mark.parametrize("guidance", ["pigdm", "dps"])
@pytest.mark.parametrize("operator", ["matrix", "mask"])
def test_guidance_through_the_derivative_is_its_twin(diffsem, guidance, sampler, operator):
    """The core has J^H of a mixture in closed form, the twin takes differences: two routes to one C."""
    member = json.loads((TOY / "manifest.json").read_text())["members"]["gmm"]
    prior = scheme.load_prior(member["prior"], TOY)
    rng = np.random.default_rng(12)
    x = prior.draw(rng, 3)
    matrix = np.load(TOY / "matrix.npy") if operator == "matrix" else None
    observed = None if operator == "matrix" else np.arange(8) % 3 != 1
    clean = x if matrix is None else x @ matrix.T
    y = (clean + signal.complex_noise(rng, clean.shape, 0.05)).astype(np.complex64)
    for steps in (None, 2):
        choice = {"type": guidance, **({"guidance_steps": steps} if steps else {})}
        text = f"guidance={guidance}" + (f",guidance_steps={steps}" if steps else "")
        name = "gmm" if matrix is None else "matrix_gmm"
        plan = "plan=geometric,steps=6,sigma_max=20,sigma_min=0.05" + (",guard=off" if matrix is None else "")
        handle = diffsem.scheme(f"{TOY}/{name}:start=noise,{text},sampler={sampler},{plan}")
        mean, _, info = handle.estimate(y, 0.05, seed=7, matrix=matrix, observed=observed)
        expected = scheme.estimate(
            prior,
            y,
            0.05,
            {
                "start": {"type": "noise"},
                "guidance": choice,
                "sampler": {"type": sampler},
                "plan": {"type": "geometric", "steps": 6, "sigma_min": 0.05, "sigma_max": 20.0},
            },
            seed=7,
            matrix=matrix,
            observed=observed,
            size=8,
        )
        np.testing.assert_allclose(mean, expected[0], atol=1e-3)
        assert list(info["steps"]) == list(expected[2])

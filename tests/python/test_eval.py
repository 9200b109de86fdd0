# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluation: right numbers, right intervals, right form; and what it says of wrong input."""

import argparse
import json
import types
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem import schemes
from gr_diffsem.base import jsonio, signal
from gr_diffsem.eval import scheme_eval as evaluation
from gr_diffsem.eval import scheme_runner, scores
from gr_diffsem.reference import priors
from gr_diffsem.schemes import base

SIZE = 8
WHITE = priors.DiagonalGaussian(np.ones(SIZE))


def arguments(*argv):
    parser = argparse.ArgumentParser()
    evaluation.add_arguments(parser)
    return parser.parse_args(argv)


class Toy(base.Scheme):
    """White Gaussian signals: LMMSE has the NMSE sigma^2 / (1 + sigma^2) in closed form."""

    name, title = "toy", "white Gaussian"
    snr_definition = "signal power over noise power per complex element"
    snr_db = (0.0, 10.0)

    def test_data(self, count, seed):
        truth = signal.complex_noise(np.random.default_rng(seed), (count, SIZE))
        return base.TestData(truth, estimators={"genie": lambda y, noise: WHITE(y, np.sqrt(noise))[0]})

    def claims(self):
        return [
            base.Claim("error at 0 dB", "lmmse", 0.0, published=-3.0, gate=-2.8),
            base.Claim("excess over the closed form", "lmmse", 10.0, against="genie", gate=0.05),
            base.Claim("better than least squares", "lmmse", 0.0, against="ls", gate=-2.5),
            base.Claim("of a member that is not there", "nobody", 0.0),
        ]


class Large(Toy):
    name = "toy_large"


def stand_in(monkeypatch, *found):
    """These are the schemes, whatever is asked for."""
    monkeypatch.setattr(evaluation.schemes, "find", lambda what: list(found))


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """The toy scheme, its package, and the NumPy twin in place of the C++ core."""
    manifest = {"diffsem.contract": 1, "default": "lmmse", "members": {"lmmse": {}, "other": {}}}
    for name in ("toy", "toy_large"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setenv("DIFFSEM_MODELS", str(tmp_path))
    stand_in(monkeypatch, Toy())
    calls = []

    def estimate(spec, y, noise_var, observed=None, matrix=None, chain="core", seed=0):
        calls.append((spec, chain))
        if spec == "ls":
            return y, None, 0.0, 0.0
        return (*WHITE(y, np.sqrt(noise_var)), 1.0, 0.25)

    monkeypatch.setattr(scheme_runner, "estimate", estimate)
    return types.SimpleNamespace(calls=calls)


def test_report(toy):
    report = json.loads(jsonio.dumps(evaluation.run(arguments("toy", "--realisations", "4000"))))
    assert report["realisations"] == 4000 and report["scheme"] == "toy"
    assert report["nmse_db"]["ls"] == pytest.approx([0.0, -10.0], abs=0.1)
    assert report["nmse_db"]["lmmse"] == pytest.approx([-3.01, -10.41], abs=0.1)
    assert set(report["evaluations"]) == {"1", "3", "10", "30"}
    first, second, third, missing = report["claims"]
    assert set(first) >= {"name", "published", "gate", "ours", "ci95", "baselines", "evaluations", "macs"}
    low, high = first["ci95"]
    assert low < first["ours"] < high < low + 0.3
    assert first["published"] == -3.0 and first["holds"] and first["evaluations"] == 1
    assert first["baselines"]["ls"] == pytest.approx(0.0, abs=0.1)
    assert second["ours"] == pytest.approx(0.0, abs=1e-3)
    assert third["ours"] == pytest.approx(-3.01, abs=0.1)
    assert missing["ours"] is None and missing["ci95"] is None
    ratios = report["calibration"]["lmmse"]["ratios"]
    assert np.all(np.abs(np.array(ratios) - 1) < 0.1)
    assert "ls" not in report["guarded"]
    assert report["guarded"]["lmmse"] == pytest.approx([0.25, 0.25])
    assert "contradicted their measurement" in evaluation.table(report)
    assert "white" not in evaluation.table(report) and "holds" in evaluation.table(report)


def test_same_noise_for_everyone_and_seeds(toy):
    few = ("--realisations", "50", "--evaluations")
    one, again = (evaluation.run(arguments("toy", *few)) for _ in range(2))
    for report in (one, again):
        timed = [*report.pop("costs").values(), *report["claims"]]
        for entry in timed:  # times are never the same
            del entry["ms_per_item"]
    assert one == again
    other = evaluation.run(arguments("toy", *few, "--seed", "2"))
    assert one["nmse_db"] != other["nmse_db"] and one["evaluations"] == {}
    # adding an SNR does not change the noise of another
    more = evaluation.run(arguments("toy", *few, "--snr", "-5", "10"))
    assert more["nmse_db"]["lmmse"][1] == one["nmse_db"]["lmmse"][1]
    assert more["claims"][0]["ours"] is None  # 0 dB was not asked for


def test_chain_and_members_reach_the_runner(toy):
    evaluation.run(
        arguments("toy", "--realisations", "2", "--chain", "block", "--members", "lmmse", "--evaluations", "3")
    )
    specs = {spec.rsplit("/", 1)[-1] for spec, _ in toy.calls}
    assert specs == {"ls", "lmmse", "lmmse:sampler=posterior_mean,steps=3"}
    assert {chain for _, chain in toy.calls} == {"block"}


@pytest.mark.parametrize(
    "argv, words",
    [
        (("toy", "--realisations", "1"), "2 or more"),
        (("toy", "--members", "lmse"), "did you mean 'lmmse'"),
        (("toy", "--package", "tooy"), "did you mean 'toy'"),
    ],
)
def test_wrong_arguments(toy, argv, words):
    with pytest.raises(evaluation.UserError, match=words):
        evaluation.run(arguments(*argv))


def test_an_snr_that_is_off_is_put_right_under_the_prior():
    """Shipped model, C++ core: told 2 dB too little, the many steps over-smooth; one update of the noise mends it."""
    argv = ("mimo_chanest_64x1", "--realisations", "60", "--snr", "10", "--members", "diffusion", "--evaluations")
    report = evaluation.run(arguments(*argv, "--snr-error", "2"))
    adaptive = report["adaptive"]
    for rows in (adaptive, adaptive["updated"]):
        assert all(len(rows[name]) == 1 for name in ("genie", "below", "above", "random"))
    assert adaptive["evaluations"][0] == 15
    assert 0.4 < adaptive["loss_db"] < 1
    assert adaptive["updated"]["loss_db"] < 0.6 * adaptive["loss_db"]
    assert "most that is lost, noise_updates=1" in evaluation.table(report)


def test_masked_elements_do_not_count(toy, monkeypatch):
    observed = np.arange(SIZE) < 5
    data = Toy().test_data(200, 1)
    data.observed = observed
    y = evaluation.measure(data, np.ones(data.truth.shape))
    assert np.all(y[:, 5:] == 0) and np.all(y[:, :5] == data.truth[:, :5] + 1)
    assert list(evaluation.counted(data)) == list(observed)
    scheme = Toy()
    scheme.test_data = lambda count, seed: [data, Toy().test_data(100, 2)]
    stand_in(monkeypatch, scheme)
    report = evaluation.run(arguments("toy"))
    assert report["realisations"] == 300
    assert report["nmse_db"]["ls"] == pytest.approx([0.0, -10.0], abs=0.4)


def test_bootstrap_covers_the_truth():
    """Of 95 % intervals for a known mean, about 95 in 100 hold it."""
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(100):
        error = rng.exponential(0.1, 60)
        low, high = scores.bootstrap(scores.nmse_db, (error, np.ones(60)), resamples=300, seed=trial)
        hits += low < -10.0 < high
    assert 87 <= hits <= 99


def test_calibration_sees_a_wrong_variance():
    rng = np.random.default_rng(1)
    predicted = 10 ** rng.uniform(-3, 0, 20_000)
    actual = predicted * rng.exponential(1.0, predicted.shape)
    good = scores.calibration(predicted, actual)
    assert np.all(np.abs(np.array(good["ratios"]) - 1) < 0.12) and good["count"] == 20_000
    assert np.all(np.array(scores.calibration(2 * predicted, actual)["ratios"]) > 1.6)
    report = scores.variance_report([(predicted, actual, 0.0)])
    assert report["log_likelihood"] > report["log_likelihood_snr_table"] + 0.5
    nothing = scores.calibration(np.append(predicted, np.nan), np.append(actual, 1.0))
    assert nothing["count"] == 20_000


def test_a_published_number_stands_with_the_data_that_it_is_of(toy, monkeypatch):
    """Beside ours in the table, and in the JSON; also where a claim forgot to say."""
    scheme = Toy()
    scheme.claims = lambda: [
        base.Claim("one", "lmmse", 0.0, published=-3.0, published_on="their channels, not these"),
        base.Claim("two", "lmmse", 10.0, published=-9.0, published_on="their channels, not these", gate=1.0),
        base.Claim("three", "lmmse", 0.0, published=-2.0),
        base.Claim("four", "lmmse", 0.0, gate=-2.8),
    ]
    stand_in(monkeypatch, scheme)
    report = json.loads(jsonio.dumps(evaluation.run(arguments("toy", "--realisations", "50", "--evaluations"))))
    assert [c["published_on"] for c in report["claims"]] == [
        *["their channels, not these"] * 2,
        base.DATA_UNKNOWN,
        None,
    ]
    lines = evaluation.table(report).splitlines()
    rows = [line for line in lines if line.split()[:1] in (["-"], ["holds"], ["FAILS"])]
    assert [line.split()[-1] for line in rows] == ["(1)", "(1)", "(2)", "-"]
    assert "(1) measured on their channels, not these" in lines and f"(2) measured on {base.DATA_UNKNOWN}" in lines
    text = base.nmse_claim(vars(scheme.claims()[1]))
    assert text.endswith("at 10 dB at most 1.0 dB; published -9.0 dB, on their channels, not these")


def test_every_published_number_that_is_shipped_says_its_data():
    """In the schemes, the packages, and the tables of the pages."""
    root = Path(__file__).resolve().parents[2]
    claims = [c for scheme in schemes.shipped().values() for c in scheme.claims_json()]
    for manifest in root.glob("models/*/manifest.json"):
        claims += json.loads(manifest.read_text())["claims"]
    published = [c for c in claims if c.get("published") is not None]
    # mimo_chanest_16x64, mimo_pilot_posterior, joint_detection, ris_chanest, e2e_autoencoder: scheme and package
    twice = 14 + 3 + 2 + 4 + 6
    assert len(published) == 2 * twice + 6, "and those of rf_generator, which has no package"
    assert all(c["published_on"] for c in published)
    pages = [root / "README.md", *root.glob("docs/*.md"), *root.glob("bench/*.md"), *root.glob("models/*/README.md")]
    rows = [line for page in pages for line in page.read_text().splitlines() if line.startswith("| published")]
    assert len(rows) == 2 and all("data" in row.split("|")[1] for row in rows)


class TwoKinds(Toy):
    """Two kinds of signal; the second half as strong as the first. Each has its own estimator."""

    evaluations = ()

    def test_data(self, count, seed):
        x = signal.complex_noise(np.random.default_rng(seed), (count, SIZE))
        weak = priors.DiagonalGaussian(np.full(SIZE, 0.5))
        return [
            base.TestData(x, estimators={"genie": lambda y, noise: WHITE(y, np.sqrt(noise))[0]}, name="strong"),
            base.TestData(
                x * np.sqrt(0.5), estimators={"genie": lambda y, noise: weak(y, np.sqrt(noise))[0]}, name="weak"
            ),
        ]

    def claims(self):
        return [
            base.Claim("strong", "genie", 0.0, data="strong"),
            base.Claim("weak", "genie", 0.0, against="lmmse", data="weak"),
        ]


def test_named_parts_are_reported_apart(toy, monkeypatch):
    stand_in(monkeypatch, TwoKinds())
    report = evaluation.run(arguments("toy", "--realisations", "4000", "--snr", "0"))
    assert report["evaluations"] == {} and report["realisations"] == 8000
    assert report["parts"]["strong"]["genie"] == pytest.approx([-3.01], abs=0.1)
    assert report["parts"]["weak"]["genie"] == pytest.approx([-1.76], abs=0.1)
    strong, weak = report["claims"]
    assert strong["ours"] == pytest.approx(-3.01, abs=0.1)
    assert weak["ours"] < 0 and weak["baselines"]["ls"] == pytest.approx(3.01, abs=0.1)
    assert "weak:" in evaluation.table(report)


def test_a_name_of_several_sizes(toy, monkeypatch):
    """Every size is evaluated, the claims stand together."""
    stand_in(monkeypatch, Toy(), Large())
    few = ("--realisations", "50", "--evaluations")
    report = json.loads(jsonio.dumps(evaluation.run(arguments("toys", *few))))
    assert set(report["sizes"]) == {"toy", "toy_large"} and len(report["claims"]) == 8
    assert report["scheme"] == "toys" and report["sizes"]["toy_large"]["scheme"] == "toy_large"
    assert "toy_large:" in evaluation.table(report)
    with pytest.raises(evaluation.UserError, match="several sizes"):
        evaluation.run(arguments("toys", *few, "--package", "toy"))

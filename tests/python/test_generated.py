# SPDX-License-Identifier: GPL-3.0-or-later
"""How generators are measured: distances between sets that are known, claims, and the channels that are learned."""

import json

import numpy as np
import pytest
from gr_diffsem.air import channel_uses
from gr_diffsem.apps import cli
from gr_diffsem.eval import generated
from gr_diffsem.models import plain_mlp, sample_sets, wgan
from gr_diffsem.schemes._generation import Generation, GenerationClaim, Measured


def test_sliced_wasserstein_of_a_shift_is_its_length():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((500, 3))
    assert sample_sets.sliced_wasserstein(x, x, 1) == 0
    # Of a shift by m along one of d axes, a direction sees m cos: the root of its mean square is m / sqrt(d).
    assert sample_sets.sliced_wasserstein(x, x + [3, 0, 0], 1, 4000) == pytest.approx(3 / np.sqrt(3), rel=0.05)
    with pytest.raises(ValueError, match="equal size"):
        sample_sets.sliced_wasserstein(x, x[:-1], 1)


def test_frechet_of_gaussians_is_the_closed_form():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((40000, 4)), 2 * rng.standard_normal((40000, 4)) + 1
    assert sample_sets.frechet(a, b) == pytest.approx(4 * 1 + 4 * (1 + 4 - 4), rel=0.05)
    assert sample_sets.frechet(a, a) == pytest.approx(0, abs=1e-6)


def test_precision_and_recall_tell_what_is_missing_from_what_is_wrong():
    rng = np.random.default_rng(3)
    real = np.concatenate((rng.standard_normal((300, 2)), rng.standard_normal((300, 2)) + 20))
    half = rng.standard_normal((600, 2))  # one of the two clusters alone
    precision, recall = sample_sets.precision_recall(real, half)
    assert precision > 0.9 and 0.4 < recall < 0.6
    wrong = np.concatenate((real[::2], rng.standard_normal((300, 2)) - 20))
    precision, recall = sample_sets.precision_recall(real, wrong)
    assert 0.4 < precision < 0.6 and recall > 0.9


def test_clarke_is_what_it_says():
    covariance = channel_uses.clarke_covariance(32, 0.05)
    assert covariance[0, 10] == pytest.approx(-0.30424, abs=1e-4)  # J0(pi)
    drawn = channel_uses.clarke(np.random.default_rng(4), 20000, 32, 0.05)
    assert sample_sets.covariance_error(drawn, covariance) < 0.03
    assert sample_sets.covariance_error(1.1 * drawn, covariance) == pytest.approx(0.21, abs=0.04)


def test_the_channels_of_words_have_their_moments():
    rng = np.random.default_rng(5)
    x = np.repeat(channel_uses.sent(rng, 1), 200_000, 0)
    assert np.mean(x[0] ** 2) == pytest.approx(1)
    awgn = channel_uses.received("awgn", x, rng)
    np.testing.assert_allclose(awgn.mean(0), x[0], atol=0.01)
    np.testing.assert_allclose(awgn.var(0), 10**-0.5, rtol=0.02)
    rayleigh = channel_uses.received("rayleigh", x, rng)
    np.testing.assert_allclose(rayleigh.mean(0), x[0] * np.sqrt(np.pi) / 2, atol=0.01)
    np.testing.assert_allclose(rayleigh.var(0), x[0] ** 2 * (1 - np.pi / 4) + 10**-1.2, rtol=0.03)
    loud, quiet = channel_uses.rapp(10 * x[:1]), channel_uses.rapp(1e-3 * x[:1])
    np.testing.assert_allclose(np.hypot(loud[0, :4], loud[0, 4:]), 1.5, rtol=0.01)
    np.testing.assert_allclose(quiet, 5e-3 * x[:1], rtol=1e-3)
    with pytest.raises(ValueError, match="no channel"):
        channel_uses.received("cable", x, rng)


def test_layers_of_one_array_are_those_layers():
    sizes = (3, 5, 4, 2)
    rng = np.random.default_rng(6)
    parts = [rng.standard_normal(shape) for shape in plain_mlp.shapes(sizes)]
    x = rng.standard_normal((7, 3))
    h = x
    for k in (0, 2):
        h = h @ parts[k].T + parts[k + 1]
        h = np.where(h > 0, h, 0.2 * h)
    flat = np.concatenate([part.ravel() for part in parts])
    np.testing.assert_allclose(plain_mlp.run(flat, x, sizes, last=False), h, rtol=1e-5)
    np.testing.assert_allclose(plain_mlp.run(flat, x, sizes), h @ parts[4].T + parts[5], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(wgan.generate(flat, x[:, :2], x[:, 2:], sizes), plain_mlp.run(flat, x, sizes))
    with pytest.raises(ValueError, match="fit them again"):
        plain_mlp.run(flat[:-1], x, sizes)


class Two(Generation):
    """Two methods of known values."""

    name, title, reference = "two", "two", "none"

    def claims(self):
        return [
            GenerationClaim("below", "distance", "ours", "part", gate=1.0),
            GenerationClaim("half", "distance", "ours", "part", "real", gate=0.6),
            GenerationClaim("more", "distance", "real", "part", "ours", relation="difference", least=True, gate=0.9),
            GenerationClaim("unmeasured", "other", "ours", "part", gate=1.0),
        ]


def test_claims_of_generators():
    rows = [Measured("part", "distance", "ours", (0.9, 1.0)), Measured("part", "distance", "real", (1.9, 1.9))]
    said = [generated._claim(claim, rows) for claim in Two().claims()]
    assert [c["holds"] for c in said] == [True, True, True, None]
    assert said[1]["ours"] == pytest.approx(0.5) and said[1]["ci95"][0] <= 0.5 <= said[1]["ci95"][1]
    assert said[3]["ours"] is None
    lines = [Two().claim_text(claim) for claim in Two().claims_json()]
    assert "distance of `ours`, its ratio to that of `real`, at most 0.6" in lines[1] and "at least 0.9" in lines[2]


def test_the_shipped_generators_are_measured(capsys, tmp_path):
    """Few samples: the form of the report, and gates that hold by far."""
    pytest.importorskip("gnuradio.diffsem")
    words = ["eval", "tap_generator_uses", "--realisations", "20", "--plot", str(tmp_path / "uses.png"), "--json"]
    assert cli.main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert {row["part"] for row in said["generated"]} == set(channel_uses.KINDS)
    assert sum(claim["holds"] for claim in said["claims"]) >= 5
    assert (tmp_path / "uses.png").stat().st_size > 10_000
    assert cli.main(["eval", "tap_generator_uses", "--snr", "5"]) == 2
    assert "for schemes that estimate" in capsys.readouterr().err


def test_a_clarke_tap_is_drawn_with_its_correlation():
    diffsem = pytest.importorskip("gnuradio.diffsem")
    drawn = diffsem.scheme("tap_generator_clarke").estimate(np.zeros((3000, 128), np.complex64), np.inf, seed=2)[0]
    assert (
        sample_sets.covariance_error(drawn, channel_uses.clarke_covariance(128, 0.05)) < 0.12
    )  # 3000 real ones: 0.065

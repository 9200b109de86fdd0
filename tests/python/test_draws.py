# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws from the posterior: calibrated where they are offered, refused elsewhere, and never the same by accident."""

import hashlib
import json

import numpy as np
import pytest
from gr_diffsem.base.signal import complex_noise
from gr_diffsem.reference.samplers import SAMPLERS
from gr_diffsem.schemes import compressed_mixture, known_mixture


@pytest.fixture(scope="module")
def diffsem():
    pytest.importorskip("gnuradio", reason="GNU Radio is not in this environment")
    return pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")


def received(seed):
    """Two items of the prior in noise of variance 0.5."""
    rng = np.random.default_rng(seed)
    return (known_mixture.draw(rng, 2) + complex_noise(rng, (2, 64), 0.5)).astype(np.complex64)


def offered(diffsem, sampler, member="gmm"):
    """The scheme, or None where its sampler's results are refused as draws."""
    scheme = diffsem.scheme(f"known_mixture/{member}:sampler={sampler},guard=off")
    try:
        scheme.estimate(np.zeros((1, 64), np.complex64), 1.0, draws=1)
    except ValueError as e:
        assert f"'{sampler}'" in str(e) and "sampler=posterior_draw" in str(e)
        return None
    return scheme


@pytest.mark.parametrize("snr_db", [0, 15])
@pytest.mark.parametrize("member", ["diffusion", "gmm"])
def test_what_is_offered_is_as_wide_as_the_posterior(diffsem, member, snr_db):
    """0.85 .. 1.15 of the exact variance at the default plan. 200 items of 16 draws tell it to 0.01."""
    rng = np.random.default_rng(21)
    noise = np.float32(10 ** (-snr_db / 10))
    x = known_mixture.draw(rng, 200)
    y = (x + complex_noise(rng, x.shape, noise)).astype(np.complex64)
    mean, exact, _ = diffsem.scheme("known_mixture/gmm").estimate(y, noise)
    drawing = [s for s in SAMPLERS if offered(diffsem, s)]
    assert drawing == ["posterior_draw"]
    for sampler in drawing:
        draws, variance, info = offered(diffsem, sampler, member).estimate(y, noise, draws=16)
        assert draws.shape == (16, 200, 64) and variance.shape == (200, 64) and info["steps"].shape == (16, 200)
        np.testing.assert_allclose(variance, np.var(draws, 0, ddof=1), rtol=1e-3, atol=1e-9)
        assert 0.85 < np.sum(variance) / np.sum(exact) < 1.15
        # Their mean errs as the posterior mean does, times 1 + 1/16 (0.5 dB for what a network adds).
        loss = np.mean(np.abs(draws.mean(0) - x) ** 2) / np.mean(np.abs(mean - x) ** 2) / (1 + 1 / 16)
        assert 10 * np.log10(loss) < 0.5
        # A draw leaves noise as it was.
        assert np.mean(np.abs(y - draws[0]) ** 2) == pytest.approx(noise, rel=0.1)


def test_draws_of_few_levels_are_refused(diffsem):
    """Below 4 levels they are not calibrated: refused when made and live; what a deadline leaves is 4."""
    for keys in ("steps=3", "steps=1"):
        with pytest.raises(ValueError, match=f"draws: {keys.replace('=', ' = ')} of scheme .* take 4 or more"):
            diffsem.scheme(f"known_mixture/gmm:sampler=posterior_draw,{keys}").estimate(received(1), 0.5, draws=2)
        with pytest.raises(ValueError, match="take 4 or more"):
            diffsem.estimate(f"known_mixture/gmm:sampler=posterior_draw,{keys}", noise_var=0.5, draws=2)
    block = diffsem.estimate("known_mixture/gmm:sampler=posterior_draw", noise_var=0.5, draws=2)
    with pytest.raises(ValueError, match="steps is 3, but draws is 2.* give 4 or more"):
        block.set_steps(3)
    block.set_steps(4)
    diffsem.estimate("known_mixture/gmm:sampler=posterior_draw", noise_var=0.5).set_steps(3)
    assert diffsem.scheme("known_mixture/gmm:sampler=posterior_draw,steps=4").estimate(received(1), 0.5, draws=2)


def test_ddpm_is_too_narrow_to_be_offered(diffsem):
    """At ten levels over 40 dB it keeps q^2 = 0.36 of the variance of a strong signal (docs/openings/draws.md)."""
    assert offered(diffsem, "ddpm") is None
    rng = np.random.default_rng(22)
    y = (known_mixture.draw(rng, 100) + complex_noise(rng, (100, 64), 1.0)).astype(np.complex64)
    scheme = diffsem.scheme("known_mixture/gmm:sampler=ddpm,guard=off")
    draws = np.stack([scheme.estimate(y, 1.0, first=100 * k)[0] for k in range(8)])
    exact = diffsem.scheme("known_mixture/gmm").estimate(y, 1.0)[1]
    assert np.sum(np.var(draws, 0, ddof=1)) / np.sum(exact) < 0.6


def test_draws_are_items_of_the_stream(diffsem):
    scheme = diffsem.scheme("known_mixture/gmm:sampler=posterior_draw")
    y = received(23)
    draws = scheme.estimate(y, 0.5, draws=3, seed=4, first=10)[0]
    again = scheme.estimate(y, 0.5, draws=3, seed=4, first=10, max_batch=2)[0]
    np.testing.assert_allclose(draws, again, atol=1e-4)  # differences over 0.1 sigma enlarge rounding
    for k in range(3):
        one = scheme.estimate(y[1:], 0.5, seed=4, first=10 + 3 + k)[0]
        np.testing.assert_allclose(draws[k, 1], one[0], atol=1e-4)
    assert np.isnan(scheme.estimate(y, 0.5, draws=1)[1]).all()
    with pytest.raises(ValueError, match="draws is -1"):
        scheme.estimate(y, 0.5, draws=-1)
    with pytest.raises(ValueError, match="no prior to draw from"):
        diffsem.scheme("ls").estimate(y, 0.5, draws=2)


def test_what_the_guard_refutes_is_drawn_without_a_prior(diffsem):
    """Least squares' own posterior is y and as much noise again: K equal answers would claim a certainty."""
    rng = np.random.default_rng(27)
    y = (3 * complex_noise(rng, (3, 64), 1.0)).astype(np.complex64)
    noise = np.float32(0.3)
    for spec, fallback in (("known_mixture", "ls"), ("ofdm_chanest", "gmm")):
        scheme = diffsem.scheme(f"{spec}:sampler=posterior_draw")
        assert scheme.info()["fallback"] == fallback  # gmm gives its mean: not asked for draws
        observed = np.arange(64) % 8 != 3
        draws, variance, info = scheme.estimate(y, noise, draws=400, seed=2, observed=observed)
        assert np.all(info["bypassed"]) and np.all(info["guarded"]) and set(info["reason"]) == {"guard"}
        np.testing.assert_allclose(draws.mean(0)[:, observed], y[:, observed], atol=0.15)
        np.testing.assert_allclose(variance[:, observed].mean(), noise, rtol=0.03)
        assert np.isnan(variance[:, ~observed]).all() and np.all(draws[..., ~observed] == 0)
        again = scheme.estimate(y, noise, draws=5, seed=2, observed=observed, max_batch=3)[0]
        np.testing.assert_array_equal(again[:, 0], draws[:5, 0])
    # Also where another's draws answer, and where no draw could be made.
    y[0, 0] = np.nan
    draws, variance, info = diffsem.scheme("known_mixture:sampler=posterior_draw").estimate(y, noise, draws=3)
    assert set(info["reason"][:3]) == {"nan", "guard"} and not np.allclose(draws[0, 0, 1:], draws[1, 0, 1:])


def test_draws_through_a_matrix(diffsem):
    """Offered where the guidance is exact, and then as wide as the posterior; else refused with what would do."""
    rng = np.random.default_rng(28)
    x, a = compressed_mixture.draw(rng, 60), compressed_mixture.matrix()
    y = (x @ a.T + complex_noise(rng, (60, len(a)), 0.1)).astype(np.complex64)
    exact = diffsem.scheme("compressed_mixture/gmm").estimate(y, 0.1)[1]
    plan = "sampler=posterior_draw,plan=geometric,steps=20,sigma_max=10,sigma_min=0.01"
    _, variance, info = diffsem.scheme(f"compressed_mixture/gmm:{plan}").estimate(y, 0.1, draws=16)
    assert 0.85 < np.sum(variance) / np.sum(exact) < 1.15 and not np.any(info["bypassed"])
    for spec, words in (
        ("compressed_mixture:sampler=posterior_draw", "'pigdm' of .* leave draws out"),
        ("compressed_mixture:guidance=dps,sampler=posterior_draw", "'dps' of .* leave draws out"),
        (f"compressed_mixture/gmm:guidance=proximal,{plan}", "'proximal' of .* take guidance=joint"),
    ):
        with pytest.raises(ValueError, match=f"draws: what comes through the guidance {words}"):
            diffsem.scheme(spec).estimate(y, 0.1, draws=2)
        with pytest.raises(ValueError, match=f"draws: what comes through the guidance {words}"):
            diffsem.estimate(spec, noise_var=0.1, draws=2)


def test_a_kept_estimator_goes_on_counting(diffsem):
    scheme = diffsem.scheme("known_mixture/gmm:sampler=posterior_draw")
    kept = diffsem.core.Estimator(scheme, seed=4)
    y = received(24)
    first, second, drawn = kept.run(y, 0.5)[0], kept.run(y, 0.5)[0], kept.run(y, 0.5, draws=2)[0]
    assert not np.allclose(first, second) and not np.allclose(drawn[0], drawn[1])
    np.testing.assert_allclose(first, kept.run(y, 0.5, first=0)[0])
    np.testing.assert_allclose(second, scheme.estimate(y, 0.5, seed=4, first=2)[0], atol=1e-4)
    np.testing.assert_allclose(drawn, scheme.estimate(y, 0.5, seed=4, first=4, draws=2)[0], atol=1e-4)


def test_real_schemes_draw(diffsem, tmp_path):
    """A white Gaussian of unit power: the posterior has the mean y / (1 + v) and the variance v / (1 + v)."""
    np.save(tmp_path / "v.npy", np.ones(6, np.float32))
    manifest = {
        "diffsem.contract": 1,
        "name": "plain",
        "signal": {"domain": "real", "shape": [6], "axes": ["element"], "gain": "unit"},
        "default": "white",
        "members": {"white": {"prior": {"type": "gaussian", "variance": "v.npy"}, "operator": {"type": "identity"}}},
        "files": {"v.npy": hashlib.sha256((tmp_path / "v.npy").read_bytes()).hexdigest()},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    y = np.random.default_rng(25).standard_normal((3, 6)).astype(np.float32)
    scheme = diffsem.scheme(f"{tmp_path}/white:sampler=posterior_draw,guard=off")
    draws, variance, _ = scheme.estimate(y, 0.5, draws=4000)
    assert draws.shape == (4000, 3, 6) and draws.dtype == np.float32
    np.testing.assert_allclose(draws.mean(0), y / 1.5, atol=0.05)
    np.testing.assert_allclose(variance.mean(), 1 / 3, rtol=0.15)


def test_a_network_behind_a_matrix(diffsem):
    """The gate of compressed_mixture, and the order that guidances are preferred in, on 300 items."""
    rng = np.random.default_rng(26)
    x, a = compressed_mixture.draw(rng, 300), compressed_mixture.matrix()
    y = (x @ a.T + complex_noise(rng, (300, len(a)), 0.01)).astype(np.complex64)

    def nmse(spec):
        mean, _, info = diffsem.scheme(spec).estimate(y, 0.01)
        assert not info["bypassed"].any()
        return 10 * np.log10(np.sum(np.abs(mean - x) ** 2) / np.sum(np.abs(x) ** 2)), info["steps"][0]

    (ours, cost), (exact, _) = nmse("compressed_mixture"), nmse("compressed_mixture/gmm")
    linear, _ = nmse("compressed_mixture/lmmse")
    assert diffsem.scheme("compressed_mixture").info()["evaluations"] == cost
    assert diffsem.scheme("compressed_mixture:guidance=dps,guidance_steps=2").info()["evaluations"] == 60
    assert exact < ours < -9.0 and ours < linear - 2 and cost == 100
    chosen, _ = nmse("compressed_mixture:guidance=pigdm")
    assert chosen == ours
    for other in ("proximal", "dps"):
        assert nmse(f"compressed_mixture:guidance={other}")[0] > ours


@pytest.mark.parametrize(
    "spec, words",
    [
        ("compressed_mixture:guidance=joint", "closed form"),
        ("compressed_mixture:guidance=combined", "keeps elements apart"),
        ("compressed_mixture:guidance=pigdn", "did you mean 'pigdm'"),
        ("compressed_mixture:guidance=pigdm,guidance_steps=0", "1 .. 64"),
        ("compressed_mixture:guidance=proximal,guidance_steps=2", "guidance_steps"),
        ("known_mixture:guidance=pigdm", "takes the measurement as the state"),
    ],
)
def test_wrong_guidance_is_a_sentence(diffsem, spec, words):
    with pytest.raises(ValueError, match=words):
        diffsem.core.Estimator(diffsem.scheme(spec))

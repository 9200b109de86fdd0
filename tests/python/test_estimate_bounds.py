# SPDX-License-Identifier: GPL-3.0-or-later
"""What estimate() is asked for: numbers out of range are a sentence, Ctrl-C ends it, an unknown variance is NaN."""

import signal
import time

import numpy as np
import pytest
from gr_diffsem.base.signal import complex_noise
from gr_diffsem.schemes import compressed_mixture, known_mixture

diffsem = pytest.importorskip("gnuradio.diffsem", reason="gr-diffsem is not installed in this Python")

NOISE = 0.1
DRAWS = "known_mixture/gmm:sampler=posterior_draw,guard=off"


def received(items=3):
    rng = np.random.default_rng(41)
    return (known_mixture.draw(rng, items) + complex_noise(rng, (items, 64), NOISE)).astype(np.complex64)


def compressed(items=20):
    rng = np.random.default_rng(42)
    x, a = compressed_mixture.draw(rng, items), compressed_mixture.matrix()
    return (x @ a.T + complex_noise(rng, (items, len(a)), NOISE)).astype(np.complex64)


# --- variance ---------------------------------------------------------------------------------------------------


def test_a_guided_network_states_no_variance():
    """Where it is not known it is NaN, never the noise's; a closed form states the posterior's."""
    for guidance in ("pigdm", "dps", "proximal"):
        scheme = diffsem.scheme(f"compressed_mixture:guidance={guidance}")
        assert scheme.info()["has_variance"] is False
        assert np.isnan(scheme.estimate(compressed(), NOISE)[1]).all()
        scheme = diffsem.scheme(f"known_mixture:start=noise,guidance={guidance}")  # the operator is identity
        mean, variance, info = scheme.estimate(received(), NOISE)
        assert np.isnan(variance).all() and not np.any(info["bypassed"]) and scheme.info()["has_variance"] is False
    exact = diffsem.scheme("compressed_mixture/gmm")
    assert exact.info()["has_variance"] is True and np.all(exact.estimate(compressed(), NOISE)[1] > 0)
    assert diffsem.scheme("known_mixture").info()["has_variance"] is True
    noise = np.full(3, NOISE, np.float32)
    np.testing.assert_array_equal(diffsem.scheme("ls").estimate(received(), noise)[1], np.full((3, 64), noise[0]))


def test_a_network_without_a_variance_states_none():
    scheme = diffsem.scheme("digits:start=matched,sampler=one_step,guard=off")
    y = np.random.default_rng(1).standard_normal((2, 784)).astype(np.float32)
    _, variance, info = scheme.estimate(y, 1.0)
    assert scheme.info()["has_variance"] is False and np.isnan(variance).all() and not np.any(info["bypassed"])
    y[1, 3] = np.nan  # least squares do know it
    variance, info = diffsem.scheme("digits:start=matched,sampler=one_step,guard=off").estimate(y, 1.0)[1:]
    assert list(info["bypassed"]) == [False, True] and np.isnan(variance[0]).all() and np.all(variance[1] == 1)


# --- Ctrl-C -----------------------------------------------------------------------------------------------------


@pytest.mark.timing
@pytest.mark.parametrize("draws", [0, 50])
def test_a_long_estimate_can_be_interrupted(draws):
    """What is asked for takes minutes; a handler's exception ends it in far less than a second."""
    scheme = diffsem.scheme("known_mixture/gmm:sampler=posterior_draw,steps=1000,guard=off")
    kept = diffsem.core.Estimator(scheme)
    y = np.tile(received(), (300, 1))

    def handler(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            kept.run(y, NOISE, draws=draws)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 5
    y = received()
    mean, _, info = kept.run(y, NOISE, first=0)  # and it goes on
    assert np.isfinite(mean).all() and not np.any(info["bypassed"])


def test_several_unknowns_can_be_interrupted():
    y = np.tile(np.ones((4, 36), np.complex64), (20000, 1, 1))

    def handler(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            diffsem.scheme("mimo_joint:rounds=1000").estimate(y, 1.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# --- numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"draws": 10**9}, r"draws is 1000000000: of 3 items of 64 elements they take 1536 GB: give at most"),
        ({"draws": 10**12}, r"draws is 1000000000000: .* give at most 2796202"),
        ({"steps": -1}, r"steps = -1 must lie in 1 \.\. 10000, or be 0"),
        ({"steps": 10**9}, r"steps = 1000000000 must lie in 1 \.\. 10000"),
        ({"eta": np.nan}, r"eta = .*nan must lie in 0 \.\. 1"),
        ({"eta": 1.5}, r"eta = 1\.5.* must lie in 0 \.\. 1"),
        ({"draws": 2, "steps": 3}, r"draws: steps = 3 of scheme .* too few .*take 4 or more"),
    ],
)
def test_out_of_range_is_a_sentence(options, said):
    with pytest.raises(ValueError, match=said):
        diffsem.scheme(DRAWS).estimate(received(), NOISE, **options)


def test_a_kept_estimator_refuses_the_same_and_goes_on():
    kept = diffsem.core.Estimator(DRAWS, seed=1)
    expected = kept.run(received(), NOISE, first=0)[0]
    for change in (lambda: kept.set_steps(-1), lambda: kept.set_steps(20000), lambda: kept.set_eta(float("nan"))):
        with pytest.raises(ValueError, match="must lie in"):
            change()
        np.testing.assert_array_equal(kept.run(received(), NOISE, first=0)[0], expected)
    kept.set_steps(3)
    with pytest.raises(ValueError, match="steps = 3"):
        kept.run(received(), NOISE, draws=2)
    joint = diffsem.core.JointEstimator("mimo_joint")
    for rounds in (-1, 1001):
        with pytest.raises(ValueError, match=rf"rounds = {rounds} must lie in 1 \.\. 1000"):
            joint.set_rounds(rounds)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("guidance=2,guidance_scale=3", "both say the scale of classifier-free guidance: give one"),
        ("guidance=nan", r"guidance = 'nan' is not a number"),
        ("guidance=-inf", r"guidance = '-inf' is not a number"),
        ("plan=list,sigmas=10;1;1e-50", r"plan.sigmas = 1e-50: levels must fall"),
        ("plan=list,sigmas=10;1.00000001;1", r"levels must fall, .* in single precision"),
        ("plan=list,sigmas=10;nan;1", "is not a list of numbers"),
        ("steps=nan", "steps = 'nan' is not a number"),
        ("steps=-1", "steps = -1: must be at least 1"),
        ("steps=1e9", r"plan.steps = 1000000000: must lie in 1 \.\. 10000"),
        ("steps=1e30", "must be a whole number"),
        ("steps=1e999", "not a number"),
        ("sampler=ddim,eta=-1", r"eta = -1: must lie in 0 \.\. 1"),
        ("sampler=ddim,clip=-1", r"clip = -1: must lie in 0"),
        ("sampler=ddim,clip=1e30", r"clip = 1e\+?30: must lie in 0"),
        ("sampler=ddpm,large_variance=2", r"large_variance = 2: must be 0"),
        ("sigma_min=0", r"plan.sigma_min = 0: must lie in"),
        ("sigma_min=1e-60", r"plan.sigma_min = 0: must lie in"),
        ("sigma_max=1e30", "plan.sigma_max = "),
        ("sigma_max=inf", "is not a number"),
        ("start=renoise,sigma=1e30", "needs a 'sigma'"),
        ("plan=karras,rho=0", "plan.rho = 0"),
        ("end=-1", "plan.end = -1"),
        ("fewest_observed=-1", "fewest_observed is -1"),
        ("fewest_observed=1e30", "fewest_observed is 1e"),
        ("seed=-1", "seed = '-1' is not a whole number"),
        ("max_model_mb=nan", "max_model_mb = 'nan'"),
        ("guidance_scale=1e30", r"give 0 .*100"),
        ("steps=", "not of the form key=value"),
    ],
)
def test_a_key_out_of_range_is_a_sentence(keys, said):
    with pytest.raises(ValueError, match=said):
        diffsem.scheme(f"known_mixture:{keys}").load()


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e30", "1e999", "x"])
def test_every_numeric_key_refuses_nonsense_or_takes_it_as_said(value):
    """Of all nouns: whatever is taken has to run; whatever is not is a ValueError that names the key."""
    chosen = {"plan": "plan", "sampler": "sampler", "start": "start", "guidance": "guidance"}
    for noun, key_of in chosen.items():
        for entry in diffsem.core.nouns()[noun]:
            for key in entry["keys"]:
                start = "" if noun == "start" else "start=noise,"
                spec = f"known_mixture:{start}{key_of}={entry['name']},{noun}.{key}={value},guard=off"
                try:
                    scheme = diffsem.scheme(spec)
                    info = scheme.estimate(received(), NOISE, steps=0 if "steps" in key else 4)[2]
                except ValueError as refusal:
                    assert key in str(refusal) or entry["name"] in str(refusal), (spec, str(refusal))
                    continue
                assert value == "1e30" or not np.any(info["bypassed"]), spec
                assert value not in ("nan", "inf", "1e999", "x") or key in ("spacing",), spec


# --- the matrix -------------------------------------------------------------------------------------------------


def test_a_matrix_that_cannot_be_squared_is_refused():
    a = compressed_mixture.matrix()
    scheme = diffsem.scheme("compressed_mixture")
    for scale in (1e30, 1e-20):
        with pytest.raises(ValueError, match=r"matrix multiplies by about .*1e-6 to 1e6: scale the matrix"):
            scheme.estimate(compressed(), NOISE, matrix=a * scale)
        with pytest.raises(ValueError, match="scale the matrix"):
            diffsem.estimate("compressed_mixture", noise_var=NOISE, matrix=a * scale)
    with pytest.raises(ValueError, match="taps multiply|multiplies by about .* scale the taps"):
        diffsem.scheme("known_mixture:operator=convolution,start=noise,taps=1e30;1").estimate(received(), NOISE)
    mean, _, info = scheme.estimate(1e3 * compressed(), 1e6 * NOISE, matrix=1e3 * a)
    assert not np.any(info["bypassed"])
    np.testing.assert_allclose(mean, scheme.estimate(compressed(), NOISE)[0], atol=1e-2)


def test_a_matrix_by_the_name_of_its_file(tmp_path):
    np.save(tmp_path / "a.npy", compressed_mixture.matrix())
    for name in ("a.npy", tmp_path / "a.npy"):
        with pytest.raises(ValueError, match=r"matrix is the name 'a\.npy', no array: give .* numpy\.load"):
            diffsem.scheme("compressed_mixture").estimate(compressed(), NOISE, matrix=name)
        with pytest.raises(ValueError, match="numpy.load"):
            diffsem.estimate("compressed_mixture", noise_var=NOISE, matrix=name)
        with pytest.raises(ValueError, match="numpy.load"):
            diffsem.core.Estimator("compressed_mixture", matrix=name)
    with pytest.raises(ValueError, match="matrix is .*, no array: give M x N"):
        diffsem.scheme("compressed_mixture").estimate(compressed(), NOISE, matrix={"a": 1})

# SPDX-License-Identifier: GPL-3.0-or-later
"""The NumPy twin against closed forms. A mistake of 3 dB anywhere must fail here."""

import numpy as np
import pytest
from gr_diffsem.base import signal
from gr_diffsem.reference import operators, parametrisation, posterior, priors, samplers

RNG = np.random.default_rng(20240601)
SIZE = 6


def covariance(size=SIZE, rho=0.8):
    """Complex exponential correlation, unit power per element."""
    lag = np.subtract.outer(np.arange(size), np.arange(size))
    return rho ** np.abs(lag) * np.exp(0.4j * lag)


def mixture(real=False):
    rng = np.random.default_rng(7)
    means = rng.standard_normal((3, SIZE)) + 0j
    if not real:
        means = means + 1j * rng.standard_normal((3, SIZE))
    roots = rng.standard_normal((3, SIZE, SIZE)) + (0 if real else 1j) * rng.standard_normal((3, SIZE, SIZE))
    covs = roots @ roots.conj().transpose(0, 2, 1) / SIZE
    if real:
        means, covs = means.real, covs.real
    weights = np.array([0.5, 0.3, 0.2])
    second = priors.Mixture(weights, means, covs, real=real)
    power = np.mean(np.real(np.diag(second.covariance())) + np.abs(np.tensordot(weights, means, 1)) ** 2)
    return priors.Mixture(weights, means / np.sqrt(power), covs / power, real=real)


def geometric(start, stop, steps):
    """Scalar levels from start to stop, then 0."""
    return [*np.geomspace(start, stop, steps), 0.0]


def within_db(a, b, db):
    assert abs(signal.linear_to_db(a / b)) < db, (a, b)


# --- signal convention -------------------------------------------------------------------------


def test_snr_is_per_complex_element():
    """At 0 dB the noise has E|n|^2 = 1 per complex element, 1/2 per component."""
    noise = signal.complex_noise(RNG, (200_000,), signal.snr_db_to_sigma(0.0) ** 2)
    within_db(np.mean(np.abs(noise) ** 2), 1.0, 0.05)
    within_db(np.mean(noise.real**2), 0.5, 0.05)


def test_unit_planes_keep_sigma():
    """Planes of unit component variance: noise of sigma per complex element has sigma per plane."""
    sigma = signal.snr_db_to_sigma(3.0)
    planes = parametrisation.to_planes(signal.complex_noise(RNG, (50_000, 2), sigma**2))
    assert planes.shape == (50_000, 2, 2)
    within_db(planes.var(), sigma**2, 0.05)
    x = signal.complex_noise(RNG, (3, 5))
    np.testing.assert_allclose(parametrisation.from_planes(parametrisation.to_planes(x)), x)


def test_matched_step_of_a_vp_net():
    """alpha_bar / (1 - alpha_bar) = rho and the input is scaled by sqrt(rho / (1 + rho))."""
    rho = signal.db_to_linear(np.array([-10.0, 0.0, 7.0]))
    sigma = rho**-0.5
    alpha_bar = signal.sigma_to_alpha_bar(sigma)
    np.testing.assert_allclose(alpha_bar / (1 - alpha_bar), rho)
    np.testing.assert_allclose(parametrisation.input_scale(sigma, "vp"), np.sqrt(rho / (1 + rho)))
    np.testing.assert_allclose(signal.alpha_bar_to_sigma(alpha_bar), sigma)


@pytest.mark.parametrize("scaling", ["ve", "vp", "flow"])
@pytest.mark.parametrize("prediction", ["x0", "eps", "v", "score", "flow"])
def test_every_parametrisation_gives_the_same_d(prediction, scaling):
    """What an ideal net of each kind would put out for a Gaussian prior, turned back into D."""
    prior = priors.DiagonalGaussian(np.full(SIZE, 1.0))
    x = signal.complex_noise(RNG, (4, SIZE), 3.0)
    sigma = np.array([[0.1], [1.0], [3.0], [20.0]])
    mean, _ = prior(x, sigma)
    eps = (x - mean) / sigma
    alpha_bar, t = signal.sigma_to_alpha_bar(sigma), parametrisation.sigma_to_flow_time(sigma)
    std = {"ve": sigma, "vp": np.sqrt(1 - alpha_bar), "flow": t}[scaling]
    out = {
        "x0": mean,
        "eps": eps,
        "v": np.sqrt(alpha_bar) * eps - np.sqrt(1 - alpha_bar) * mean,
        "score": -eps / std,
        "flow": eps - mean,
    }[prediction]
    np.testing.assert_allclose(parametrisation.to_x0(prediction, scaling, x, sigma, out), mean, atol=1e-12)


def test_measured_power_is_free_of_noise():
    x = 3.0 * signal.complex_noise(RNG, (1, 100_000))
    y = x + signal.complex_noise(RNG, x.shape, 9.0)
    within_db(signal.measured_power(y, 9.0)[0, 0], 9.0, 0.1)


# --- priors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("snr_db", [-10, 0, 10])
def test_scalar_gaussian_error(snr_db):
    """E|x0 - D|^2 = sigma^2 / (1 + sigma^2) for x0 ~ CN(0, 1): at 0 dB exactly 1/2."""
    sigma = signal.snr_db_to_sigma(snr_db)
    x0 = signal.complex_noise(RNG, (40_000, 2))
    mean, variance = priors.Gaussian(np.eye(2))(x0 + signal.complex_noise(RNG, x0.shape, sigma**2), sigma)
    expected = sigma**2 / (1 + sigma**2)
    within_db(np.mean(np.abs(mean - x0) ** 2), expected, 0.1)
    np.testing.assert_allclose(variance, expected)


def test_gaussian_full_equals_diagonal_and_levels_per_element():
    variance = np.array([0.1, 2.0, 1.0, 0.5, 1.5, 0.9])
    x = signal.complex_noise(RNG, (3, SIZE), 2.0)
    sigma = np.abs(RNG.standard_normal((3, SIZE)))
    sigma[1, 2] = np.inf
    full = priors.Gaussian(np.diag(variance), np.arange(SIZE))(x, sigma)
    diagonal = priors.DiagonalGaussian(variance, np.arange(SIZE))(x, sigma)
    np.testing.assert_allclose(full[0], diagonal[0])
    np.testing.assert_allclose(full[1], diagonal[1])
    assert full[0][1, 2] == 2 and full[1][1, 2] == pytest.approx(1.0)


def test_unobserved_elements_are_interpolated():
    """A correlated neighbour tells of an element with infinite sigma."""
    c = covariance()
    x = np.zeros((1, SIZE), complex)
    x[0, 0] = 1.0
    sigma = np.full((1, SIZE), np.inf)
    sigma[0, 0] = 1e-6
    mean, variance = priors.Gaussian(c)(x, sigma)
    np.testing.assert_allclose(mean[0], c[:, 0], atol=1e-9)
    np.testing.assert_allclose(variance[0], 1 - np.abs(c[:, 0]) ** 2, atol=1e-9)


def test_mixture_of_one_is_gaussian():
    c = covariance()
    x = signal.complex_noise(RNG, (5, SIZE), 2.0)
    one = priors.Mixture([1.0], np.zeros((1, SIZE)), c[None])
    for a, b in zip(one(x, 0.7), priors.Gaussian(c)(x, 0.7), strict=False):
        np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("real", [False, True])
def test_mixture_is_the_conditional_mean(real):
    """Its variance predicts its error, its error is orthogonal to it, and it beats the best linear one."""
    prior = mixture(real)
    rng = np.random.default_rng(3)
    x0 = prior.draw(rng, 6000)
    sigma = 0.6
    noise = rng.standard_normal(x0.shape) if real else signal.complex_noise(rng, x0.shape)
    x = x0 + sigma * noise
    mean, variance = prior(x, sigma)
    error = np.mean(np.abs(mean - x0) ** 2)
    within_db(error, variance.mean(), 0.15)
    overlap = np.mean((x0 - mean) * mean.conj())
    assert abs(overlap) < 0.02
    linear = priors.Gaussian(prior.covariance(), np.tensordot(prior.weights, prior.means, 1))
    assert error < np.mean(np.abs(linear(x, sigma)[0] - x0) ** 2)


# --- operators and conditioning -------------------------------------------------------------------


def random_matrix(rows, columns):
    return signal.complex_noise(np.random.default_rng(rows), (rows, columns))


@pytest.mark.parametrize(
    "operator, rows",
    [
        (operators.Identity(), SIZE),
        (operators.Mask(np.arange(SIZE) % 3 > 0), SIZE),
        (operators.Matrix(random_matrix(4, SIZE)), 4),
        (operators.Matrix(random_matrix(9, SIZE)), 9),
    ],
)
def test_operator_contract(operator, rows):
    """<A x, y> = <x, A^H y>, and the proximal step is a stationary point."""
    x, z = signal.complex_noise(RNG, (2, 3, SIZE))
    y = signal.complex_noise(RNG, (3, rows))
    np.testing.assert_allclose(np.sum(operator.apply(x).conj() * y), np.sum(x.conj() * operator.adjoint(y)))
    weight, noise = 0.7, 0.2
    best = operator.prox(z, weight, y, noise)
    gradient = operator.adjoint(operator.apply(best) - y) / noise + (best - z) / weight
    np.testing.assert_allclose(gradient, 0, atol=1e-10)


def test_fusing_two_looks():
    mean, variance = operators.fuse(1.0, 1.0, 3.0, 1.0)
    assert mean == 2.0 and variance == 0.5
    mean, variance = operators.fuse([1.0, 1.0, np.nan], [np.inf, 0.0, np.inf], [3.0, 3.0, 2.0], 4.0)
    np.testing.assert_allclose(mean, [3, 1, 2])
    np.testing.assert_allclose(variance, [4, 0, 4])


@pytest.mark.parametrize("observed", [np.ones(SIZE, bool), np.arange(SIZE) % 2 == 0])
def test_conditioning_on_a_mask_is_exact(observed):
    """D(x, sigma | y) of a Gaussian prior against the joint Gaussian of (x0, x, y)."""
    c, sigma, noise = covariance(), 0.8, 0.3
    x, y = signal.complex_noise(RNG, (2, 4, SIZE), 1.5)
    got = posterior.condition(priors.Gaussian(c), operators.Mask(observed), y, noise)(x, sigma)
    a = np.vstack([np.eye(SIZE), np.eye(SIZE)[observed]])
    looks = np.hstack([x, y[:, observed]])
    levels = np.r_[np.full(SIZE, sigma**2), np.full(observed.sum(), noise)]
    gain = c @ a.T @ np.linalg.inv(a @ c @ a.T + np.diag(levels))
    np.testing.assert_allclose(got[0], looks @ gain.T, atol=1e-9)
    left = np.real(np.diag(c - gain @ a @ c))
    np.testing.assert_allclose(got[1], np.tile(left, (4, 1)), atol=1e-9)


def test_conditioning_on_a_matrix_is_exact():
    """x known well or not at all: the prior's own mean of x, or the LMMSE estimate from y alone."""
    c, a, noise = covariance(), random_matrix(4, SIZE), 0.2
    x = signal.complex_noise(RNG, (3, SIZE), 1.5)
    y = signal.complex_noise(RNG, (3, 4), 3.0)
    one = priors.Mixture([1.0], np.zeros((1, SIZE)), c[None])
    for prior in (priors.Gaussian(c), one):
        given = posterior.condition(prior, operators.Matrix(a), y, noise)
        np.testing.assert_allclose(given(x, 1e-7)[0], x, atol=1e-6)
        gain = c @ a.conj().T @ np.linalg.inv(a @ c @ a.conj().T + noise * np.eye(4))
        np.testing.assert_allclose(given(x, np.inf)[0], y @ gain.T, atol=1e-9)
        left = np.real(np.diag(c - gain @ a @ c))
        np.testing.assert_allclose(given(x, np.inf)[1][0], left, atol=1e-9)


def test_proximal_conditioning_comes_to_rest_at_the_data():
    """A prior without closed form, and little noise: the answer satisfies y = A x."""
    a = random_matrix(4, SIZE)
    y = signal.complex_noise(RNG, (3, 4))

    def flat(x, sigma):
        return x, np.full(x.shape, 100.0)

    given = posterior.condition(flat, operators.Matrix(a), y, 1e-9)
    mean, _ = given(signal.complex_noise(RNG, (3, SIZE)), 1.0)
    np.testing.assert_allclose(mean @ a.T, y, atol=1e-6)


# --- samplers --------------------------------------------------------------------------------------


def normals(rng):
    return lambda step, shape: signal.complex_noise(rng, shape)


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_posterior_mean_is_exact_for_a_gaussian(steps):
    """Equal levels: the gains (l + s'^2) / (l + s^2) telescope, whatever the number of steps."""
    prior, sigma = priors.Gaussian(covariance(), np.arange(SIZE)), 1.0
    x = signal.complex_noise(RNG, (8, SIZE), 2.0)
    got = samplers.posterior_mean(prior, x, geometric(sigma, 1e-2, steps))
    np.testing.assert_allclose(got, prior(x, sigma)[0], atol=1e-9)


def mean_flow(prior, x, start, stop=1e-2, steps=20):
    """Where `posterior_mean` ends with infinitely many levels: dx/du = 2 (x - D(x, e^u)), u = ln sigma,
    by Runge and Kutta's fourth order; then D."""
    slope = lambda x, u: 2 * (x - prior(x, np.exp(u))[0])  # noqa: E731
    u, h = np.log(start), np.log(stop / start) / steps
    for _ in range(steps):
        k1 = slope(x, u)
        k2 = slope(x + h / 2 * k1, u + h / 2)
        k3 = slope(x + h / 2 * k2, u + h / 2)
        x, u = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(x + h * k3, u + h)), u + h
    return prior(x, stop)[0]


@pytest.mark.parametrize("snr_db, limit_db", [(-5, 0.052), (5, 0.107), (15, 0.010)])
def test_posterior_mean_of_a_mixture_loses_what_its_flow_loses(snr_db, limit_db):
    """No number of levels mends it (docs/theory.md); only the covariances differ, as with channels."""
    prior = mixture()
    prior.means *= 0
    rng = np.random.default_rng(11)
    x0 = prior.draw(rng, 400)
    sigma = float(signal.snr_db_to_sigma(snr_db))
    y = x0 + signal.complex_noise(rng, x0.shape, sigma**2)
    best = parametrisation.nmse_db(samplers.one_step(prior, y, [sigma]), x0)

    def loss(levels):
        return parametrisation.nmse_db(samplers.posterior_mean(prior, y, geometric(sigma, 1e-2, levels)), x0) - best

    limit, few, many = parametrisation.nmse_db(mean_flow(prior, y, sigma), x0) - best, loss(5), loss(50)
    assert limit == pytest.approx(limit_db, abs=0.005)
    assert few < many + 0.002 < limit + 0.005
    assert many == pytest.approx(limit, abs=0.02)


@pytest.mark.parametrize("levels", [3, 30, 300])
def test_posterior_mean_of_two_points_decides(levels):
    """x0 = +-1, real: the path ends in the sign of y, whatever the levels, where E[x0 | y] = tanh(y / s^2).
    The error is that of a decision: twice the best as the noise grows."""
    points = lambda x, sigma: (np.tanh(x / np.asarray(sigma) ** 2), None)  # noqa: E731
    rng = np.random.default_rng(12)
    x0 = rng.choice([-1.0, 1.0], (20_000, 1))
    sigma = 10.0
    y = x0 + sigma * rng.standard_normal(x0.shape)
    got = samplers.posterior_mean(points, y, geometric(sigma, 0.02, levels))
    decided = np.abs(y) > 0.01 * sigma
    np.testing.assert_allclose(got[decided], np.sign(y)[decided], atol=1e-6)
    best = np.mean((points(y, sigma)[0] - x0) ** 2)
    assert 10 * np.log10(np.mean((got - x0) ** 2) / best) == pytest.approx(2.70, abs=0.1)


def test_ddpm_from_a_matched_start_draws_from_the_posterior():
    c, sigma = covariance(), 1.0
    prior = priors.Gaussian(c)
    y = np.repeat(signal.complex_noise(RNG, (1, SIZE), 2.0), 20_000, axis=0)
    drawn = samplers.ddpm(prior, y, geometric(sigma, 1e-2, 100), normals(RNG))
    gain = c @ np.linalg.inv(c + sigma**2 * np.eye(SIZE))
    np.testing.assert_allclose(drawn.mean(0), gain @ y[0], atol=0.03)
    off = drawn - drawn.mean(0)
    np.testing.assert_allclose(off.T @ off.conj() / len(off), c - gain @ c, atol=0.03)


@pytest.mark.parametrize("name", ["ddpm", "ddim", "euler", "heun", "dpmpp_2m"])
def test_from_pure_noise_comes_the_prior(name):
    c, start = covariance(), 50.0
    x = signal.complex_noise(RNG, (8000, SIZE), start**2 + 1)
    steps = 400 if name == "ddpm" else 100  # first order: the power is off by the size of a step
    levels = geometric(start, 1e-3, steps)
    drawn = samplers.SAMPLERS[name](priors.Gaussian(c), x, levels, normals(RNG))
    np.testing.assert_allclose(drawn.T @ drawn.conj() / len(drawn), c, atol=0.08)


def flow_map(c, x, start, stop):
    """Closed form of the flow ODE for CN(0, C): along each eigenvector sqrt((l+s'^2)/(l+s^2))."""
    values, vectors = np.linalg.eigh(c)
    gain = np.sqrt((values + stop**2) / (values + start**2))
    return x @ vectors.conj() * gain @ vectors.T


@pytest.mark.parametrize("name, order", [("ddim", 1), ("euler", 1), ("heun", 2), ("dpmpp_2m", 2)])
def test_order_of_the_ode_solvers(name, order):
    c, start, stop = covariance(), 3.0, 0.1
    x = signal.complex_noise(RNG, (4, SIZE), start**2)
    exact = flow_map(c, x, start, stop)
    errors = []
    for steps in (40, 80):
        levels = list(np.geomspace(start, stop, steps + 1))
        errors.append(np.max(np.abs(samplers.SAMPLERS[name](priors.Gaussian(c), x, levels) - exact)))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


def test_ddim_of_one_is_ddpm_and_of_zero_is_euler():
    prior, levels = priors.Gaussian(covariance()), geometric(2.0, 0.05, 7)
    x = signal.complex_noise(RNG, (4, SIZE), 4.0)
    draws = signal.complex_noise(RNG, (7, 4, SIZE))
    rng = lambda step, shape: draws[step]  # noqa: E731
    np.testing.assert_allclose(samplers.ddim(prior, x, levels, rng, eta=1.0), samplers.ddpm(prior, x, levels, rng))
    np.testing.assert_allclose(samplers.ddim(prior, x, levels), samplers.euler(prior, x, levels))


@pytest.mark.parametrize("snr_db, excess_db", [(0, 0.7), (-10, 1.9)])
def test_an_ode_from_a_matched_start_is_not_the_posterior_mean(snr_db, excess_db):
    """White Gaussian prior: the flow map shrinks too little; its excess error is known."""
    sigma = float(signal.snr_db_to_sigma(snr_db))
    rng = np.random.default_rng(5)
    x0 = signal.complex_noise(rng, (100_000, 1))
    y = x0 + signal.complex_noise(rng, x0.shape, sigma**2)
    ode = flow_map(np.eye(1), y, sigma, 0.0)
    mean = priors.Gaussian(np.eye(1))(y, sigma)[0]
    assert parametrisation.nmse_db(ode, x0) - parametrisation.nmse_db(mean, x0) == pytest.approx(excess_db, abs=0.1)


def test_unequal_levels_do_not_disturb_each_other():
    """With independent elements, each walks its own plan: a batch equals its elements apart."""
    prior = priors.DiagonalGaussian(np.array([1.0, 0.5]))
    x = signal.complex_noise(RNG, (3, 2), 2.0)
    start = np.array([2.0, 0.3])
    plan = geometric(2.0, 0.05, 9)
    levels = [np.minimum(start, level) for level in plan]
    for name in ("posterior_mean", "ddim", "heun", "euler"):
        both = samplers.SAMPLERS[name](prior, x, levels)
        for i in range(2):
            alone = priors.DiagonalGaussian(prior.variance[i : i + 1])
            single = samplers.SAMPLERS[name](alone, x[:, i : i + 1], [v[i : i + 1] for v in levels])
            np.testing.assert_allclose(both[:, i : i + 1], single, atol=1e-12)

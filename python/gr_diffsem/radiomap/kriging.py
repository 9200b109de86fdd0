# SPDX-License-Identifier: GPL-3.0-or-later
"""Kriging: a map of power as a Gaussian process over the plane, fitted to its sites by marginal likelihood.

    y_i = t(x_i) b + f(x_i) + e_i,   f ~ GP(0, a^2 exp(-|x - x'| / l)),   var e_i = n^2 + s^2 / count_i + g_i

(Gudmundson 1991 for the covariance of shadowing; Rasmussen and Williams 2006, chapters 2 and 5, for the rest). The
trend t is a constant, or log-distance to a transmitter that is known or searched for, where that is likelier by more
than a search costs (twice the parameters' own cost of Schwarz 1978) and falls as power can. Its coefficients b have a
flat prior (universal kriging, R&W 2.42). Where the buildings around a transmitter are known too, the trend may be a
`shadows.Shadowed`, whose columns are its own and whose coefficients have a Gaussian prior.

g_i is what an error of a site's position makes of the field, 2 a^2 (1 - E exp(-|d| / l)), d the error: without a
stated error it is part of n. A censored site, known only not to be above a bound, has the likelihood
Phi((bound - f) / n); it enters by expectation propagation (Minka 2001; R&W 3.6), as a Gaussian of the same moments.
"""

import copy
from dataclasses import dataclass

import numpy as np

FIT_MOST = 350  #: sites that parameters are fitted to
ROUNDS, SETTLED = 12, 0.05  # of expectation propagation; dB that a site moves when it ends
SEARCHED = 50  #: sites from which a transmitter can be told from chance
SLOPES = (-65.0, -12.0)  # dB a decade that power falls by around a transmitter
NEAREST = 10.0  #: metres from the transmitter, within which log-distance is constant
SMALLEST = 0.05  # dB^2, of noise


@dataclass(frozen=True)
class Covariance:
    """amplitude, nugget, spread: dB; length: metres. See the module's equation: a, n, s, l."""

    amplitude: float
    length: float
    nugget: float
    spread: float

    def between(self, a, b):
        """Covariance [A, B] of the field at places [A, 2] and [B, 2]."""
        return self.amplitude**2 * np.exp(-distances(a, b) / self.length)

    def noise(self, sites):
        """Variance [M] of each site around the field."""
        return self.nugget**2 + self.spread**2 / sites.count + self.misplaced(sites.error) + SMALLEST

    def misplaced(self, error):
        """Variance from an error of the position of deviation `error` along each axis: |d| is a Rayleigh variable,
        whose exp(-|d| / l) has the mean 1 - sqrt(pi/2) u exp(u^2/2) erfc(u/sqrt 2), u = error / l."""
        from scipy.special import erfcx

        u = np.asarray(error) / self.length
        return 2 * self.amplitude**2 * np.sqrt(np.pi / 2) * u * erfcx(u / np.sqrt(2))


def distances(a, b):
    """[A, B] metres between places [A, 2] and [B, 2]."""
    from scipy.spatial.distance import cdist

    return cdist(a, b)


def trend(places, transmitter):
    """Columns [N, 1 or 2] of the trend at places [N, 2]: one, and log10 of metres / 100 to the transmitter, if any."""
    if hasattr(transmitter, "columns"):
        return transmitter.columns(places)
    one = np.ones((len(places), 1))
    if transmitter is None:
        return one
    metres = np.hypot(*(places - np.asarray(transmitter)).T)
    return np.hstack((one, np.log10(np.maximum(metres, NEAREST) / 100)[:, None]))


def prior_of(transmitter, columns):
    """(mean, precision) [columns] of the trend's coefficients; 1e-9 keeps a trend finite that no site tells of."""
    mean, precision = np.zeros(columns), np.zeros(columns)
    if hasattr(transmitter, "prior"):
        mean, precision = transmitter.prior()
    return mean, precision + 1e-9


def grid_of_transmitters(places, count=24, beyond=0.5):
    """[count^2, 2] places in the box around `places`, made larger by `beyond` of its longer side."""
    low, high = places.min(0), places.max(0)
    side = max(float((high - low).max()), 200.0) * beyond
    axes = [np.linspace(low[i] - side, high[i] + side, count) for i in (0, 1)]
    return np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)


class Kriging:
    """A fitted process. sites: `Sites`; transmitter: [2] metres, None (the trend is a constant), or "search"."""

    def __init__(self, sites, transmitter="search", rng=None):
        rng = rng or np.random.default_rng(1)
        few = sites if len(sites) <= FIT_MOST else sites.of(rng.permutation(len(sites))[:FIT_MOST])
        self.sites = sites
        known = None if isinstance(transmitter, str) else transmitter
        self.transmitter, self.covariance = known, _fit(few, known)
        if isinstance(transmitter, str):
            self._search(few)
        self._condition()

    def _search(self, few):
        """Take log-distance to the likeliest transmitter into the trend, if that is worth its three parameters."""
        if len(few) < SEARCHED:
            return
        before = _likelihood(self.covariance, few, None)
        found = likeliest_transmitter(few.places, _imputed(self.covariance, few, None), self.covariance, few)
        covariance = _fit(few, found, self.covariance)
        slope = _solve(covariance, few, found, _imputed(covariance, few, found))[1]
        gained = _likelihood(covariance, few, found) - before
        if gained > 3 * np.log(len(few)) and SLOPES[0] < slope[1] < SLOPES[1]:
            self.transmitter, self.covariance = found, covariance

    def _condition(self):
        from scipy.linalg import cho_solve, solve_triangular

        sites, k = self.sites, self.covariance
        noise, value = _sites_as_gaussian(k, sites, self.transmitter)
        self._noise, self._value = noise, value
        matrix = k.between(sites.places, sites.places)
        matrix[np.diag_indices(len(sites))] += noise
        self._factor = np.linalg.cholesky(matrix)
        t = trend(sites.places, self.transmitter)
        self._white_trend = solve_triangular(self._factor, t, lower=True)
        mean, precision = prior_of(self.transmitter, t.shape[1])
        self._gram = np.linalg.inv(self._white_trend.T @ self._white_trend + np.diag(precision))
        white = solve_triangular(self._factor, value - t @ mean, lower=True)
        self.coefficients = mean + self._gram @ self._white_trend.T @ white
        self._weights = cho_solve((self._factor, True), value - t @ self.coefficients)

    def of(self, sites):
        """The same process, conditioned on other `Sites`."""
        other = copy.copy(self)
        other.sites = sites
        other._condition()
        return other

    def mean(self, places):
        """[N] dB expected at places [N, 2]."""
        cross = self.covariance.between(places, self.sites.places)
        return trend(places, self.transmitter) @ self.coefficients + cross @ self._weights

    def predict(self, places, chunk=1024):
        """(mean [N], standard deviation [N]) in dB of the field at places [N, 2], without noise of a sample."""
        from scipy.linalg import solve_triangular

        identity = np.eye(len(self.sites))
        inverse = solve_triangular(self._factor, identity, lower=True).astype(np.float32)
        mean, variance = np.empty(len(places)), np.empty(len(places))
        for at in range(0, len(places), chunk):
            part = slice(at, at + chunk)
            cross = self.covariance.between(places[part], self.sites.places)
            t = trend(places[part], self.transmitter)
            mean[part] = t @ self.coefficients + cross @ self._weights
            white = cross.astype(np.float32) @ inverse.T
            rest = t - white @ self._white_trend
            known = np.einsum("ij,ij->i", white, white)
            variance[part] = self.covariance.amplitude**2 - known + np.einsum("ij,jk,ik->i", rest, self._gram, rest)
        return mean, np.sqrt(variance.clip(1e-6))

    def predict_raster(self, raster):
        """The same over a `Raster`: two arrays [rows, columns]."""
        shape = (raster.rows, raster.columns)
        return [part.reshape(shape) for part in self.predict(raster.centres().reshape(-1, 2))]

    def words(self):
        """What was fitted, as a sentence."""
        k = self.covariance
        text = f"{k.amplitude:.1f} dB over {k.length:.0f} m, {k.nugget:.1f} dB at one place"
        if self.transmitter is None:
            return f"{text}; no transmitter stands out"
        text += f"; power falls by the distance to the power of {-self.coefficients[1] / 10:.1f} from the transmitter"
        return text if len(self.coefficients) < 3 else f"{text}, behind roofs by {-self.coefficients[2] / 10:.2f} J"

    def noise_of(self, sites):
        """Variance [M] in dB^2 that a measured site has around the field."""
        return self.covariance.noise(sites)

    def draws(self, raster, count, rng):
        """[count, rows, columns] dB: draws of the field given the sites, by Matheron's rule (Journel and Huijbregts
        1978): a draw of the prior on the raster, and universal kriging of what it lacks at the sites. A site counts
        where its cell's middle is."""
        from scipy.linalg import cho_solve

        centres = raster.centres().reshape(-1, 2)
        row, column = raster.cell_of(self.sites.places)
        at = row * raster.columns + column
        places = centres[at]
        matrix = self.covariance.between(places, places)
        matrix[np.diag_indices(len(at))] += self._noise
        factor = (np.linalg.cholesky(matrix), True)
        drawn = _fields(self.covariance, raster, count, rng).reshape(count, -1)
        everywhere = trend(centres, self.transmitter)
        mean, precision = prior_of(self.transmitter, everywhere.shape[1])
        known = precision > 1e-6  # coefficients that have a prior are drawn, and corrected as the field is
        first = mean + np.where(known, rng.standard_normal((count, len(mean))) / np.sqrt(precision), 0)
        drawn += first @ everywhere.T
        noise = rng.standard_normal((count, len(at))) * np.sqrt(self._noise)
        lacking = (self._value - drawn[:, at] - noise).T
        t = everywhere[at]
        side = cho_solve(factor, t)
        b = np.linalg.lstsq(t.T @ side + np.diag(precision), side.T @ lacking, rcond=None)[0]
        weights = cho_solve(factor, lacking - t @ b)
        for start in range(0, len(centres), 8192):
            part = slice(start, start + 8192)
            cross = self.covariance.between(centres[part], places)
            drawn[:, part] += (everywhere[part] @ b + cross @ weights).T
        return drawn.reshape(count, raster.rows, raster.columns)


def likeliest_transmitter(places, value, covariance=None, sites=None):
    """[2] metres: where log-distance fits `value` [M] at places [M, 2] best with a power that falls, in the least
    squares of `covariance` and its noise at `sites` (None: ordinary ones)."""
    from scipy.linalg import solve_triangular

    factor = None
    if covariance is not None:
        matrix = covariance.between(places, places)
        matrix[np.diag_indices(len(places))] += covariance.noise(sites)
        factor = np.linalg.cholesky(matrix)

    def white(x):
        return x if factor is None else solve_triangular(factor, x, lower=True)

    one, y = white(np.ones(len(places))), white(value)
    y = y - one * (one @ y) / (one @ one)
    best, candidates = None, grid_of_transmitters(places)
    step = np.diff(np.unique(candidates[:, 0])).max()
    for _ in range(4):
        metres = np.maximum(distances(places, candidates), NEAREST)
        slopes = white(np.log10(metres))
        slopes = slopes - np.outer(one, one @ slopes) / (one @ one)
        fit = -(y @ slopes) / np.sqrt((slopes**2).sum(0).clip(1e-9))
        best = candidates[np.argmax(fit)]
        step /= 4
        candidates = best + step * np.stack(np.meshgrid(*[np.arange(-4, 5)] * 2), -1).reshape(-1, 2)
    return best


def _fit(sites, transmitter, start=None):
    """The `Covariance` of most marginal likelihood. Of two starts, a short and a long length, the better."""
    from scipy.optimize import minimize

    value, spread = sites.value, max(float(np.std(sites.value)), 1.0)
    far = max(float(np.ptp(sites.places, axis=0).max()), 20.0)
    bounds = [(np.log(0.3), np.log(60.0)), (np.log(2.0), np.log(20 * far)), (np.log(0.1), np.log(20.0))]
    bounds += [(np.log(0.1), np.log(20.0))]
    lengths = [far / 20, far / 3] if start is None else [start.length]
    best = None
    metres = distances(sites.places, sites.places)
    t = trend(sites.places, transmitter)
    prior = prior_of(transmitter, t.shape[1])
    base = t @ prior[0]
    for length in lengths:
        first = [spread, length, spread / 3, sites.spread] if start is None else [*vars(start).values()]
        x0 = np.log(np.array(first)).clip(*np.array(bounds).T)
        guess = Covariance(*np.exp(x0))
        value = _imputed(guess, sites, transmitter)
        told = metres, sites
        found = minimize(_negative, x0, (*told, value - base, t, prior[1]), jac=True, method="L-BFGS-B", bounds=bounds)
        if sites.censored.any():  # what the censored ones are taken for follows the parameters
            value = _imputed(Covariance(*np.exp(found.x)), sites, transmitter)
            more = (*told, value - base, t, prior[1])
            found = minimize(_negative, found.x, more, jac=True, method="L-BFGS-B", bounds=bounds)
        if best is None or found.fun < best.fun:
            best = found
    return Covariance(*(float(v) for v in np.exp(best.x)))


def _negative(x, metres, sites, value, t, precision=1e-9):
    """(-log likelihood, its gradient) at the logarithms of a Covariance's numbers; the trend, of coefficients around 0
    with `precision`, is integrated out (R&W 2.45)."""
    from scipy.linalg import cho_solve, solve_triangular

    k = Covariance(*np.exp(x))
    field = k.amplitude**2 * np.exp(-metres / k.length)
    matrix = field.copy()
    misplaced = k.misplaced(sites.error)
    matrix[np.diag_indices(len(value))] += k.nugget**2 + k.spread**2 / sites.count + misplaced + SMALLEST
    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return 1e12, np.zeros_like(x)
    white = solve_triangular(factor, t, lower=True)
    gram = white.T @ white + precision * np.eye(t.shape[1])
    inverse = cho_solve((factor, True), np.eye(len(value)))
    side = inverse @ t
    project = inverse - side @ np.linalg.solve(gram, side.T)
    alpha = project @ value
    cost = 0.5 * value @ alpha + np.log(np.diag(factor)).sum() + 0.5 * np.linalg.slogdet(gram)[1]
    cost += 0.5 * (len(value) - t.shape[1]) * np.log(2 * np.pi)
    outer = project - np.outer(alpha, alpha)
    diagonal = np.diag(outer)
    # The misplaced part moves with amplitude and length as well; its own derivative by length is taken numerically.
    longer = Covariance(k.amplitude, k.length * 1.001, k.nugget, k.spread).misplaced(sites.error)
    gradient = [
        np.sum(outer * field) + diagonal @ misplaced,
        0.5 * np.sum(outer * field * metres) / k.length + 0.5 * diagonal @ (longer - misplaced) / np.log(1.001),
        diagonal.sum() * k.nugget**2,
        diagonal @ (k.spread**2 / sites.count),
    ]
    return cost, np.array(gradient)


def _likelihood(covariance, sites, transmitter):
    """Log likelihood with the trend's coefficients at their best (to compare trends, whose flat priors differ)."""
    value = _imputed(covariance, sites, transmitter)
    factor, b, rest = _solve(covariance, sites, transmitter, value)
    return -0.5 * rest @ rest - np.log(np.diag(factor)).sum()


def _solve(covariance, sites, transmitter, value):
    """(Cholesky factor, trend's coefficients, whitened residual)."""
    from scipy.linalg import solve_triangular

    matrix = covariance.between(sites.places, sites.places)
    matrix[np.diag_indices(len(sites))] += covariance.noise(sites)
    factor = np.linalg.cholesky(matrix)
    t = solve_triangular(factor, trend(sites.places, transmitter), lower=True)
    y = solve_triangular(factor, value, lower=True)
    b = np.linalg.lstsq(t, y, rcond=None)[0]
    return factor, b, y - t @ b


def _imputed(covariance, sites, transmitter):
    """Values [M], those of censored sites replaced by what is expected of them."""
    return _sites_as_gaussian(covariance, sites, transmitter)[1] if sites.censored.any() else sites.value


def _sites_as_gaussian(covariance, sites, transmitter):
    """(variance [M], value [M]) of Gaussian measurements of the field that stand for all sites: the uncensored ones as
    they are, a censored one by expectation propagation."""
    noise, value = covariance.noise(sites), sites.value.astype(float).copy()
    hidden = np.flatnonzero(sites.censored)
    if not len(hidden):
        return noise, value
    from scipy.stats import norm

    t = trend(sites.places, transmitter)
    # The trend enters with a wide Gaussian prior around the values' mean, so that one covariance holds all.
    mean0, precision = prior_of(transmitter, t.shape[1])
    middle = t @ mean0
    middle = middle + float((value - middle).mean())
    prior = covariance.between(sites.places, sites.places) + (t / np.maximum(precision, 1e-4)) @ t.T
    own = noise[hidden].copy()
    variance = noise.copy()
    variance[hidden] += covariance.amplitude**2
    value[hidden] -= 0.5 * covariance.amplitude
    for _ in range(ROUNDS):
        matrix = prior.copy()
        matrix[np.diag_indices(len(value))] += variance
        gain = np.linalg.solve(matrix, prior[:, hidden]).T
        mean = middle[hidden] + gain @ (value - middle)
        spread = (np.diag(prior)[hidden] - np.einsum("ij,ji->i", gain, prior[:, hidden])).clip(1e-9)
        left = (1 / spread - 1 / variance[hidden]).clip(1e-9)  # the cavity: without the site's own word
        cavity = (mean / spread - value[hidden] / variance[hidden]) / left
        width = np.sqrt(1 / left + own)
        z = (sites.value[hidden] - cavity) / width
        ratio = np.exp(norm.logpdf(z) - norm.logcdf(z))
        new_mean = cavity - ratio / (left * width)
        new_spread = (1 / left - ratio * (z + ratio) / (left * width) ** 2).clip(1e-9)
        precision = (1 / new_spread - left).clip(1e-6)
        word = (new_mean / new_spread - cavity * left) / precision
        moved = np.abs(word - value[hidden]).max()
        variance[hidden] = 1 / (0.5 / variance[hidden] + 0.5 * precision)
        value[hidden] = 0.5 * value[hidden] + 0.5 * word
        if moved < SETTLED:
            break
    return variance, value


def _fields(covariance, raster, count, rng):
    """[count, rows, columns]: fields whose differences between cells are those of the process, by intrinsic embedding
    (Stein 2002) in a torus of twice the raster's diagonal:

        a^2 exp(-r / l) = phi(r) + c0 - c2 r^2,   phi(R) = phi'(R) = 0

    phi is embedded, a plane of random slope (variance 2 c2 along each axis) makes up for c2 r^2, and c0, which all
    cells have in common, is left to what the field is measured at. So the length may be far beyond the raster."""
    half = int(np.ceil(np.hypot(raster.rows, raster.columns)))
    reach, power = half * raster.step, covariance.amplitude**2
    offset = np.minimum(np.arange(2 * half), 2 * half - np.arange(2 * half)) * raster.step
    metres = np.hypot(offset[:, None], offset)
    end = power * np.exp(-reach / covariance.length)
    bend = end / (2 * covariance.length * reach)
    kernel = power * np.exp(-metres / covariance.length) + bend * metres**2 - end - bend * reach**2
    spectrum = np.fft.fft2(np.where(metres < reach, kernel, 0)).real.clip(0)
    root = np.sqrt(spectrum) / (2 * half)
    out = np.empty((count, raster.rows, raster.columns))
    for i in range(0, count, 2):  # real and imaginary part are two draws
        white = rng.standard_normal((2, 2 * half, 2 * half))
        field = np.fft.fft2(root * (white[0] + 1j * white[1]))[: raster.rows, : raster.columns]
        out[i : i + 2] = np.stack((field.real, field.imag))[: count - i]
    slope = np.sqrt(2 * bend) * rng.standard_normal((count, 2))
    centred = raster.centres() - raster.centres().mean((0, 1))
    return out + np.einsum("ki,rci->krc", slope, centred)

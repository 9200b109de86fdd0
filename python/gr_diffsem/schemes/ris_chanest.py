# SPDX-License-Identifier: GPL-3.0-or-later
"""Cascaded channel through a reconfigurable surface whose phases are noisy: Y = H (Phi . exp(j theta)) + N.

A base station of 8 antennas sees one user by way of a surface of 32 elements. The cascaded channel
H = G diag(h) [8, 32] is estimated from 16 patterns of phases, columns of a unitary matrix with QPSK entries (elements
of 2 bits). Each element errs at each pattern by a phase theta of its own, Gaussian of known deviation: with
rho = E exp(j theta) = exp(-deviation^2 / 2) the measurement is

    Y / rho = H Phi + W,   W = H (Phi . (exp(j theta) / rho - 1)) + N / rho,                              (1)

where what the phases add has the covariance (1 / rho^2 - 1) H H^H over the antennas, N elements' power taken together,
independent from pattern to pattern. It comes from where the signal comes from: it is not white, and it depends on H.
So the network is told the deviation and has learned the posterior behind (1); what a sampler goes by is the mean
variance, `measurement`. After Tong et al., score-based estimation of RIS channels with phase noise, and T. Salimans
and J. Ho 2022 (progressive distillation). Signals are simulated here.
"""

from functools import lru_cache, partial

import numpy as np

from ..air import measure
from ..base import model_packages
from ..base.signal import complex_noise32
from ..models.pilot_gains import pilot_basis, surface
from .base import Claim, Network, Scheme, add_snr

RX, ELEMENTS, PATTERNS = 8, 32, 16
BASIS = pilot_basis(ELEMENTS)  # column q: the phases of pattern q over sqrt(ELEMENTS)
PHASE_NOISE = 0.35  # rad, 20 degrees: of an evaluation
MOST = 0.6  # rad that the network has seen
PATHS = 3  # of either hop: the line of sight and two more
RICE_DB = (10.0, 5.0)  # line of sight over all else: base station to surface, surface to user
SECTOR = np.pi / 3  # angles lie within it, on both sides of broadside
OBSERVED = np.broadcast_to(np.arange(ELEMENTS) < PATTERNS, (RX, ELEMENTS))
FIT = 40_000  # channels of the average covariance
DRAWS = 8  # whose mean is one answer
GREEDY, ON_GRID = "greedy, grid twice as fine", "greedy, on the grid"
IGNORING, WHITE = "the same prior, phase noise ignored", "the same prior, phase noise taken for white"
AVERAGED = f"mean of {DRAWS} draws of student4"
PUBLISHED_ON = "its authors' mmWave simulation, its phase noise and patterns not ours"
STOPS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.6, 2.0, 2.5, 3.0)  # what greedy recovery may leave, over the noise


def attenuation(phase_noise):
    """rho = E exp(j theta): what is left of a field whose phases are Gaussian of this deviation, rad."""
    return np.exp(-np.square(phase_noise) / 2)


def measurement(y, noise_var, phase_noise):
    """(y / rho, its mean noise variance) of y and the variance of the receiver's noise alone: (1), for H of unit
    power."""
    rho = attenuation(phase_noise)
    return y / rho, (noise_var + 1 - rho**2) / rho**2


def draw(rng, n):
    """n cascaded channels [n, 8, 32], complex64, each of unit mean power per element."""

    def waves(sines, count):
        return np.exp(1j * np.pi * sines[..., None] * np.arange(count))

    def gains(rice_db):
        other = 10 ** (-rice_db / 10) / (PATHS - 1)
        g = np.sqrt(other) * complex_noise32(rng, (n, PATHS))
        g[:, 0] = np.exp(2j * np.pi * rng.random(n))
        return g

    at_base, leaving, coming = (np.sin(rng.uniform(-SECTOR, SECTOR, (n, PATHS))) for _ in range(3))
    rows = waves(at_base, RX) * gains(RICE_DB[0])[..., None]
    user = np.sum(waves(coming, ELEMENTS) * gains(RICE_DB[1])[..., None], 1)
    h = np.einsum("npr,npe->nre", rows, waves(leaving, ELEMENTS)) * user[:, None]
    return (h / np.sqrt(np.mean(np.abs(h) ** 2, (1, 2), keepdims=True))).astype(np.complex64)


def seen(h, noise_var, phase_noise, rng):
    """What comes in of channels [n, 8, 32]: Y [n, 8, 32], whose columns behind PATTERNS were not sent and are 0.

    noise_var, phase_noise: numbers, or [n]. Every element errs at every pattern by a phase of its own."""
    nv, deviation = (np.reshape(v, (-1, 1, 1)).astype(np.float32) for v in (noise_var, phase_noise))
    theta = deviation * rng.standard_normal((len(h), ELEMENTS, PATTERNS), np.float32)
    y = np.zeros(h.shape, np.complex64)
    sent = BASIS[:, :PATTERNS] * np.exp(1j * theta)
    y[..., :PATTERNS] = h @ sent + np.sqrt(nv) * complex_noise32(rng, (len(h), RX, PATTERNS))
    return y


# ---- baselines ----


class AverageLmmse:
    """Linear MMSE of x = H Phi from Y, with the average covariance [256, 256] of x and that of all that (1) adds."""

    def __init__(self, covariance):
        self.covariance = covariance
        whole = covariance.reshape(RX, ELEMENTS, RX, ELEMENTS)
        self.rows = np.einsum("aebe->ab", whole) / ELEMENTS  # E H H^H over the elements

    @lru_cache(maxsize=8)  # noqa: B019 (a few per evaluation)
    def gain(self, noise_var, phase_noise):
        there = OBSERVED.ravel()
        rho = attenuation(phase_noise)
        noise = (noise_var * np.eye(RX) + (1 - rho**2) * self.rows) / rho**2
        total = self.covariance[np.ix_(there, there)] + np.kron(noise, np.eye(PATTERNS))
        return self.covariance[:, there] @ np.linalg.inv(total) / rho

    def __call__(self, y, noise_var, phase_noise):
        """x [n, 256] of y [n, 8, 32]."""
        return y.reshape(len(y), -1)[:, OBSERVED.ravel()] @ self.gain(noise_var, phase_noise).T


class Greedy:
    """Orthogonal matching pursuit over plane waves on both sides, `fine` times as many as antennas (Tropp and Gilbert
    2007): the path that explains most of what is left, then all gains by least squares anew, until what is left is
    `stop` times the noise."""

    def __init__(self, fine):
        def waves(count):
            sines = np.arange(fine * count) / (fine * count)
            return np.exp(2j * np.pi * np.outer(np.arange(count), sines)) / np.sqrt(count)

        self.rows, self.columns = waves(RX), BASIS.T @ waves(ELEMENTS)  # [8, A], [32, B] of H Phi
        self.sent = self.columns[:PATTERNS]
        self.norms = np.linalg.norm(self.sent, axis=0)

    def __call__(self, y, variance, stop, most=24):
        """x [n, 256] of y [n, 8, 32] = H Phi + noise of this mean variance."""
        return np.stack([self.one(item[:, :PATTERNS], stop * variance * RX * PATTERNS, most) for item in y])

    def one(self, y, limit, most):
        left, chosen, atoms = y, [], np.empty((y.size, 0), complex)
        found = np.zeros(RX * ELEMENTS, complex)
        while np.sum(np.abs(left) ** 2) > limit and len(chosen) < most:
            match = np.abs(self.rows.conj().T @ left @ self.sent.conj()) / self.norms
            a, b = np.unravel_index(np.argmax(match), match.shape)
            if (a, b) in chosen:
                break
            chosen.append((a, b))
            atoms = np.column_stack((atoms, np.outer(self.rows[:, a], self.sent[:, b]).ravel()))
            gains = np.linalg.lstsq(atoms, y.ravel(), rcond=None)[0]
            left = y - (atoms @ gains).reshape(y.shape)
            found = sum(
                g * np.outer(self.rows[:, a], self.columns[:, b]) for g, (a, b) in zip(gains, chosen, strict=True)
            ).ravel()
        return found


def best_stop(greedy, noise_var, phase_noise, count=60):
    """The `stop` of least error at this noise, on channels of a seed of their own that no evaluation sees."""
    rng = np.random.default_rng(4242)
    h = draw(rng, count)
    x = (h @ BASIS).reshape(count, -1)
    y, variance = measurement(seen(h, noise_var, phase_noise, rng), noise_var, phase_noise)
    return min(STOPS, key=lambda stop: np.sum(np.abs(greedy(y, variance, stop) - x) ** 2))


# ---- the scheme ----


class RisChanest(Scheme):
    name, title = "ris_chanest", "Cascaded channel through a reconfigurable surface with phase noise"
    reference = (
        "Tong et al., score-based generative model for RIS cascaded channels with phase noise; "
        "T. Salimans and J. Ho 2022 (progressive distillation)"
    )
    shape, axes = (RX, ELEMENTS), ("antenna", "pattern")
    condition = ({"name": "phase_noise", "type": "float32", "shape": [], "null": 0.0, "least": 0.0, "most": MOST},)
    operator = "mask"
    snr_definition = "mean power of a received pilot without phase noise over the receiver's noise, per antenna"
    snr_db = (-10, 0, 10, 20)
    training_snr_db = (-14.0, 26.0)
    evaluations = ()
    realisations = 24
    top, bottom = 30.0, 0.03  # levels of the full sampler, over a signal of unit power
    steps = 256
    samplers = {"full": steps, "ddim32": 32, "ddim4": 4}  # of the network as it was trained
    students = {"student32": (steps, 32), "student4": (32, 4)}  # evaluations of the teacher, and of the student
    plan = {"type": "geometric", "steps": 10, "sigma_max": top, "sigma_min": bottom}
    data = (
        f"drawn as training goes: {PATHS} paths of either hop at uniform angles up to {np.rad2deg(SECTOR):.0f} "
        f"degrees off broadside, lines of sight {RICE_DB[0]:g} and {RICE_DB[1]:g} dB above all others, unit power; "
        f"phase noise of 0 to {MOST:g} rad, Gaussian, independent; simulated"
    )
    baselines = ("covariance.npy",)

    def sample(self, rng, n):
        deviation = rng.uniform(0, MOST, n).astype(np.float32)
        return (draw(rng, n) @ BASIS).astype(np.complex64), {"phase_noise": deviation}

    def training(self):
        def made(scheme, member, network, args, folder):
            from ..models.distillation import Distillation
            from ..models.training import Training

            return (Distillation if member in self.students else Training)(scheme, member, network, args, folder)

        return made

    def halvings(self, member):
        """(levels of the teacher, of the student, first, last level of the teacher) of what is distilled."""
        start, end = self.students[member]
        return start, end, self.top, self.last_level(start)

    def last_level(self, steps):
        """The lowest of `steps` levels, those of the full sampler each so many apart."""
        apart = self.steps // steps
        return float(self.top * (self.bottom / self.top) ** ((self.steps - apart) / (self.steps - 1)))

    def batch(self, rng, n, prior_share):
        x, told = self.sample(rng, n)
        deviation = np.where(rng.random(n) < 0.15, 0, told["phase_noise"]).astype(np.float32)
        nv = 10 ** (-rng.uniform(*self.training_snr_db, n) / 10)
        return self.observed(x, nv, deviation, rng, prior_share)

    def observed(self, x, nv, deviation, rng, prior_share=0):
        """The batch of signals x [n, 8, 32] measured at these noise variances and phase noises [n]."""
        nv, deviation = (np.broadcast_to(v, len(x)) for v in (nv, deviation))
        y = seen(x @ BASIS.conj().T, nv, deviation, rng)
        y, variance = measurement(y, *(v[:, None, None] for v in (nv, deviation)))
        there = np.array(np.broadcast_to(OBSERVED, x.shape))
        sigma = np.where(there, np.sqrt(variance), measure.SIGMA_RANGE[1]).clip(*measure.SIGMA_RANGE)
        batch = measure.Batch(x, y.astype(np.complex64), sigma.astype(np.float32), there)
        batch = measure.as_prior_state(batch, prior_share, rng) if prior_share else batch
        return measure.conditioned(batch, {"phase_noise": np.array(deviation, np.float32)})

    def validation(self):
        def at(deviation, snr_db):
            rng = np.random.default_rng(9000)
            batch = self.observed(self.sample(rng, 400)[0], 10 ** (-snr_db / 10), deviation, rng)
            batch.observed[:] = True  # errors count everywhere
            return batch

        return {f"phase noise {d:g}": partial(at, d) for d in (PHASE_NOISE, 0.0)}

    def networks(self):
        titles = {name: f"a draw in {k} evaluations, distilled from {n}" for name, (n, k) in self.students.items()}
        return {
            "diffusion": Network(surface, "posterior mean, one step", 0.5, minutes=18, batch=64),
            **{name: Network(surface, title, 0, minutes=8, batch=64, rate=4e-4) for name, title in titles.items()},
        }

    def classical(self):
        prior = {"type": "onnx", "file": "diffusion.onnx"}
        return {name: {"title": f"a draw in {k} evaluations", "prior": prior} for name, k in self.samplers.items()}

    def choices(self, member):
        choices = super().choices(member)
        if member is not None:
            choices["guard"] = False  # which takes what is left for white
        steps = self.samplers.get(member) or self.students.get(member, (0, 0))[1]
        if not steps:
            return choices
        plan = {**self.plan, "steps": steps, "sigma_min": self.last_level(steps)}
        return {**choices, "start": {"type": "noise"}, "sampler": {"type": "ddim"}, "plan": plan}

    def tensors(self, progress=print):
        progress(f"average covariance of {FIT:,} channels")
        x = (draw(np.random.default_rng(12), FIT) @ BASIS).reshape(FIT, -1)
        return {"covariance.npy": (x.T @ x.conj() / FIT).astype(np.complex64)}

    def claims(self):
        claims = []
        for snr in self.snr_db:
            for name, (_, k) in self.students.items():
                text = f"{k} evaluations by distillation against {self.steps} at {snr} dB"
                claims.append(Claim(text, name, snr, "full", gate=0.3))
        for snr in self.snr_db:
            claims.append(Claim(f"below greedy recovery at {snr} dB", "diffusion", snr, GREEDY, gate=-3.0))
            claims.append(Claim(f"mean of draws below greedy recovery at {snr} dB", AVERAGED, snr, GREEDY, gate=-3.0))
        text = "the phase noise in the model against the same prior without at {} dB"
        return claims + [
            Claim(text.format(snr), "diffusion", snr, IGNORING, -3.74, published_on=PUBLISHED_ON) for snr in self.snr_db
        ]

    def measure(self, estimate, members, count, seed, snr_db):
        folder, _ = model_packages.locate(self.name, checkout_first=True)
        lmmse = AverageLmmse(np.load(folder / "covariance.npy"))
        h = draw(np.random.default_rng([seed, 1]), count)
        x = (h @ BASIS).reshape(count, -1)
        nmse, spread = "NMSE of H, dB", "distance of a draw to the mean, over the mean's error"
        results = {nmse: {}, spread: {}}
        for db in snr_db:
            nv = 10 ** (-db / 10)
            y = seen(h, nv, PHASE_NOISE, np.random.default_rng([seed, 2]))  # the same noise at all SNRs
            found = dict(self._answers(estimate, members, y, nv))
            found["LMMSE"] = lmmse(y, nv, PHASE_NOISE)
            found["least squares"] = np.where(OBSERVED, y / attenuation(PHASE_NOISE), 0).reshape(count, -1)
            z, variance = measurement(y, nv, PHASE_NOISE)
            for name, fine in ((ON_GRID, 1), (GREEDY, 2)):
                greedy = Greedy(fine)
                found[name] = greedy(z, variance, best_stop(greedy, nv, PHASE_NOISE))
            for name, answer in found.items():
                add_snr(results[nmse], name, power(answer - x), power(x))
                if name in (*self.samplers, *self.students) and "diffusion" in found:
                    mean = found["diffusion"]
                    add_snr(results[spread], name, power(answer - mean), power(x - mean))
        return results

    def _answers(self, estimate, members, y, nv):
        """(name, x) of all that the package's networks say of y [R, 8, 32]."""
        z, variance = (v.reshape(len(y), -1) if np.ndim(v) else v for v in measurement(y, nv, PHASE_NOISE))

        def asked(spec, y, nv, phase_noise):
            return estimate(f"{spec}:phase_noise={phase_noise}", y, np.where(OBSERVED.ravel(), nv, np.inf))[0]

        for member in members:
            yield member, asked(member, z, variance, PHASE_NOISE)
        if "diffusion" in members:
            yield IGNORING, asked("diffusion", y.reshape(len(y), -1), nv, 0)
            yield WHITE, asked("diffusion", z, variance, 0)
        if "student4" in members:
            draws = asked("student4", np.repeat(z, DRAWS, 0), variance, PHASE_NOISE)
            yield AVERAGED, draws.reshape(len(z), DRAWS, -1).mean(1)

    def card(self):
        return (
            "Simulated channels alone. For one user with one antenna, a linear array and a linear surface at half a "
            "wavelength, elements of 2 bits, the phase noise Gaussian, independent from element to element and pattern "
            "to pattern, of known deviation; H of unit power (the receiver's gain control is taken for right) and the "
            "noise level known. Give Y / rho and its mean variance (`schemes.ris_chanest.measurement`), tell the "
            "patterns that were not sent as not observed, and the deviation as `phase_noise` (0 to "
            f"{MOST:g} rad). H is the answer times U^H (`BASIS`). `diffusion` is the posterior mean in one evaluation; "
            "`full`, `ddim32`, `ddim4` and the students end in draws, whose error is up to 3 dB larger by nature. "
            "Other counts of patterns, paths or clusters of paths were not tried."
        )


def power(x):
    """Sum over each item [R] of signals [R, N]."""
    return np.sum(np.abs(x) ** 2, 1)


SCHEME = RisChanest()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scheme's file says: the signal, clean samples, networks, members, claims.

A scheme is an instance of a subclass of `Scheme`, called SCHEME in its own file, here or anywhere.
Whatever has a default here need not be repeated; docs/add_a_scheme.md walks through one.
"""

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from ..air import measure
from ..base.errors import UserError


@dataclass(frozen=True)
class Claim:
    """One number a scheme is held to: the NMSE of `member` at `snr_db`, in dB; with `against` (a
    member or an estimator of the test data) the difference to that one's. Holds if <= `gate`.
    `data`: the part of the test data that counts (its `TestData.name`; None: all of it). `published`: the
    literature's number, and `published_on` the data that it was measured on, in words that say whether they are
    these: the two stand beside each other in tables."""

    name: str
    member: str
    snr_db: float
    against: str | None = None
    published: float | None = None
    gate: float | None = None
    data: str | None = None
    published_on: str | None = None


@dataclass(frozen=True)
class RateClaim(Claim):
    """A claim on the rate `quantity` of `Scheme.measure`, of words or packets that are wrong: its value at `snr_db`;
    with `reached` the SNR in dB at which that rate is reached, by straight lines in its logarithm between the SNRs
    (`snr_db` is None then). With `against` the ratio to that one's rate, or the difference of the SNRs. `runs`: the
    member of the package that it is about, where `member` names a method."""

    quantity: str = ""
    reached: float | None = None
    runs: str | None = None


@dataclass
class TestData:
    """What an evaluation measures on. truth: [count, N] complex64 (of real data float32), E|x|^2 = 1. observed: [N]
    bool or None (all). matrix: [M, N] or None. estimators: {name: f(y, noise_var) -> mean}, closed forms and genies
    that are no members of the package. A list of these may be given, each a kind of signal; what has a `name` is
    reported apart too, and its estimators may be its own under the same names. condition: {name: array [count, ...]},
    what a conditional prior is told. forward: f(truth) -> clean measurement [count, M], of the operator `network`.
    counted: [N] bool, the elements where errors count; None: the observed ones, behind a matrix all."""

    truth: np.ndarray
    observed: np.ndarray | None = None
    matrix: np.ndarray | None = None
    estimators: dict = field(default_factory=dict)
    name: str | None = None
    condition: dict = field(default_factory=dict)
    forward: object = None
    counted: np.ndarray | None = None


@dataclass(frozen=True)
class Network:
    """How one member is trained. build() -> torch module; prior_share: share of a batch's rows that
    are states of a sampler instead of plain measurements (0: measurements only, mean squared error
    at the measurement, no diffusion prior). vjp: its derivative is exported beside it, for guidance that
    goes through it."""

    build: object
    title: str
    prior_share: float = 0.25
    minutes: float = 10.0
    batch: int = 1024
    rate: float = 2e-3
    vjp: bool = False


MATRIX = "matrix.npy"  # what a scheme with operator = "matrix" may have among its tensors


def operator_file(choice):
    """The .npy file that an operator names, or may have (`matrix`): (name, whether it must be there)."""
    keys = typed(choice)
    named = next((v for v in keys.values() if isinstance(v, str) and v.endswith(".npy")), None)
    return (named, True) if named else (MATRIX if keys["type"] == "matrix" else None, False)


def typed(choice):
    """A name, or a dict with a `type` and keys, as such a dict."""
    return dict(choice) if isinstance(choice, dict) else {"type": choice}


DATA_UNKNOWN = "data that the claim does not name: perhaps others than these"


def published_on(claim):
    """What data a claim's published number (the claim as a dict) was measured on; None where there is none."""
    return None if claim.get("published") is None else claim.get("published_on") or DATA_UNKNOWN


def add_snr(rows, name, errors, powers):
    """One SNR more, errors and powers [R], of a method in the rows {method: (errors [S, R], powers [S, R])} of
    `Scheme.measure`."""
    new = (np.asarray(errors, float)[None], np.asarray(powers, float)[None])
    rows[name] = tuple(np.concatenate(pair) for pair in zip(rows[name], new, strict=True)) if name in rows else new


def rate_claim(claim):
    """A `RateClaim` of a manifest (a dict) as a line."""
    what, gate = f"{claim['quantity']} of `{claim['member']}`", claim["gate"]
    other = f" that of `{claim['against']}`" if claim.get("against") else ""
    if claim["reached"] is None:
        return f"{claim['name']}: {what} at {claim['snr_db']:g} dB" + (other and f" over{other}") + f" at most {gate}"
    less = other and f", less{other},"
    return f"{claim['name']}: SNR at which {what} is {claim['reached']:g}{less} at most {gate} dB"


def nmse_claim(claim):
    """A `Claim` of a manifest (a dict) as a line: what is measured, its gate, what is published and on which data."""
    if claim.get("quantity"):
        return rate_claim(claim)
    against = f" minus that of `{claim['against']}`" if claim.get("against") else ""
    text = f"{claim['name']}: NMSE of `{claim['member']}`{against} at {claim['snr_db']:g} dB"
    if claim.get("gate") is not None:
        text += f" at most {claim['gate']} dB"
    if claim.get("published") is not None:
        text += f"; published {claim['published']} dB, on {published_on(claim)}"
    return text


class Scheme:
    """Base of all schemes. Subclasses set the attributes and override `sample` at least."""

    name = ""
    title = ""
    reference = ""
    source = None  # the file it was read from, where that is not one of this package; set by what reads it
    version = "1"
    licence = "GPL-3.0-or-later"
    passed_on = True  # False: the data's licence is not stated, and no package is shipped; who has the data trains one
    domain = "complex"  # "real": [n, *shape] float32; "image": photographs, measured by `gr-diffsem eval semantic_link`
    # what the networks are told beside x and sigma: ({"name": "class", "type": "int64", "shape": [], "null": -1},)
    condition: tuple = ()
    drop = 0.1  # share of training items whose conditions are replaced by their `null`
    shape = (64,)
    axes = ("carrier",)
    gain = "unit"
    default = "diffusion"
    # Or with its keys: {"type": "convolution", "taps": [1, 0.5]}; a .npy file is one of `tensors`. "matrix" ships the
    # MATRIX that `tensors` gives; without it the flowgraph has to give one.
    operator = "identity"
    # {member: member that answers in its place where its estimate contradicts the measurement}; none: least squares
    fallbacks: dict = {}
    # {member: number of observed elements below which its fallback answers at once}; none: it always answers itself
    fewest_observed: dict = {}
    start = "matched"  # "noise" where the measurement is no look at the signal's own elements
    cost_unit = "estimate"  # what the multiply-adds of a network are counted for
    snr_definition = "mean signal power over noise variance, per complex element"
    snr_db = (-10, -5, 0, 5, 10, 15, 20)
    baselines = ()  # files of `tensors` that no member names: what the estimators of `test_data` read
    realisations = 2000  # that `gr-diffsem eval` takes where none are asked for: fewer where one costs seconds
    rivals: tuple = ()  # other packages whose default member is measured on the same samples
    evaluations = (1, 3, 10, 30)  # of the default member with posterior_mean, in an evaluation
    training_snr_db = (-12.0, 34.0)
    data = ""
    seed = 1
    # steps of the multi-step samplers that a user may choose instead of one step
    plan = {"type": "geometric", "steps": 10, "sigma_min": 0.01}

    # ---- what is trained ----

    def networks(self):
        """{member: Network}. Build functions import torch themselves."""
        return {}

    def training(self):
        """The class that trains its networks."""
        from ..models.training import Training

        return Training

    def adapting(self):
        """The class that adapts its networks to looks of a recording (`train --from`); None where there is none."""

    def sample(self, rng, n):
        """n clean signals, complex64 (of real data float32) [n, *shape], E|x|^2 = 1 over the data set; with `condition`
        (signals, {name: array [n, ...]})."""
        raise NotImplementedError

    def drawn(self, rng, n):
        """(signals, conditions) of sample(), none of them dropped."""
        drawn = self.sample(rng, n)
        return drawn if isinstance(drawn, tuple) else (drawn, {})

    def power_warning(self, count=1000):
        """A sentence where the data have not the unit power that the gain "unit" declares, to 1 dB; else ""."""
        if self.gain != "unit" or self.domain == "image":
            return ""
        power = float(np.mean(np.abs(self.drawn(np.random.default_rng(self.seed + 9000), count)[0]) ** 2))
        if 0.8 < power < 1.25:
            return ""
        return (
            f"scheme {self.name}: E|x|^2 of its samples is {power:.3g}, and gain 'unit' says 1, which noise levels and "
            f"guidance go by: scale what sample() gives, or declare gain 'measured'"
        )

    def dropped(self, rng, condition):
        """The same conditions, a share `drop` of the items without them: what is compared with in classifier-free
        guidance (Ho and Salimans 2022) is learned so. Those that have no `null` stay."""
        gone = rng.random(len(next(iter(condition.values())))) < self.drop if condition else None
        out = {}
        for said in self.condition:
            values = np.array(condition[said["name"]], said["type"])
            if "null" in said:
                values[gone] = np.asarray(said["null"], values.dtype)
            out[said["name"]] = values
        return out

    def batch(self, rng, n, prior_share):
        """n training pairs (air.measure.Batch). The default: every element observed, with equal
        noise, at SNRs uniform in dB over `training_snr_db`."""
        h, condition = self.drawn(rng, n)
        db = rng.uniform(*self.training_snr_db, (n, *[1] * len(self.shape)))
        nv = (10 ** (-db / 10)).astype(np.float32)
        observed = np.ones(h.shape, bool)
        batch = measure.observe(h, nv, nv, observed, rng, self.gain)
        batch = measure.as_prior_state(batch, prior_share, rng) if prior_share else batch
        return measure.conditioned(batch, self.dropped(rng, condition))

    def batch_of(self, member, rng, n, prior_share):
        """The same for one member, where members learn from data of their own."""
        return self.batch(rng, n, prior_share)

    def check_batch(self, batch):
        """Refuse training data that are not what the scheme says of itself."""
        real = self.domain == "real"
        if real == np.iscomplexobj(batch.clean) or batch.clean.shape[1:] != tuple(self.shape):
            kind = "real" if not np.iscomplexobj(batch.clean) else "complex"
            raise UserError(
                f"scheme {self.name} is of {self.domain} signals {list(self.shape)}, its samples are {kind} "
                f"{list(batch.clean.shape[1:])}: correct domain and shape, or sample()"
            )
        if not all(np.all(np.isfinite(part)) for part in (batch.clean, batch.state, batch.sigma)):
            raise UserError(f"scheme {self.name}: its samples hold NaN or infinite values: correct sample() or batch()")
        names, given = [said["name"] for said in self.condition], list(getattr(batch, "condition", {}))
        if names != given:
            raise UserError(
                f"scheme {self.name} declares the conditions {names}, its batches come with {given}: let sample() or "
                f"batch() give them in that order"
            )

    def operator_network(self):
        """The torch module f of y = f(x) + n, for the operator `network`: [B, 2, *shape] planes of x itself (of real
        data [B, *shape]) to planes of y. Its derivative is exported beside it."""
        return None

    def codec(self):
        """(encoder, decoder), torch modules, of a scheme whose signal is a latent: content [B, *content], real, to
        planes of the latent [B, 2, *shape] (of a real one [B, *shape]), and back."""
        return None

    def has_operator_network(self):
        return type(self).operator_network is not Scheme.operator_network

    def has_codec(self):
        return type(self).codec is not Scheme.codec

    def validation(self):
        """{name: SNR in dB -> Batch} that training reports on; never seen in training."""

        def at(snr_db):
            rng = np.random.default_rng(self.seed + 9000)
            h, condition = self.drawn(rng, 2000)
            nv = np.float32(10 ** (-snr_db / 10))
            batch = measure.observe(h, nv, nv, np.ones(h.shape, bool), rng, self.gain)
            return measure.conditioned(batch, condition)

        return {"all": at}

    # ---- what is shipped ----

    def write_network(self, net, path, network, facts):
        """Write a trained torch module as a self-describing .onnx; its largest difference to torch."""
        from ..models import graph_export, onnx_export

        error = onnx_export.write(net, path, self, network, facts)
        if network.vjp:
            graph_export.write_denoiser_vjp(net, path.with_name(f"{path.stem}_vjp.onnx"), self)
        return error

    def signal(self):
        """The manifest's `signal`."""
        return {"domain": self.domain, "shape": list(self.shape), "axes": list(self.axes), "gain": self.gain}

    def choices(self, member):
        """What the manifest says of a network besides its prior: operator, start, sampler and plan."""
        operator = typed(self.operator)
        if self.has_operator_network():
            operator = {"file": "operator.onnx", "vjp": "operator_vjp.onnx", **operator}
        start = typed(self.start)
        # From nothing one step of a network believes its mean and power alone (docs/openings/guidance.md).
        many = start["type"] == "noise" and member not in self.classical()
        return {
            "operator": operator,
            "start": start,
            "sampler": {"type": "posterior_mean" if many else "one_step"},
            "plan": self.plan,
            **({"codec": {"encoder": "encoder.onnx", "decoder": "decoder.onnx"}} if self.has_codec() else {}),
        }

    def signal_text(self):
        """One line of the card."""
        return (
            f"Signal: {self.domain}, shape {list(self.shape)} ({', '.join(self.axes)}), "
            f"gain {self.gain}. SNR here is {self.snr_definition}."
        )

    def claim_text(self, claim):
        """One claim of the manifest (a dict), as a line of the card."""
        return nmse_claim(claim)

    def tensors(self, progress=print):
        """{file name: array} of the classical members, fitted to the same data."""
        return {}

    def classical(self):
        """Manifest entries {member: {"title", "prior"}} of members that are no network; `prior` names
        files of `tensors`."""
        return {}

    def claims(self):
        """List of `Claim`."""
        return []

    def claims_json(self):
        """The claims as manifest and metadata have them: a list of dicts."""
        return [dataclasses.asdict(claim) for claim in self.claims()]

    def test_data(self, count, seed):
        """A `TestData` or a list of them, drawn with NumPy alone."""
        raise NotImplementedError

    def measure(self, estimate, members, count, seed, snr_db):
        """Where results are more than the NMSE of one signal (several unknowns): {quantity: {method: (errors [S, R],
        powers [S, R])}} at S SNRs over R = `count` realisations, drawn with NumPy alone. Reported is the sum of errors
        over that of powers, in dB where the quantity's name ends so; claims are of the first quantity. estimate(member,
        y, noise_var) -> (means, variances, info) runs a member of the package. Takes the place of `test_data`."""
        raise NotImplementedError

    def card(self):
        """Sentences for the package's README: what it is for and where it ends."""
        return ""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures a scheme: every member of its package, on the same samples and the same noise.

The scheme's Python file supplies test data, the meaning of SNR and the claims (docs/add_a_scheme.md);
its package in models/ the members, which run through the C++ core, or with --chain block through the
block `estimate` in a flowgraph. SCHEME is a name, or the path of a scheme's .py file. Intervals are
bootstrapped over realisations.
"""

import argparse
from functools import partial

import numpy as np

from .. import schemes
from ..base import model_packages, philox
from ..base.errors import UserError, unknown
from ..base.number_options import real, whole
from ..base.signal import snr_db_to_sigma
from ..schemes.base import Scheme, published_on
from . import adaptive, generated, map_city, map_methods, measured, plots, scheme_plot, scheme_runner, scores
from .costs import Costs
from .scheme_table import table as table

CALIBRATED_DB = (0.0, 25.0)
LARGEST_RESIDUAL = 1.1  # of the noise variance: an answer that leaves more of y contradicts it
LEAST_SQUARES = "ls"


def add_arguments(parser):
    """Arguments of `gr-diffsem eval SCHEME`."""
    parser.add_argument("scheme", metavar="SCHEME", help="a scheme (gr-diffsem list), or its .py file")
    parser.add_argument("--package", help="model package or path; default: the scheme's name")
    whole(parser, "--realisations", least=2, metavar="N", help="default: the scheme's, 2000 where it names none")
    whole(parser, "--seed", default=1, help="of test data, noise and what samplers draw")
    real(parser, "--snr", "dB", least=-100, most=100, nargs="+", metavar="DB", help="default: the scheme's")
    parser.add_argument("--members", nargs="+", metavar="NAME", help="only these members")
    parser.add_argument(
        "--chain", choices=scheme_runner.CHAINS, default="core", help="C++ core, or block in a flowgraph"
    )
    text = "also the default member with posterior_mean in K evaluations (none: leave out; default: the scheme's)"
    whole(parser, "--evaluations", least=1, most=10000, nargs="*", metavar="K", help=text)
    text = "also steps that follow the SNR, told an SNR off by so many dB, against the true one"
    real(parser, "--snr-error", "dB", least=-100, most=100, metavar="DB", help=text)
    parser.add_argument("--plot", metavar="PNG", help="a picture: draws beside real ones, or NMSE against SNR")


def run(args):
    """The report of a scheme; where a name stands for several sizes, their claims together and the
    report of each. Raises UserError for what cannot be evaluated."""
    found = schemes.find(args.scheme)
    if getattr(args, "plot", None) is not None:
        plots.check("--plot", args.plot)
    if len(found) > 1 and args.package:
        sizes = ", ".join(scheme.name for scheme in found)
        raise UserError(f"--package: '{args.scheme}' comes in several sizes, name one of {sizes}")
    reports = [run_one(scheme, args) for scheme in found]
    if getattr(args, "plot", None) is not None:
        scheme_plot.pictures(found, reports, args.plot, args.seed)
    if len(reports) == 1:
        return reports[0]
    shared = {key: reports[0][key] for key in ("snr_definition", "seed", "chain")}
    return {
        "scheme": args.scheme,
        **shared,
        "realisations": reports[0]["realisations"],
        "claims": [claim for report in reports for claim in report["claims"]],
        "sizes": {report["scheme"]: report for report in reports},
    }


def run_one(scheme, args):
    """The report of one scheme."""
    check_scheme(scheme)
    package = package_of(scheme, args.package)
    if args.realisations is None:
        args = argparse.Namespace(**{**vars(args), "realisations": scheme.realisations})
    with scheme_runner.kept():
        return _report(scheme, package, args)


def _report(scheme, package, args):
    if scheme.name in map_methods.SCHEMES:
        return map_city.report(scheme, package, args)
    if generated.generates(scheme):
        names = members_of(package)
        return generated.report(scheme, package, args, [check(name, names) for name in args.members or names])
    if measures_itself(scheme):
        names = members_of(package)
        return measured.report(scheme, package, args, [check(name, names) for name in args.members or names])
    data = scheme.test_data(args.realisations, args.seed)
    data = list(data) if isinstance(data, (list, tuple)) else [data]
    for part in data:
        part.truth = np.reshape(part.truth, (len(part.truth), -1))
        part.matrix = matrix_of(package, part.matrix)
    claims = list(scheme.claims())
    wanted = [float(v) for v in (args.snr or scheme.snr_db)]
    levels = sorted({*wanted, *(() if args.snr else (float(c.snr_db) for c in claims))})
    run_member = Members(data, levels, args.seed, args.chain, Costs(package))
    names = members_of(package)
    chosen = [check(name, names) for name in args.members] if args.members else names
    if all(part.matrix is None and part.forward is None for part in data):
        run_member(LEAST_SQUARES, LEAST_SQUARES)
    for name in chosen:
        if name not in run_member.errors:
            run_member(name, f"{package}/{name}" if package.is_dir() else str(package))
    for name in () if args.members else scheme.rivals:
        run_member(name, str(model_packages.locate(name, checkout_first=True)[0]))
    for name in data[0].estimators:
        run_member.closed_form(name)
    default = model_packages.read_manifest(package).get("default") if package.is_dir() else names[0]
    counts = scheme.evaluations if args.evaluations is None else args.evaluations
    return {
        "scheme": scheme.name,
        "snr_definition": scheme.snr_definition,
        "realisations": run_member.count,
        "seed": args.seed,
        "chain": args.chain,
        "package": str(package),
        "content_hash": model_packages.content_hash(package),
        "snr_db": levels,
        "nmse_db": {name: run_member.nmse(name) for name in run_member.errors},
        "parts": {part: {n: run_member.nmse(n, part) for n in run_member.errors} for part in run_member.parts},
        "evaluations": more_evaluations(run_member, package, default, counts),
        "adaptive": snr_error(run_member, package, default, getattr(args, "snr_error", None)),
        "residual": dict(run_member.residual),
        "residual_limit": run_member.residual_limit(),
        "guarded": dict(run_member.guarded),
        "calibration": run_member.calibration(),
        "costs": {name: run_member.costs.of(name) for name in run_member.errors},
        "claims": [report_claim(claim, run_member) for claim in claims],
    }


def matrix_of(package, given):
    """The matrix of a test: what its data say, else what the package ships, which must be the same."""
    if not package.is_dir():
        return given
    manifest = model_packages.read_manifest(package)
    default = manifest["members"].get(manifest.get("default"), {})
    operator = default.get("operator", {})
    file = operator.get("matrix") if isinstance(operator, dict) else None
    if not isinstance(file, str):
        return given
    try:
        own = np.load(package / file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {package / file} ({error}): export the package again") from None
    if given is not None and (np.shape(given) != own.shape or not np.allclose(given, own, atol=1e-6)):
        raise UserError(
            f"test_data() has another matrix than {package / file}: leave TestData.matrix out, or export again"
        )
    return own


def check_scheme(scheme):
    """Refuse, with a UserError, a scheme that cannot be measured here."""
    if scheme.domain == "image":
        raise UserError(
            f"scheme '{scheme.name}' is of photographs: measure it with gr-diffsem eval semantic_link "
            f"--methods {scheme.name}"
        )
    told = measures_itself(scheme) or generated.generates(scheme) or scheme.name in map_methods.SCHEMES
    if type(scheme).test_data is Scheme.test_data and not told:
        raise UserError(f"scheme '{scheme.name}' has no test_data(): see docs/add_a_scheme.md")


def measures_itself(scheme):
    """Whether its results are more than the NMSE of one signal."""
    return type(scheme).measure is not Scheme.measure


def package_of(scheme, given):
    """The package to measure: the one given, or the one of the scheme's name."""
    if given is None and scheme.name not in model_packages.find_packages(checkout_first=True):
        raise UserError(
            f"scheme '{scheme.name}' has no model package on the search path: give --package FOLDER, or make "
            f"DIFFSEM_MODELS name the folder that holds {scheme.name}/ (gr-diffsem train, export)"
        )
    return model_packages.locate(given or scheme.name, checkout_first=True)[0]


def members_of(package):
    """Member names of a package; a single .onnx has one."""
    return list(model_packages.read_manifest(package)["members"]) if package.is_dir() else [package.stem]


def check(name, names):
    if name not in names and name != LEAST_SQUARES:
        raise unknown("member", name, names)
    return name


class Members:
    """Errors of every method at every SNR, on the same samples and noise.

    errors[name] [S, R], power [R]: summed over the counted elements. predicted[name]: (index of the
    SNR, variance, |error|^2) for the methods that predict their variance. guarded[name] [S]: share of the items that
    the guard gave to a fallback, for the methods where it did. residual[name] [S]: mean |y - A x|^2 of the answers over
    the noise variance.
    """

    def __init__(self, data, levels, seed, chain, costs):
        self.data, self.levels, self.costs = data, levels, costs
        self.seed, self.chain = seed, chain
        self.errors, self.predicted, self.guarded, self.residual = {}, {}, {}, {}
        self.count = sum(len(part.truth) for part in data)
        power = [np.sum(np.abs(p.truth[:, counted(p)]) ** 2, axis=1) for p in data]
        self.power = np.concatenate(power)
        self.parts, first = {}, 0  # rows of the parts that have a name
        for part in data:
            if part.name:
                self.parts[part.name] = slice(first, first + len(part.truth))
            first += len(part.truth)

    def __call__(self, name, spec):
        """Run a member of the package (or `ls`), given as a spec string."""

        def method(part, y, noise_var):
            told = {"condition": part.condition} if part.condition else {}
            return scheme_runner.estimate(spec, y, noise_var, part.observed, part.matrix, self.chain, self.seed, **told)

        self.estimate_with(name, method)

    def closed_form(self, name):
        """Run one of the test data's own estimators."""
        self.estimate_with(name, lambda part, y, noise: (part.estimators[name](y, noise), None, None, 0.0))

    def forget(self, name):
        """NMSE in dB of a method that is no member of the report, which it leaves."""
        row = self.nmse(name)
        del self.errors[name]
        self.predicted.pop(name, None)
        self.guarded.pop(name, None)
        self.residual.pop(name, None)
        return row

    def estimate_with(self, name, method):
        """Run method(part, y, noise_var) -> (mean, variance or None, evaluations, share guarded) at every SNR."""
        errors, predicted, guarded = [], [], np.zeros(len(self.levels))
        residual = np.zeros(len(self.levels))
        for k in range(len(self.levels)):
            row = []
            for part, y, noise_var in self.measurements(k):
                work = partial(method, part, y, noise_var)
                mean, variance, _, refuted = self.costs.timed(name, len(y), work, lambda answer: answer[2])
                guarded[k] += refuted * len(y) / self.count
                residual[k] += left(part, y, mean) / noise_var * len(y) / self.count
                error = np.abs(mean - part.truth)[:, counted(part)].astype(float) ** 2
                row.append(error.sum(axis=1))
                if variance is not None:
                    predicted.append((k, variance[:, counted(part)], error))
            errors.append(np.concatenate(row))
        self.errors[name] = np.array(errors)
        self.residual[name] = residual.tolist()
        if guarded.any():
            self.guarded[name] = guarded.tolist()
        if predicted:
            self.predicted[name] = predicted

    def measurements(self, k):
        """(part, y, noise variance) at the k-th SNR: the same whoever asks."""
        noise_var = float(snr_db_to_sigma(self.levels[k]) ** 2)
        first = 0
        for part in self.data:
            rows = len(part.truth)
            width = part.truth.shape[1] if part.matrix is None else len(part.matrix)
            if part.forward is not None:
                width = part.forward(part.truth[:1]).shape[1]
            items = np.arange(first, first + rows)
            step = round(10 * self.levels[k]) + 10_000  # of the SNR, not of its place in the list
            real = not np.iscomplexobj(part.truth)
            draw = philox.normals if real else philox.complex_normals
            noise = draw(width, step, items, self.seed, stream=0x6E)
            y = measure(part, noise * np.sqrt(noise_var))
            yield part, y.astype(np.float32 if real else np.complex64), noise_var
            first += rows

    def residual_limit(self):
        """What a residual may be: LARGEST_RESIDUAL, and three deviations of so many squared normals."""
        numbers = sum(y.size * (2 if np.iscomplexobj(y) else 1) for _, y, _ in self.measurements(0))
        return float(LARGEST_RESIDUAL * (1 + 3 * np.sqrt(2 / numbers)))

    def nmse(self, name, part=None):
        """NMSE in dB at each SNR, of one part of the data or of all."""
        rows = self.parts.get(part, slice(None))
        return [scores.nmse_db(row[rows], self.power[rows]) for row in self.errors[name]]

    def calibration(self):
        """scores.variance_report for each method with a variance, over CALIBRATED_DB."""
        report, complex_domain = {}, np.iscomplexobj(self.data[0].truth)
        for name, parts in self.predicted.items():
            used = [p for p in parts if CALIBRATED_DB[0] <= self.levels[p[0]] <= CALIBRATED_DB[1]]
            if used:
                report[name] = scores.variance_report([(p[1], p[2], self.levels[p[0]]) for p in used], complex_domain)
        return report


def measure(part, noise, x=None):
    """y of a TestData (or of signals x [R, N] in place of its truth) and of noise [R, M] that has its variance."""
    x = part.truth if x is None else x
    if part.forward is not None:
        return part.forward(np.asarray(x, np.float32)) + noise
    if part.matrix is not None:
        return x @ np.asarray(part.matrix).T + noise
    y = x + noise
    return y if part.observed is None else np.where(part.observed, y, 0)


def left(part, y, mean):
    """Mean |y - A x|^2 per measured element."""
    misfit = np.abs(y - measure(part, 0, mean)) ** 2
    return float(np.mean(misfit if part.observed is None else misfit[:, np.asarray(part.observed, bool)]))


def counted(part):
    """Index of the elements where errors count: those that the data name, else the observed ones, or all behind a
    matrix."""
    if part.counted is not None:
        return np.asarray(part.counted, bool)
    if part.observed is None or part.matrix is not None:
        return slice(None)
    return np.asarray(part.observed, bool)


def more_evaluations(run_member, package, default, counts):
    """NMSE of the default member with posterior_mean in 1, 3, 10, 30 evaluations."""
    report = {}
    for count in counts:
        name = f"{default}:steps={count}"
        spec = f"{package}/{default}" if package.is_dir() else str(package)
        run_member(name, f"{spec}:sampler=posterior_mean,steps={count}")
        report[str(count)] = run_member.forget(name)
    return report


def snr_error(run_member, package, default, error_db):
    """adaptive.report of the default member, or None where it was not asked for."""
    if error_db is None:
        return None
    if not 0 < error_db <= 20:
        raise UserError(f"--snr-error {error_db}: give above 0 to 20 dB")
    return adaptive.report(run_member, f"{package}/{default}" if package.is_dir() else str(package), error_db)


def report_claim(claim, run_member):
    """One entry of "claims"."""
    names = [claim.member] + ([claim.against] if claim.against else [])
    entry = {"name": claim.name, "published": claim.published, "gate": claim.gate, "ours": None, "snr_db": claim.snr_db}
    entry["published_on"] = published_on(vars(claim))
    entry.update(ci95=None, baselines={}, evaluations=None, macs=None, ms_per_item=None)
    if claim.snr_db not in run_member.levels or any(n not in run_member.errors for n in names):
        return entry
    if claim.data and claim.data not in run_member.parts:
        raise UserError(f"the claim '{claim.name}' names the data '{claim.data}', which test_data() does not give")
    k, rows = run_member.levels.index(claim.snr_db), run_member.parts.get(claim.data, slice(None))
    ours = run_member.errors[claim.member][k][rows]
    if claim.against:
        statistic, columns = scores.difference_db, (ours, run_member.errors[claim.against][k][rows])
    else:
        statistic, columns = scores.nmse_db, (ours, run_member.power[rows])
    entry.update(
        ours=statistic(*columns),
        ci95=scores.bootstrap(statistic, columns),
        baselines={n: run_member.nmse(n, claim.data)[k] for n in run_member.errors if n != claim.member},
        holds=None if claim.gate is None else bool(statistic(*columns) <= claim.gate),
        **run_member.costs.of(claim.member),
    )
    return entry

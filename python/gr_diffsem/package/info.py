# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what a model is: metadata, graph inputs and outputs, hash, cost, and what is wrong with it.

MODEL is a .onnx file, a package folder, or NAME[/MEMBER] of a package on the search path; or the .py file of a
scheme, which says what it holds.
"""

import contextlib
import json
from pathlib import Path

import numpy as np

from .. import schemes
from ..base import console, model_packages
from ..base.errors import UserError, unknown
from ..models import provenance
from ..schemes.base import nmse_claim
from ..schemes.photo import photo_claim
from . import onnx_cost

#: Schemes that need no package.
BUILT_IN = {
    "ls": "built in: no prior, the measurement is the estimate (least squares)",
    "linear": "built in: photographs by linear MMSE under the spectrum that comes with each",
}
REQUIRED = ("contract", "role", "prediction", "time_embedding", "shape")
CHOICES = {
    "prediction": ("x0", "eps", "v", "score", "flow"),
    "input_scaling": ("ve", "vp", "flow"),
    "time_embedding": ("sigma", "log_sigma", "timestep", "alpha_bar", "flow_time", "none"),
    "layout": ("planar", "interleaved", "magnitude_phase"),
    "domain": ("complex", "real"),
    "gain": ("unit", "measured"),
    "flow_time": ("noise", "data"),
    "learned_variance": ("none", "log_variance"),
}


def add_arguments(parser):
    """The one argument of `info`."""
    parser.add_argument("model", metavar="MODEL", help=".onnx file, package folder, NAME[/MEMBER]; or a scheme's .py")


def run(args):
    """The report of a file or package. Raises UserError when there is no such thing."""
    if args.model.endswith(".py"):
        return scheme_report(args.model)
    name = args.model.partition(":")[0]
    if name in BUILT_IN:
        return {"model": name, "path": name, "title": BUILT_IN[name], "content_hash": None, "problems": []}
    path, member = model_packages.locate(args.model)
    report = {"model": args.model, "path": str(path), "content_hash": None, "problems": []}
    if path.is_file():
        report["content_hash"] = model_packages.file_sha256(path)
        report["graph"] = graph_report(path, report["problems"])
        if report["graph"] is None:  # no model at all
            raise UserError(report["problems"][-1])
        return report
    manifest = model_packages.read_manifest(path)
    report["problems"] += model_packages.problems(path)
    try:
        report["content_hash"] = model_packages.content_hash(path)
    except UserError as error:
        if str(error) not in report["problems"]:
            report["problems"].append(str(error))
    for key in ("name", "title", "version", "licence", "reference", "trained_on", "signal"):
        report[key] = manifest.get(key)
    report.update(default=manifest.get("default"), claims=manifest.get("claims", []))
    members = manifest["members"]
    if member and member not in members:
        raise unknown(f"member of {path.name}", member, members)
    chosen = {member: members[member]} if member else members
    report["members"] = {
        name: member_report(path, name, description, report["problems"]) for name, description in chosen.items()
    }
    return report


def scheme_report(file):
    """What the schemes of a file say of themselves; a broken file has its problem."""
    source = schemes.read(file)
    keys = ("title", "version", "licence", "reference", "default")
    return {
        "model": file,
        "path": str(source.path),
        "schemes": {
            scheme.name: {
                **{key: getattr(scheme, key) for key in keys},
                "signal": scheme.signal(),
                "networks": {name: network.title for name, network in scheme.networks().items()},
                "classical": {name: member["title"] for name, member in scheme.classical().items()},
                "claims": scheme.claims_json(),
            }
            for scheme in source.schemes
        },
        "problems": [],
    }


def member_report(folder, name, description, problems):
    """A member's five choices and, for a network, what its graph says."""
    report = dict(description)
    prior = description.get("prior")
    if isinstance(prior, dict) and prior.get("type") == "onnx":
        path = Path(folder) / str(prior.get("file"))
        if path.is_file():
            report["graph"] = graph_report(path, problems, prefix=f"member {name}: ")
    report["matrix_shape"] = matrix_shape(folder, description.get("operator"))
    return report


def matrix_shape(folder, operator):
    """[M, N] of the matrix that an operator's file holds; None where it has none, or it cannot be read."""
    file = operator.get("matrix") if isinstance(operator, dict) else None
    if not isinstance(file, str):
        return None
    try:
        return list(np.load(Path(folder) / file, mmap_mode="r", allow_pickle=False).shape)
    except (OSError, ValueError):
        return None


def graph_report(path, problems, prefix=""):
    """Inputs, outputs, metadata and cost of an .onnx file; what is wrong goes into `problems`."""
    try:
        from .onnx_header import read_header

        header = read_header(str(path))
    except Exception as error:
        problems.append(f"{prefix}{path} cannot be read ({error}): export or download it again")
        return None
    metadata = {**sidecar(path, problems, prefix), **header.get("metadata", {})}
    cost = graph_cost(path, metadata)
    problems += [prefix + text for text in check_metadata(metadata, header)]
    return {
        "file": str(path),
        "sha256": model_packages.file_sha256(path),
        "opset": header.get("opset"),
        "inputs": header.get("inputs", []),
        "outputs": header.get("outputs", []),
        "metadata": metadata,
        **cost,
    }


def graph_cost(path, metadata):
    """onnx_cost.cost of a file under what its metadata say of the shape of an item; where the graph cannot be counted,
    what `diffsem.macs` states."""
    try:
        cost = onnx_cost.cost(path, planes(metadata))
    except (ValueError, OSError):
        cost = {"parameters": None, "macs": None}
    if cost["macs"] is None and "diffsem.macs" in metadata:
        with contextlib.suppress(ValueError, OverflowError):
            cost = {"parameters": cost["parameters"], "macs": int(float(metadata["diffsem.macs"]))}
            if metadata.get("diffsem.domain") == "image":
                cost["per"] = "pixel"
    return cost


def file_cost(path):
    """graph_cost of a file by what itself and its sidecar say."""
    from .onnx_header import read_header

    return graph_cost(path, {**sidecar(path, []), **read_header(str(path)).get("metadata", {})})


def planes(metadata):
    """Shape of one item as the graph has it, from shape, domain and layout; None where they do not say."""
    try:
        shape = [int(n) for n in json.loads(metadata["diffsem.shape"])]
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError):
        return None
    if metadata.get("diffsem.domain", "complex") != "complex":
        return shape
    return [*shape, 2] if metadata.get("diffsem.layout") == "interleaved" else [2, *shape]


def sidecar(path, problems, prefix=""):
    """`model.onnx.json` beside the file, as {key: string}; empty where there is none."""
    path = Path(str(path) + ".json")
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
    except (ValueError, OSError, AttributeError, RecursionError) as error:
        problems.append(f"{prefix}{path} is not a JSON object ({error}): correct it")
        return {}


def check_metadata(metadata, header):
    """What of the contract is missing or wrong, one sentence with its remedy each."""
    if "diffsem.role" not in metadata:
        return ["no diffsem metadata: give it in a sidecar model.onnx.json (docs/model_contract.md)"]
    if metadata["diffsem.role"] == "image_denoiser":
        keys = ("contract", "multiple", "scale", "band_edges")
        return [f"diffsem.{key} is missing: export again" for key in keys if f"diffsem.{key}" not in metadata]
    if metadata["diffsem.role"] != "denoiser":
        return []
    found = []
    for key in REQUIRED:
        if f"diffsem.{key}" not in metadata:
            found.append(f"diffsem.{key} is missing: export again, or add it in a sidecar")
    if metadata.get("diffsem.contract", "1") != str(model_packages.CONTRACT):
        found.append(
            f"diffsem.contract is '{metadata['diffsem.contract']}', this version reads "
            f"{model_packages.CONTRACT}: export with this version"
        )
    for key, choices in CHOICES.items():
        value = metadata.get(f"diffsem.{key}")
        if value is not None and value not in choices:
            found.append(f"diffsem.{key} '{value}' is not one of {', '.join(choices)}: correct it")
    needed = 1 if metadata.get("diffsem.time_embedding") == "none" else 2
    if header.get("inputs") is not None and len(header["inputs"]) < needed:
        found.append(
            f"the graph has {len(header['inputs'])} input(s), time_embedding "
            f"'{metadata.get('diffsem.time_embedding')}' needs {needed}: correct the metadata"
        )
    found += check_shape(metadata, header)
    outputs = 2 if metadata.get("diffsem.learned_variance") == "log_variance" else 1
    if header.get("outputs") is not None and len(header["outputs"]) < outputs:
        found.append("learned_variance 'log_variance' needs a second output: the graph has one")
    return found


def check_shape(metadata, header):
    """Whether the graph's first input has the shape that layout, domain and shape ask for."""
    shape = planes(metadata)
    if shape is None:
        return [] if "diffsem.shape" not in metadata else ["diffsem.shape is not a JSON list of sizes: correct it"]
    given = (header.get("inputs") or [{}])[0].get("shape")
    fits = given is None or len(given) == len(shape) + 1
    if fits and given:
        fits = all(not isinstance(a, int) or a in (b, -1) for a, b in zip(given[1:], shape, strict=True))
    if fits:
        return []
    return [
        f"the graph's first input has the shape {given}, the metadata ask for [batch, {str(shape)[1:]}: correct them"
    ]


def table(report):
    """The report for people."""
    if "schemes" in report:
        return _scheme_table(report)
    lines = [f"{report['path']}", f"  content hash  {report['content_hash']}"]
    for key in ("title", "version", "licence", "reference", "signal", "trained_on"):
        if report.get(key):
            lines.append(f"  {key:<13} {_short(report[key])}")
    facts = report.get("trained_on")
    if isinstance(facts, dict) and facts.get("steps"):  # whole: the commit's mark stands at its end
        lines.append(f"  trained by    {provenance.text(facts)}")
    if "graph" in report:
        lines += _graph_lines(report["graph"], "  ")
        lines += _claim_lines(_json_of((report["graph"] or {}).get("metadata", {}).get("diffsem.claims")))
    for name, member in report.get("members", {}).items():
        mark = "*" if name == report.get("default") else " "
        nouns = "; ".join(
            f"{key} {_short(member[key])}"
            for key in ("unknowns", "prior", "operator", "start", "guidance", "sampler", "plan", "codec", "latent")
            if key in member
        )
        lines += [f" {mark}{name}: {member.get('title') or ''}", f"    {nouns}"]
        if member.get("matrix_shape"):
            lines.append(f"    the operator's matrix has the shape {member['matrix_shape']}")
        if member.get("fallback"):
            lines.append(f"    falls back on {_short(member['fallback'])} where its answer contradicts the measurement")
        if member.get("fewest_observed"):
            lines.append(f"    and where fewer than {_short(member['fewest_observed'])} elements are observed")
        if _one_step(member):
            lines.append(
                "    one evaluation; the plan is for other samplers, as in NAME:sampler=posterior_mean,steps=10"
            )
        lines += _graph_lines(member.get("graph"), "    ")
    lines += _claim_lines(report.get("claims"))
    lines += [f"  PROBLEM       {text}" for text in report["problems"]] or ["  no problems found"]
    return "\n".join(map(console.printable, lines))


def _one_step(member):
    """Whether its plan has more steps than its sampler takes. The manifest may be anybody's."""
    if "unknowns" in member:  # their plan says which is updated when
        return False
    sampler, plan = member.get("sampler"), member.get("plan")
    name = sampler.get("type") if isinstance(sampler, dict) else sampler
    return name in (None, "one_step") and isinstance(plan, dict) and plan.get("steps", 10) != 1


def _scheme_table(report):
    lines = [report["path"]]
    for name, scheme in report["schemes"].items():
        lines += ["", f"{name}: {scheme['title']}"]
        lines += [f"  {key:<13} {_short(scheme[key])}" for key in ("version", "licence", "reference", "signal")]
        for kind in ("networks", "classical"):
            for member, title in scheme[kind].items():
                mark = "*" if member == scheme["default"] else " "
                lines.append(f" {mark}{member}: {title}" + (" (network)" if kind == "networks" else ""))
        lines += _claim_lines(scheme["claims"])
    return "\n".join(map(console.printable, lines))


def _claim_lines(claims):
    """Claims as sentences, those of photographs and of others; one of somebody else's form as it stands."""
    return [f"  claim         {_claim_text(claim)}" for claim in (claims if isinstance(claims, list) else [])]


def _claim_text(claim):
    kinds = (nmse_claim, photo_claim)
    for text in kinds:
        try:
            return text(claim)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return _short(claim)


def _json_of(text):
    """What a metadata value holds; None where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None


def _graph_lines(graph, indent):
    if not graph:
        return []
    lines = [
        f"{indent}{kind:<8} {tensor.get('name')}: {tensor.get('type')} {tensor.get('shape')}"
        for kind in ("inputs", "outputs")
        for tensor in graph[kind]
    ]
    macs = onnx_cost.text(graph, graph["metadata"].get("diffsem.domain") == "image")
    lines.append(f"{indent}cost     {graph['parameters'] or 0:,} parameters, {macs}")
    for key, value in sorted(graph["metadata"].items()):
        if key == "diffsem.claims" and isinstance(_json_of(value), list):
            continue  # said as sentences
        lines.append(f"{indent}{key} = {_short(value)}")
    return lines


def _short(value, limit=160):
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."

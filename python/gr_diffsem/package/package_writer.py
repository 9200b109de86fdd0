# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes model packages: tensors, manifest with hashes, and a card for people."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from ..base import model_packages
from ..base.errors import UserError
from ..models import provenance
from ..schemes.base import operator_file
from . import info


def fit_missing(scheme, folder, again=False):
    """Fit and write the tensors of classical members and baselines that the folder lacks (all of them
    if `again`); returns the names written."""
    folder = Path(folder)
    wanted = set(scheme.baselines)
    for member in scheme.classical().values():
        wanted |= {name for name in model_packages.files_of(member) if name.endswith(".npy")}
    operator, needed = operator_file(scheme.operator)
    if operator:
        wanted.add(operator)
    missing = {name for name in wanted if again or not (folder / name).is_file()}
    if not missing:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    fitted = scheme.tensors()
    missing -= {operator} - set(fitted) if not needed else set()
    lacking = missing - set(fitted)
    if lacking:
        raise UserError(f"scheme {scheme.name} names {sorted(lacking)[0]}, which tensors() does not return: add it")
    for name in sorted(missing):
        array = np.asarray(fitted[name])
        kind = np.complex64 if np.iscomplexobj(array) else np.float32
        np.save(folder / name, np.ascontiguousarray(array.astype(kind)))
    return sorted(missing)


def int8_name(scheme, name):
    """The member that is a network's int8 twin (`gr-diffsem export --int8`)."""
    return "int8" if name == scheme.default else f"{name}_int8"


def graphs(scheme, folder):
    """{member: its Network} of the graphs that lie in a folder; of int8 twins those whose network is still there
    as it was."""
    found = {}
    for name, network in scheme.networks().items():
        graph, small = (Path(folder) / f"{n}.onnx" for n in (name, int8_name(scheme, name)))
        if graph.is_file():
            found[name] = network
            if small.is_file() and read_contract_key(small, "quantised").get("of") == model_packages.file_sha256(graph):
                title = f"{network.title}, int8"
                found[small.stem] = dataclasses.replace(network, title=title)
    return found


def fallback(scheme, name, members):
    """What answers in the place of a member: the nearest of those behind it that are there; None if none is."""
    seen = {name}
    while (name := scheme.fallbacks.get(name)) not in (None, *seen):
        if name in members:
            return name
        seen.add(name)
    return None


def with_matrix(choices, file):
    """A member's choices, whose operator `matrix` names the file that the package ships, where it names none."""
    operator = choices.get("operator", {})
    if file and operator.get("type") == "matrix" and "matrix" not in operator:
        return {**choices, "operator": {**operator, "matrix": file}}
    return choices


def write(scheme, folder):
    """Write manifest.json and README.md of a package from the graphs and tensors that lie in it;
    returns the content hash. Members whose files are not there yet are left out."""
    folder = Path(folder)
    members, facts = {}, {}
    costs = {}
    file, _ = operator_file(scheme.operator)
    ships = file if file and (folder / file).is_file() else None
    for name, network in graphs(scheme, folder).items():
        graph = f"{name}.onnx"
        costs[name] = info.file_cost(folder / graph)["macs"]
        prior = {"type": "onnx", "file": graph}
        if network.vjp and (folder / f"{name}_vjp.onnx").is_file():
            prior["vjp"] = f"{name}_vjp.onnx"
        members[name] = {"title": network.title, "prior": prior, **with_matrix(scheme.choices(name), ships)}
        facts[name] = read_contract_key(folder / graph, "quantised") or read_contract_key(folder / graph, "trained_on")
    for name, member in scheme.classical().items():
        if all((folder / file).is_file() for file in model_packages.files_of(member)):
            more = (
                {} if "unknowns" in member else with_matrix(scheme.choices(name), ships)
            )  # several unknowns say all themselves
            members[name] = {**member, **more}
    if not members:
        raise UserError(f"{folder} holds nothing of scheme {scheme.name}: export a checkpoint into it first")
    for name in scheme.fallbacks.keys() & members.keys():
        if other := fallback(scheme, name, members):
            members[name]["fallback"] = other
            if name in scheme.fewest_observed:
                members[name]["fewest_observed"] = scheme.fewest_observed[name]
    default = scheme.default if scheme.default in members else next(iter(members))
    files = sorted(
        {*model_packages.files_of(members), *(name for name in scheme.baselines if (folder / name).is_file())}
    )
    manifest = {
        "diffsem.contract": model_packages.CONTRACT,
        "name": scheme.name,
        "title": scheme.title,
        "version": scheme.version,
        "licence": scheme.licence,
        "reference": scheme.reference,
        "trained_on": facts.get(default, {"data": scheme.data, "seed": scheme.seed}),
        "signal": scheme.signal(),
        "default": default,
        "members": members,
        "claims": scheme.claims_json(),
        "files": {name: model_packages.file_sha256(folder / name) for name in files},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / model_packages.MANIFEST).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(_card(scheme, manifest, facts, costs), encoding="utf-8")
    trouble = model_packages.problems(folder)
    if trouble:
        raise UserError(f"{folder} is not whole: {trouble[0]}")
    return model_packages.content_hash(folder)


def read_contract_key(path, key):
    """`diffsem.KEY` of an .onnx, as a dict; empty if it is not there."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    for entry in model.metadata_props:
        if entry.key == f"diffsem.{key}":
            return json.loads(entry.value)
    return {}


def _card(scheme, manifest, facts, costs):
    lines = [
        "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->",
        f"# {manifest['name']}: {manifest['title']}",
        "",
        scheme.card(),
        "",
        scheme.signal_text(),
        "",
        f"| member | what | multiply-adds per {scheme.cost_unit} |",
        "|---|---|---|",
    ]
    for name, member in manifest["members"].items():
        mark = " (default)" if name == manifest["default"] else ""
        cost = costs.get(name)
        cost = "closed form" if name not in costs else "unknown" if cost is None else f"{cost:,}"
        lines.append(f"| `{name}`{mark} | {member['title']} | {cost} |")
    lines += ["", "## Data", "", (scheme.data[:1].upper() + scheme.data[1:] + ".") if scheme.data else "", ""]
    for name, fact in facts.items():
        if "of" in fact:
            lines.append(
                f"- `{name}`: quantised after {fact['calibrated_on']}; loses {fact['worst_loss_db']:.2f} dB at most "
                f"against fp32 on {fact['measured_on']}"
            )
            continue
        lines.append(f"- `{name}`: {provenance.text(fact)}")
    lines += ["", "## Claims", ""]
    for claim in manifest["claims"]:
        if claim["gate"] is not None:
            lines.append(f"- {scheme.claim_text(claim)}")
    lines += ["", f"Reference: {scheme.reference}.", "", f"Licence: {scheme.licence}.", ""]
    return "\n".join(lines)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists what there is: schemes to train, model packages with their members, and the five nouns."""

from .. import schemes
from ..base import model_packages
from ..base.errors import UserError
from ..reference import nouns


def add_arguments(parser):
    """`list` takes none of its own."""


def run(args):
    """The report: schemes, packages, priors, operators, starts, samplers, plans."""
    found = schemes.all_schemes()
    report = {
        "schemes": list(found),
        "scheme_files": {name: scheme.source for name, scheme in found.items() if scheme.source},
        "broken_schemes": [{"path": str(s.path), "problem": s.problem} for s in schemes.broken()],
        "packages": [],
    }
    for name, path in model_packages.find_packages().items():
        report["packages"].append(_package(name, path))
    report.update(nouns.NAMES)
    return report


def _package(name, path):
    entry = {"name": name, "path": str(path), "title": None, "default": None, "members": {}}
    if path.is_file():
        return entry
    try:
        manifest = model_packages.read_manifest(path)
    except UserError as error:
        return {**entry, "problem": str(error)}
    entry.update(title=manifest.get("title"), default=manifest.get("default"))
    entry["members"] = {
        member: description.get("title") or description.get("prior", {}).get("type")
        for member, description in manifest["members"].items()
    }
    return entry


def table(report):
    """The report for people."""
    lines = ["model packages (NAME[/MEMBER] wherever a scheme is asked for)"]
    for entry in report["packages"]:
        lines.append(f"  {entry['name']:<24} {entry['title'] or ''}  [{entry['path']}]")
        if "problem" in entry:
            lines.append(f"    problem: {entry['problem']}")
        for member, title in entry["members"].items():
            mark = "*" if member == entry["default"] else " "
            lines.append(f"   {mark}{entry['name'] + '/' + member:<24} {title or ''}")
    if not report["packages"]:
        searched = ", ".join(map(str, model_packages.search_paths())) or "no folder exists"
        lines.append(f"  none (searched: {searched}; $DIFFSEM_MODELS adds folders)")
    lines.append("  ls" + " " * 23 + "built in: the measurement is the estimate")
    lines += ["", "schemes (train, eval; or the path of a .py): " + (", ".join(report["schemes"]) or "none")]
    lines += [f"  {name:<24} [{path}]" for name, path in report["scheme_files"].items()]
    lines += [f"  left out: {entry['path']}: {entry['problem']}" for entry in report["broken_schemes"]]
    for noun in nouns.NAMES:
        lines.append(f"{noun}: " + ", ".join(report[noun]))
    return "\n".join(lines)

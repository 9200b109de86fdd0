# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists what there is: schemes to train, model packages with their members, and the five nouns."""

import textwrap
from pathlib import Path

from .. import schemes
from ..base import console, model_packages
from ..base.errors import UserError
from ..package import info


def add_arguments(parser):
    """Arguments of `gr-diffsem list`."""
    parser.add_argument(
        "--verbose", action="store_true", help="every prior, operator, start, sampler and plan, with its keys"
    )
    parser.add_argument("--markdown", metavar="FILE", help="write that as a page")


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
    report["nouns"] = _nouns()
    for noun, entries in report["nouns"].items():
        report[f"{noun}s"] = [entry["name"] for entry in entries]
    if (args.verbose or args.markdown) and not report["nouns"]:
        raise UserError(
            "--verbose asks the blocks: `make build`, or give the Python that GNU Radio and diffsem are for"
        )
    if args.markdown:
        Path(args.markdown).write_text(page(report["nouns"]), encoding="utf-8")
    report["verbose"] = args.verbose
    return report


def _nouns():
    """{noun: [{name, documentation, keys}]} of the core, empty where the blocks are not installed."""
    try:
        from gnuradio.diffsem import core
    except ImportError:
        return {}
    return core.nouns()


def page(nouns):
    """The reference page, as Markdown."""
    lines = [
        "# Priors, operators, starts, samplers, plans",
        "",
        "Made by `gr-diffsem list --markdown`. A manifest names each by `type` and gives its keys; those of operators, "
        "samplers, starts and plans may also stand in a scheme string, `NAME:key=value`.",
    ]
    for noun, entries in nouns.items():
        lines += ["", f"## {noun}"]
        for entry in entries:
            lines += ["", f"**`{entry['name']}`** {entry['documentation']}"]
            lines += [f"- `{key}`: {words}" for key, words in entry["keys"].items()]
    return "\n".join([*lines, ""])


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
        member: description.get("title") or _kind(description.get("prior"))
        for member, description in manifest["members"].items()
    }
    return entry


def _kind(prior):
    """The prior's type; the manifest may be anybody's."""
    return prior.get("type") if isinstance(prior, dict) else prior


def table(report):
    """The report for people."""
    rows = []
    for entry in report["packages"]:
        rows.append((entry["name"], entry["title"] or "", entry["path"]))
        for member, title in entry["members"].items():
            mark = "*" if member == entry["default"] else " "
            rows.append((f" {mark}{entry['name']}/{member}", title or "", ""))
        if "problem" in entry:
            rows.append((" problem:", entry["problem"], ""))
    rows += [(name, words.removeprefix("built in: "), "built in") for name, words in info.BUILT_IN.items()]
    lines = ["NAME or NAME/MEMBER stands wherever a scheme is asked for; * is a package's default", ""]
    lines += console.table(("model package", "title", "path"), rows, left=(0, 1, 2))
    if not report["packages"]:
        searched = ", ".join(map(str, model_packages.search_paths())) or "no folder exists"
        lines.append(f"no packages (searched: {searched}; $DIFFSEM_MODELS adds folders)")
    lines += ["", "schemes (train, eval; or the path of a .py): " + (", ".join(report["schemes"]) or "none")]
    lines += [f"  {name:<24} [{path}]" for name, path in report["scheme_files"].items()]
    lines += [f"  left out: {entry['path']}: {entry['problem']}" for entry in report["broken_schemes"]]
    for noun, entries in report["nouns"].items():
        if not report["verbose"]:
            lines.append(f"{noun}s: " + ", ".join(entry["name"] for entry in entries))
            continue
        how = " (its keys may also stand in a scheme string, NAME:key=value)"
        lines += ["", noun + (how if noun in ("operator", "start", "sampler", "plan") else "")]
        for entry in entries:
            lines += [f"  {entry['name']}", *textwrap.wrap(entry["documentation"], 100, **_under(4))]
            lines += [line for k, v in entry["keys"].items() for line in textwrap.wrap(f"{k}: {v}", 100, **_under(6))]
    return "\n".join(lines)


def _under(indent):
    return {"initial_indent": " " * indent, "subsequent_indent": " " * (indent + 2)}

# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem info MODEL[:key=value,...]`: what a model says of itself (package/info.py), and what the core says that
would load it, with the keys.

A file that reads well may still be one that nobody can run: only the core knows. It is asked where the blocks can be
imported, and the report says where they cannot.
"""

from pathlib import Path
from types import SimpleNamespace

from ..base import console
from ..base.errors import UserError
from ..package import info

add_arguments = info.add_arguments
#: of what the loader makes of a string with keys
SHOWN = ("spec", "member", "prior", "operator", "start", "sampler", "plan", "steps", "levels", "device", "max_model_mb")
ROLES = ("denoiser", "image_denoiser")  #: what schemes are made of; other models are for the block onnx_inference


def run(args):
    """The report of package/info.py; "loader" says whether the core was asked. Its complaints are problems. With keys
    also "loaded", what the loader makes of the string."""
    name, colon, keys = args.model.partition(":")
    if colon and "=" in keys and not name.endswith(".py"):
        if name in info.BUILT_IN:
            raise UserError(f"{name} is built in and holds nothing that keys could change: give {name}")
        return {**_report(SimpleNamespace(**{**vars(args), "model": name})), "loaded": loaded(args.model)}
    return _report(args)


def loaded(spec):
    """What the loader says of a scheme string. Raises UserError, also where the blocks are not installed."""
    try:
        from gnuradio import diffsem
    except ImportError as error:
        raise UserError(f"what keys make of a package only the blocks know ({error}): make build") from None
    try:
        made = diffsem.scheme(spec).info()
    except ValueError as error:
        raise UserError(str(error)) from None
    return {key: made[key] for key in SHOWN}


def _report(args):
    report = info.run(args)
    specs = loadable(args.model, report)
    if specs is None:
        return report
    try:
        from gnuradio import diffsem
    except ImportError as error:
        report["loader"] = f"not asked: gnuradio.diffsem cannot be imported here ({error})"
        return report
    report["loader"] = "asked"
    for spec, described in specs.items():
        try:
            said = diffsem.scheme(spec).info()
        except ValueError as error:
            report["problems"] += [str(error)] if str(error) not in report["problems"] else []
            continue
        if described is not None:
            described["condition"] = said["condition"]
            described["evaluations"] = said["evaluations"]
    return report


def loadable(model, report):
    """{scheme string: the member's report or None} of what the core can be asked; None: nothing of this is a scheme."""
    if "schemes" in report:
        return None
    path = Path(report["path"])
    if path.is_dir():
        return {f"{path.resolve()}/{name}": member for name, member in report["members"].items()}
    graph = report.get("graph")
    if graph is None or graph["metadata"].get("diffsem.role") not in ROLES:
        return None
    return {str(path.resolve()): report}


def table(report):
    """The report for people."""
    lines = info.table(report).split("\n")
    place = next((i for i, line in enumerate(lines) if line.startswith(("  PROBLEM", "  no problems"))), len(lines))
    said = []
    for name, part in [("", report), *report.get("members", {}).items()]:
        inputs = ", ".join(_input_text(c) for c in part.get("condition") or () if isinstance(c, dict))
        if inputs and "evaluations" in part:
            said.append(f"  told          {name + ': ' if name else ''}{inputs}")
        if part.get("evaluations", 0) > 1:
            cost = f"{part['evaluations']} evaluations of the network by its own plan"
            twice = "; guidance_scale=W takes twice as many" if any(_may_be_null(c) for c in part["condition"]) else ""
            said.append(f"  cost          {name + ': ' if name else ''}{cost}{twice}")
    if report.get("loader") not in (None, "asked"):
        said.append(f"  the core was {report['loader']}")
    lines = lines[:place] + list(map(console.printable, said)) + lines[place:]
    return "\n".join(lines + (_loaded_lines(report["loaded"]) if "loaded" in report else []))


def _loaded_lines(made):
    levels = " ".join(f"{level:.4g}" for level in made["levels"])
    levels = levels if len(levels) < 160 else f"{levels[:100]} ... {levels[-40:]}"
    nouns = "; ".join(f"{key} {made[key]}" for key in ("prior", "operator", "start", "sampler", "plan", "steps"))
    return [
        f"  loaded as {made['spec']}: member {made['member']}",
        f"    {nouns}",
        f"    levels {levels or 'measured'}",
        f"    device {made['device']}; files of at most {made['max_model_mb']:g} MB",
    ]


def _may_be_null(condition):
    return condition.get("null") is not None


def _end(value):
    return "" if value is None else f"{value:g}"


def _input_text(condition):
    null = f", {condition['null']:g}: not told" if isinstance(condition["null"], float) else ""
    if condition["least"] is not None or condition["most"] is not None:
        null += f", {_end(condition['least'])} .. {_end(condition['most'])}"
    source = ", the previous answer" if condition["from"] else ""
    return f"{condition['name']} ({condition['type']} {list(condition['shape'])}{null}{source})"

# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem info MODEL[:key=value,...]`: what a model says of itself, and what keys behind it make of it.

The keys are read by the loader itself, in the blocks: choices, levels from noise, device.
"""

from types import SimpleNamespace

from ..base.errors import UserError
from ..package import info as inner

add_arguments = inner.add_arguments
SHOWN = ("spec", "member", "prior", "operator", "start", "sampler", "plan", "steps", "levels", "device", "max_model_mb")


def run(args):
    """The report of the package or file; with keys also "loaded", what the loader makes of the string."""
    name, colon, keys = args.model.partition(":")
    if not colon or "=" not in keys or name.endswith(".py"):
        return inner.run(args)
    if name in inner.BUILT_IN:
        raise UserError(f"{name} is built in and holds nothing that keys could change: give {name}")
    report = inner.run(SimpleNamespace(**{**vars(args), "model": name}))
    return {**report, "loaded": loaded(args.model)}


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


def table(report):
    """The report for people."""
    lines = [inner.table(report)]
    made = report.get("loaded")
    if made:
        levels = " ".join(f"{level:.4g}" for level in made["levels"])
        levels = levels if len(levels) < 160 else f"{levels[:100]} ... {levels[-40:]}"
        nouns = "; ".join(f"{key} {made[key]}" for key in ("prior", "operator", "start", "sampler", "plan", "steps"))
        lines += [
            f"  loaded as {made['spec']}: member {made['member']}",
            f"    {nouns}",
            f"    levels {levels or 'measured'}",
            f"    device {made['device']}; files of at most {made['max_model_mb']:g} MB",
        ]
    return "\n".join(lines)

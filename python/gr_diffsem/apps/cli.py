# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem`: one command, each subcommand in its own module, imported only when it is called.

A subcommand's module offers

    add_arguments(parser)           its argparse arguments
    run(args) -> dict or None       does the work; the dict is what --json prints
    table(report) -> str            optional: the same for people (else run() has printed it)

Exit codes: 0 done, 1 failed, 2 wrong argument (one sentence on stderr); 130, 141 and 143 where it was ended
before it was done (ending.py).
"""

import argparse
import contextlib
import importlib
import os
import sys

from .. import __version__
from ..base import jsonio
from ..base.errors import UserError, nearest, unknown
from . import ending

# command: (module, environment it needs or None, help)
COMMANDS = {
    "list": ("apps.listing", None, "schemes, model packages, priors, samplers, plans"),
    "info": ("apps.info", None, "what a model says of itself, and whether it is whole"),
    "train": ("apps.train", "lab", "train a scheme's networks"),
    "export": ("package.export", "lab", "turn a checkpoint into a model package"),
    "import": ("package.import_pipeline", "lab", "turn a saved diffusers pipeline into a model package"),
    "eval": (None, "radio", "measure: a scheme's claims, a simulated link, real captures"),
    "send": ("apps.send", "radio", "send photographs, arrays, texts: to ZeroMQ, a file, a radio"),
    "receive": ("apps.receive", "radio", "receive them into a folder"),
    "channel": ("apps.channel", "radio", "an air between the two: fading, noise, offset, loss"),
    "channels": ("apps.channels", "radio", "measured channels into looks that train takes; draws of a generator out"),
    "radiomap": ("apps.radiomap", "radio", "a map of power, with its uncertainty, from samples of a walk"),
    "top": ("apps.top", "radio", "what the blocks of a running flowgraph are doing"),
    "bench": ("apps.bench", "radio", "how fast the blocks are"),
    "demo": ("apps.demo", "radio", "a table and pictures in two minutes"),
}
# what `eval` evaluates: anything else is a scheme
EVALUATIONS = {
    "all": ("eval.all_schemes", "every scheme that has a package: one table of all claims"),
    "wifi": ("eval.wifi_eval", "real 802.11a/g captures"),
    "lte": ("eval.lte_eval", "real captures of an LTE downlink"),
    "ofdm_link": ("eval.ofdm_link", "a coded OFDM link over simulated channels"),
    "semantic_link": ("eval.semantic_link", "photographs over the air, against WebP"),
    "video": ("eval.video", "moving pictures over the air, against H.264"),
    "semantic_sync": ("eval.semantic_sync", "synchronisation and headers of the semantic link, at low SNR"),
    "radiomap": ("eval.radiomap_eval", "radio maps of real walks and drives, blocks of space held out"),
    "channels": ("eval.channels_eval", "priors on measured channels that nobody knows, held out"),
    "impair": ("apps.impair", "a picture through what real radios do to samples, against floors"),
}
SCHEME_EVALUATION = "eval.scheme_eval"
_ENDED = {130: "\ngr-diffsem: interrupted", 143: "gr-diffsem: terminated"}


class Parser(argparse.ArgumentParser):
    """argparse whose errors are UserErrors: one sentence, no usage dump."""

    def error(self, message):
        raise UserError(f"{message} (see {self.prog} --help)")


def entry():
    """What `gr-diffsem` runs: main(), then the end of the process."""
    with ending.watched():  # to the end: a flowgraph that is forgotten while it runs keeps its process for ever
        try:
            code = main()
        except KeyboardInterrupt:  # behind its last line
            code = ending.asked() or 130
        if code:
            ending.leave(code)
    sys.exit(0)


def main(argv=None):
    """Run the command line; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    with ending.watched() as end:
        try:
            end.arm()
            code = _guarded(argv)
            sys.stdout.flush()
            end.arm(False)
        except BrokenPipeError:  # `gr-diffsem list | head`
            code = ending.CLOSED
        except KeyboardInterrupt:
            code = end.code or 130
            if code in _ENDED:
                ending.tell(_ENDED[code], file=sys.stderr)
        except SystemExit as error:  # argparse has printed its help
            code = error.code or 0
            ending.hush()
        except OSError as error:
            code = _unwritten(error)
        if end.text:
            ending.tell(f"gr-diffsem: {end.text}", file=sys.stderr)
        code = end.code or code  # also where the command cleaned up by itself
        if code:
            ending.hush()
    return code


def _guarded(argv):
    """_main(), its errors as sentences."""
    try:
        return _main(argv)
    except UserError as error:
        ending.tell(f"gr-diffsem: {error}", file=sys.stderr)
        return error.code
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except OSError as error:
        return _unwritten(error)
    except Exception as error:
        if ending.asked():  # an import that was broken off says what it likes
            raise KeyboardInterrupt from None
        if type(error).__module__.startswith("gnuradio.diffsem"):  # the core's own Error
            ending.tell(f"gr-diffsem: {error}", file=sys.stderr)
            return 2
        raise


def _unwritten(error):
    """The exit code of an OSError that is a user's matter: a file that cannot be had, or a disk that is full."""
    full = error.errno in ending.FULL
    if error.filename is None and not full:
        raise error
    what = error.filename or "what was to be written"
    if not ending.asked():  # that has its own sentence
        ending.tell(f"gr-diffsem: {what}: {error.strerror}", file=sys.stderr)
    return ending.FAILED if full else 2


def _main(argv):
    if not argv or argv[0] in ("-h", "--help"):
        print(_usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"gr-diffsem {__version__}")
        return 0
    command, rest = argv[0], argv[1:]
    if command not in COMMANDS:
        raise unknown("command", command, COMMANDS)
    name, environment, _ = COMMANDS[command]
    if command == "eval":
        command, name, rest = _evaluation(rest)
        if name is None:
            return 0
    module = _import(name, environment, argv)
    args = _parse(command, module, rest)
    if environment:
        _enter(environment)
    report = _run(module, args)
    if report is not None:
        table = getattr(module, "table", None)
        if args.json:
            print(jsonio.dumps(report))
        elif table:
            print(table(report))
        passed = getattr(module, "passed", None)  # of what is a check
        if passed and not passed(report):
            return ending.FAILED
    return 0


def _usage():
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {entry[2]}" for name, entry in COMMANDS.items()]
    return "\n".join(
        ["usage: gr-diffsem COMMAND [...] [--json]", "", *lines, ""]
        + ["gr-diffsem COMMAND --help says more; gr-diffsem --version"]
    )


def _evaluation(rest):
    """(program name, module, arguments) of `eval WHAT ...`; module None when help was printed."""
    if not rest or rest[0] in ("-h", "--help"):
        lines = [f"  {name:<10} {text}" for name, (_, text) in EVALUATIONS.items()]
        text = ["usage: gr-diffsem eval WHAT [...] [--json]", "", *lines]
        text += [f"  {'SCHEME':<10} the claims of a scheme: a .py file, or {', '.join(_scheme_names())}"]
        if not rest:
            raise UserError("eval what? one of " + ", ".join([*EVALUATIONS, *_scheme_names()]))
        print("\n".join(text))
        return "eval", None, rest
    what = rest[0]
    if what in EVALUATIONS:
        return f"eval {what}", EVALUATIONS[what][0], rest[1:]
    schemes = _scheme_names()
    own = what in schemes or what.endswith(".py") or what in _broken_names()
    if not own and nearest(what, [*EVALUATIONS, *schemes]) in EVALUATIONS:
        raise unknown("evaluation", what, EVALUATIONS)
    return "eval", SCHEME_EVALUATION, rest


def _scheme_names():
    from .. import schemes

    return schemes.names()


def _broken_names():
    """Names of schemes' files that are left out."""
    from .. import schemes

    return [source.path.stem for source in schemes.broken()]


def _import(name, environment, argv):
    """The subcommand's module; where an import is missing, the environment it needs is entered."""
    full = f"gr_diffsem.{name}"
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("gr_diffsem"):
            raise UserError(f"this installation has no '{argv[0]}' ({error.name} is missing)") from None
        if environment:
            _enter(environment)
        raise UserError(
            f"Python module '{error.name}' is missing in {sys.prefix}: `make` sets up the "
            f"environments, or install it with {sys.executable} -m pip install {error.name}"
        ) from None


def _enter(environment):
    """Continue in the environment that the command needs (does not return when that is another)."""
    with contextlib.suppress(ModuleNotFoundError):
        envs = importlib.import_module("gr_diffsem.apps.environments")
        envs.ensure(environment)
        said = envs.find_home() if environment == "radio" else None
        if said:
            ending.tell(f"gr-diffsem: {said}", file=sys.stderr)


def _parse(command, module, rest):
    parser = Parser(prog=f"gr-diffsem {command}", description=module.__doc__.split("\n\n")[0])
    module.add_arguments(parser)
    if not any("--json" in action.option_strings for action in parser._actions):
        parser.add_argument("--json", action="store_true", help="print the report as strict JSON")
    return parser.parse_args(rest)


def _run(module, args):
    """module.run(args); with --json everything it prints goes to stderr, also from C++."""
    if not args.json:
        return module.run(args)
    sys.stdout.flush()
    try:
        stdout = os.dup(1)
    except OSError:
        return module.run(args)
    try:
        os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            return module.run(args)
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)

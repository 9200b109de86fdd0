# SPDX-License-Identifier: GPL-3.0-or-later
"""Every number that the command line takes, of every command: nan, infinities, words and what lies outside its
range are one sentence that names the option."""

import argparse
import importlib

import pytest
from gr_diffsem.apps import cli
from gr_diffsem.base.errors import UserError
from gr_diffsem.base.number_options import Number, ratio, real, whole

MODULES = {name: entry[0] for name, entry in cli.COMMANDS.items() if entry[0]}
MODULES |= {f"eval {name}": entry[0] for name, entry in cli.EVALUATIONS.items()} | {
    "eval SCHEME": cli.SCHEME_EVALUATION
}
NEVER = ["nan", "inf", "-inf", "1e999", "text", "", " ", "1/0", "0x10", "1,5", "\x1b[2J", "9" * 5000]


def options():
    """(command, action) of every option that takes a value."""
    for command, name in MODULES.items():
        parser = cli.Parser(prog=command)
        importlib.import_module(f"gr_diffsem.{name}").add_arguments(parser)
        yield from ((command, a) for a in parser._actions if a.option_strings and a.nargs != 0)


ALL = list(options())
NUMBERS = [pytest.param(c, a, id=f"{c} {a.option_strings[0]}") for c, a in ALL if isinstance(a.type, Number)]


def test_numbers_have_one_home():
    other = [
        f"{c} {a.option_strings[0]}: {a.type}" for c, a in ALL if not (a.type is None or isinstance(a.type, Number))
    ]
    assert not other, "give these their type by base/number_options.py"
    assert len(NUMBERS) > 40 and all(a.type.option in a.option_strings for _, a in ALL if a.type)


def test_no_option_without_a_type_is_a_number():
    assert not [f"{c} {a.option_strings}" for c, a in ALL if a.type is None and isinstance(a.default, (int, float))]


@pytest.mark.parametrize(("command", "action"), NUMBERS)
def test_what_is_no_number_of_the_range_is_a_sentence(command, action):
    kind, option = action.type, action.option_strings[0]
    outside = [] if kind.least is None else [kind.least - 1]
    outside += [] if kind.above is None else [kind.above, kind.above - 1]
    outside += [] if kind.most is None else [kind.most + max(1, abs(kind.most) * 1e-9)]
    outside += [] if kind.below is None else [kind.below]
    assert outside, "every number has a range"
    for text in [*NEVER, *(str(int(v) if kind.whole else v) for v in outside), *(["1.5", "1e3"] if kind.whole else [])]:
        parser = argparse.ArgumentParser()
        parser.add_argument(option, type=kind, nargs=action.nargs, dest="value")
        with pytest.raises(UserError) as e:
            parser.parse_args([f"{option}={text}"])
        said = str(e.value)
        assert said.startswith(f"{option} ") and "give " in said and said.isprintable() and len(said) < 160, said


@pytest.mark.parametrize(("command", "action"), NUMBERS)
def test_defaults_lie_within(command, action):
    values = action.default if isinstance(action.default, list) else [action.default]
    assert all(v is None or action.type.holds(action.type._read(v)) for v in values)


def test_the_command_line_says_it(capsys):
    for words, sentence in {
        ("send", "--rate", "nan"): "gr-diffsem: --rate nan: give more than 0 and at most 1e12 samples a second\n",
        ("receive", "--idle", "inf"): "gr-diffsem: --idle inf: give 0 to 1e9 seconds\n",
        ("send", "--cbr", "5"): "gr-diffsem: --cbr 5: give a ratio like 1/48 or 0.02, more than 0 and at most 1\n",
        ("channel", "--snr", "nan"): "gr-diffsem: --snr nan: give -30 to 100\n",
        ("send", "--gap", "-1"): "gr-diffsem: --gap -1: give 0 to 1e7 samples\n",
    }.items():
        assert cli.main(list(words)) == 2
        assert capsys.readouterr().err == sentence


@pytest.mark.parametrize(
    ("add", "more", "good", "words"),
    [
        (real, {}, {"1e3": 1000.0, "-2.5": -2.5}, "a number"),
        (real, {"least": 0, "below": 1}, {"0": 0.0, "0.99": 0.99}, "0 or more and less than 1"),
        (real, {"above": 0}, {"1e-9": 1e-9}, "more than 0"),
        (whole, {}, {"0": 0, "2147483647": 2147483647}, "a whole number, 0 or more"),
        (whole, {"least": 1, "most": 9}, {"1": 1, "9": 9}, "1 to 9"),
        (ratio, {}, {"1/48": 1 / 48, "0.02": 0.02, "1": 1.0}, "a ratio like 1/48 or 0.02, more than 0 and at most 1"),
        (ratio, {"keep": True}, {"1/48": "1/48"}, "a ratio like 1/48 or 0.02, more than 0 and at most 1"),
    ],
)
def test_ranges(add, more, good, words):
    parser = argparse.ArgumentParser()
    add(parser, "--x", **more)
    for text, value in good.items():
        assert parser.parse_args([f"--x={text}"]).x == value
    with pytest.raises(UserError, match=f"--x text: give {words}$"):
        parser.parse_args(["--x", "text"])

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages say of commands is so: each command and option exists, and each default is the parser's."""

import argparse
import importlib
import inspect
import json
import re
import shlex
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from gr_diffsem.apps import cli
from gr_diffsem.base.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md")]
PAGES += [p for folder in ("docs", "docs/openings", "bench", "models/*") for p in sorted(ROOT.glob(f"{folder}/*.md"))]
OF_OTHERS = {"--install", "--recurse-submodules"}  # of cmake, git
PLACEHOLDERS = ("...", "[", "<", "(")


def module_of(words):
    """(name of the module, words that are its arguments) of the words behind `gr-diffsem`."""
    if words[0] != "eval":
        return cli.COMMANDS[words[0]][0], words[1:]
    if len(words) > 1 and words[1] in cli.EVALUATIONS:
        return cli.EVALUATIONS[words[1]][0], words[2:]
    return cli.SCHEME_EVALUATION, words[1:]


def parser_of(name):
    parser = cli.Parser(add_help=False)
    importlib.import_module(f"gr_diffsem.{name}").add_arguments(parser)
    if not any("--json" in action.option_strings for action in parser._actions):
        parser.add_argument("--json", action="store_true")
    parser.add_argument("--help", action="store_true")
    return parser


PARSERS = {name: parser_of(name) for name in sorted({entry[0] for entry in cli.COMMANDS.values() if entry[0]})}
PARSERS |= {name: parser_of(name) for name in [*(e[0] for e in cli.EVALUATIONS.values()), cli.SCHEME_EVALUATION]}


def options(parser):
    return {text for action in parser._actions for text in action.option_strings}


def code_of(text):
    """(in a block of its own, code) of a page: indented and fenced lines, and what stands in backquotes."""
    fenced = False
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield True, line.strip()
        else:
            for span in re.findall(r"``?([^`]+)``?", line):
                yield False, span.strip()


def commands_of(text):
    """(in a block, words behind `gr-diffsem`) of each command on a page. In a sentence a command may go without the
    `gr-diffsem`, where options follow it."""
    for block, code in code_of(text):
        code = re.split(r"\s#\s|\s*\|\s*|&&|;(?:\s|$)", code.replace("\\|", "|"))[0]
        match = re.match(r"(?:build/bin/)?gr-diffsem\s+(\S.*)", code)
        words = (match[1] if match else "" if block else code).split()
        if words and words[0] in cli.COMMANDS and (match or any(w.startswith("--") for w in words)):
            yield block and bool(match), words


def everything():
    return [(page, block, words) for page in PAGES for block, words in commands_of(page.read_text(encoding="utf-8"))]


def wrong_of(words):
    """Options of a command that it does not have."""
    name, _ = module_of(words)
    asked = {re.match(r"--[a-zA-Z][\w-]*", word)[0] for word in words if re.match(r"--[a-zA-Z]", word)}
    return asked - options(PARSERS[name])


def test_pages_are_read():
    """Enough commands are found, of every kind; a wrong one would be seen."""
    found = everything()
    assert len(found) > 60 and {words[0] for _, _, words in found} >= set(cli.COMMANDS) - {"demo"}  # `make demo`
    assert sum(block for _, block, _ in found) > 15
    ((_, words),) = commands_of("text `receive --veiw` and `receive`")
    assert wrong_of(words) == {"--veiw"}


def test_every_option_of_a_command_exists():
    for page, _, words in everything():
        assert not wrong_of(words), f"{page.name}: gr-diffsem {' '.join(words)}"


def test_every_command_line_can_be_given():
    """Those that stand in blocks, to be copied: the parser takes them."""
    for page, block, words in everything():
        if block and not any(mark in word for word in words for mark in PLACEHOLDERS):
            name, arguments = module_of(words)
            try:
                PARSERS[name].parse_args(shlex.split(" ".join(arguments)))
            except UserError as error:
                pytest.fail(f"{page.name}: gr-diffsem {' '.join(words)}: {error}")


def parameters_of_examples():
    """What grcc makes options of."""
    graphs = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "examples").glob("*.grc")]
    blocks = [block for graph in graphs for block in graph["blocks"] if block["id"] == "parameter"]
    return {f"--{block['name'].replace('_', '-')}" for block in blocks}


def test_every_option_that_is_named_exists():
    """Alone in backquotes, or in a command of a script of ours: in some parser of ours, or in that script."""
    known = set.union(*map(options, PARSERS.values())) | OF_OTHERS | parameters_of_examples()
    folders = ("bench", "tests/soak", "examples")
    scripts = {p.name: p.read_text(encoding="utf-8") for d in folders for p in (ROOT / d).glob("*.py")}
    seen = 0
    for page in PAGES:
        for _, code in code_of(page.read_text(encoding="utf-8")):
            script = next((text for name, text in scripts.items() if name in code), None)
            words = re.findall(r"(?:^|\s)(--[a-zA-Z][\w-]*)", code)
            if script:
                assert all(f'"{word}"' in script for word in words), f"{page.name}: {code}"
            elif code.startswith("--"):
                assert words[0] in known, f"{page.name}: {code}"
                seen += 1
    assert seen > 20


def test_targets_and_variables_that_are_named_exist():
    """`make TARGET` in the Makefile, DIFFSEM_VARIABLE in what reads it."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    read = set()
    for folder in ("python", "lib", "include", "scripts", "cmake", "tests"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".cc", ".h", ".sh", ".cmake", ".txt", ".in"):
                read |= set(re.findall(r"DIFFSEM_[A-Z_]+", path.read_text(encoding="utf-8")))
    read |= set(re.findall(r"DIFFSEM_[A-Z_]+", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")))
    asked = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for _, code in code_of(text):
            match = re.match(r"(?:[A-Z]+=\S+ )*make ([a-z][\w-]*)", code)
            if match:
                asked.add(match[1])
                assert match[1] in targets, f"{page.name}: {code}"
        assert set(re.findall(r"DIFFSEM_[A-Z_]+", text)) <= read, page.name
    assert len(asked) > 8


def test_members_that_are_named_exist():
    """`NAME/MEMBER` of the shipped packages, alone or with keys behind a colon."""
    packages = {path.parent.name: json.loads(path.read_text()) for path in ROOT.glob("models/*/manifest.json")}
    seen = set()
    for page in PAGES:
        for _, code in code_of(page.read_text(encoding="utf-8")):
            for name, member in re.findall(r"(?<![\w/.-])(\w+)/(\w+)(?![\w/.])", code):
                if name in packages:
                    assert member in packages[name]["members"], f"{page.name}: {code}"
                    seen.add((name, member))
    assert len(seen) > 3


def test_parameters_of_blocks_that_are_named_exist():
    """`BLOCK(parameter=...)` in a sentence or an example: the block has it."""
    diffsem = pytest.importorskip("gnuradio.diffsem")
    seen = 0
    for page in PAGES:
        for _, code in code_of(page.read_text(encoding="utf-8")):
            for name, inside in re.findall(r"(?:diffsem\.)?\b(\w+)\(([^()]*)\)", code):
                block = getattr(diffsem, name, None)
                if isinstance(block, type):
                    said = block.__init__.__doc__ if type(block).__name__ == "pybind11_type" else ""
                    known = re.findall(r"(\w+):", said or "") or list(inspect.signature(block.__init__).parameters)
                    for word in re.findall(r"(\w+)=", re.sub(r'"[^"]*"', '""', inside)):
                        assert word in known, f"{page.name}: {code}"
                        seen += 1
    assert seen >= 4


def test_defaults_that_pages_state():
    """`NAME` (the default of `COMMAND`): what its --scheme is where none is given."""
    stated = []
    for page in PAGES:
        stated += re.findall(r"`([\w/]+)` \(the default of `(\w+)`\)", page.read_text(encoding="utf-8"))
        rest = re.sub(r"`[\w/]+` \(the default of `\w+`\)", "", page.read_text(encoding="utf-8"))
        assert "the default of `" not in rest, f"{page.name}: say `NAME` (the default of `COMMAND`)"
    assert stated
    for value, command in stated:
        assert PARSERS[cli.COMMANDS[command][0]].get_default("scheme") == value


@pytest.mark.parametrize("name", PARSERS)
def test_help_says_the_default_that_is(name):
    """Where a help text ends with a value in brackets, or says `default: `, it is the default."""
    for action in PARSERS[name]._actions:
        stated = re.search(r"\((?:default:? )?([^()\s,;]+)(?: \w+)?\)$", action.help or "")
        if stated and action.default not in (None, argparse.SUPPRESS) and stated[1] != "all":
            assert same(stated[1], action.default), f"{action.option_strings}: {action.help}, but {action.default}"


def same(text, value):
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(Fraction(text)) == pytest.approx(value)
        except ValueError:
            return False
    return text == str(value)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemes in files of one's own: found by path and by $DIFFSEM_SCHEMES; a broken one hides itself alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
from gr_diffsem import schemes
from gr_diffsem.apps import cli, train
from gr_diffsem.base.errors import UserError
from gr_diffsem.package import quantize

WHOLE = """
from gr_diffsem.schemes.base import Scheme

class Mine(Scheme):
    name, title, reference = "{name}", "a title", "a paper"

SCHEME = Mine()
"""
SHIPPED = set(schemes.shipped())
#: what is wrong: (file, what is said of it)
BROKEN = {
    "syntax": ("x = 1\ndef f(:\n", "line 2: SyntaxError: "),
    "raises": ("import math\n\nmath.sqrt('x')\n", "line 3: TypeError: must be real number, not str"),
    "leaves": ("import sys\nsys.exit(3)\n", "line 2: SystemExit: 3"),
    "interrupts": ("x = 1\nraise KeyboardInterrupt\n", "line 2: KeyboardInterrupt"),
    "cancels": ("import asyncio\nraise asyncio.CancelledError\n", "line 2: CancelledError"),
    "unspeakable": ("class E(Exception):\n    def __str__(self):\n        raise E\nraise E\n", "line 4: E"),
    "keeps_its_source": (
        WHOLE.format(name="a").replace("\nSCHEME", "    source = property(lambda self: None)\nSCHEME"),
        "AttributeError: ",
    ),
    "lacks_a_module": ("import no_such_module\n", "'no_such_module'; install it, or import it inside the function"),
    "no_scheme": ("x = 1\n", "defines no SCHEME"),
    "a_class": (WHOLE.format(name="a").replace("Mine()\n", "Mine\n"), "make an instance, SCHEME = Mine()"),
    "something_else": ("SCHEME = 'sector'\n", "SCHEME is a str"),
    "no_name": (WHOLE.format(name=""), "Mine.name is ''"),
    "no_title": (WHOLE.format(name="a").replace('"a title"', '""'), "Mine.title is ''"),
    "no_reference": (WHOLE.format(name="a").replace('"a paper"', "None"), "Mine.reference is None"),
    "wrong_name": (WHOLE.format(name="a/b"), "Mine.name is 'a/b'"),
    "empty_sizes": ("SCHEMES = ()\n", "SCHEMES is no tuple of schemes"),
    "twice": (WHOLE.format(name="same") + "SCHEMES = (SCHEME, Mine())\n", "the name 'same' twice"),
    "taken": (WHOLE.format(name="ofdm_chanest"), "ofdm_chanest.py was there first"),
    "bytes": (b"x = '\xff'\n", "SyntaxError: (unicode error)"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of schemes that $DIFFSEM_SCHEMES names, with one whole scheme in it."""
    where = tmp_path / "mine"
    where.mkdir()
    write(where / "whole.py", WHOLE.format(name="whole_one"))
    monkeypatch.setenv("DIFFSEM_SCHEMES", str(where))
    monkeypatch.setattr(schemes, "_told", set())
    return where


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def report(capsys, *words):
    assert cli.main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *words):
    assert cli.main([*map(str, words)]) == 2
    return capsys.readouterr().err


def test_a_path_is_enough(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("DIFFSEM_SCHEMES", raising=False)
    file = write(tmp_path / "sector.py", WHOLE.format(name="other_name"))
    (found,) = schemes.find(file)
    assert (found.name, found.source) == ("other_name", str(file))
    assert schemes.get(file) is found, "a file is run once"
    monkeypatch.chdir(tmp_path)
    assert schemes.find("./sector.py") == schemes.find("sector.py") == [found]
    assert set(schemes.names()) == SHIPPED >= {"ofdm_chanest"} and schemes.get("ofdm_chanest").source is None
    assert report(capsys, "info", "./sector.py")["schemes"]["other_name"]["title"] == "a title"
    assert "has no test_data()" in refused(capsys, "eval", "./sector.py")
    assert "other_name: a title" in (cli.main(["info", "sector.py"]), capsys.readouterr().out)[1]


@pytest.mark.parametrize("what", ["./nowhere.py", "nowhere.py", "/nowhere", "."])
def test_a_path_that_leads_nowhere(what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no file of a scheme|unknown scheme"):
        schemes.find(what)


def test_the_variable_names_folders_and_files(folder, tmp_path, monkeypatch, capsys):
    file = write(tmp_path / "alone.py", WHOLE.format(name="alone_one"))
    write(folder / "_shared.py", "raise RuntimeError('never imported')")
    monkeypatch.setenv("DIFFSEM_SCHEMES", f"{folder}:{file}::{folder / 'whole.py'}:{schemes.HERE}")
    assert set(schemes.names()) == {*SHIPPED, "whole_one", "alone_one"} and schemes.broken() == []
    assert schemes.get("alone_one").source == str(file) and schemes.sizes("alone") == ["alone_one"]
    listed = report(capsys, "list")
    assert listed["scheme_files"] == {"alone_one": str(file), "whole_one": str(folder / "whole.py")}
    assert {"whole_one", "ofdm_chanest"} <= set(listed["schemes"]) and listed["broken_schemes"] == []


def test_a_file_that_was_changed_is_read_again(folder):
    write(folder / "whole.py", WHOLE.format(name="whole_two_"))
    assert "whole_one" not in schemes.shipped()
    assert "whole_two_" in schemes.names() and "whole_one" not in schemes.names()


def test_several_sizes_in_one_file(folder, capsys):
    text = WHOLE.format(name="small") + "class Large(Mine):\n    name = 'large'\nSCHEMES = (SCHEME, Large())\n"
    write(folder / "family.py", text)
    assert schemes.sizes("family") == schemes.sizes(folder / "family.py") == ["small", "large"]
    assert schemes.sizes("large") == ["large"]
    with pytest.raises(UserError, match="several sizes: name one of small, large"):
        schemes.get("family")


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_hides_itself_alone(kind, folder, capsys):
    text, said = BROKEN[kind]
    file = write(folder / f"{kind}.py", text)
    assert set(schemes.names()) == {*SHIPPED, "whole_one"}
    assert schemes.get("ofdm_chanest").source is None
    (entry,) = report(capsys, "list")["broken_schemes"]
    assert entry["path"] == str(file) and said in entry["problem"] and "\n" not in entry["problem"]
    assert cli.main(["list"]) == 0 and f"left out: {file}: " in capsys.readouterr().out
    # Asked for by its name it says in one sentence what is wrong with it.
    error = refused(capsys, "eval", kind)
    assert error.count("\n") == 1 and str(file) in error and said in error
    if kind != "taken":  # whose path reaches it
        error = refused(capsys, "info", file)
        assert error.count("\n") == 1 and str(file) in error and said in error


def test_of_two_schemes_of_one_name_the_first_is_found(folder, tmp_path, monkeypatch):
    second = write(tmp_path / "second.py", WHOLE.format(name="whole_one"))
    for first, other in ((folder / "whole.py", second), (second, folder / "whole.py")):
        monkeypatch.setenv("DIFFSEM_SCHEMES", f"{first}:{other}")
        assert schemes.get("whole_one").source == str(first)
        assert [s.path for s in schemes.broken()] == [other]
        assert schemes.get(other).source == str(other), "a path always reaches its file"


def test_a_real_ctrl_c_is_not_taken_for_a_broken_file(folder):
    write(folder / "slow.py", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    with pytest.raises(KeyboardInterrupt):
        schemes.names()
    (folder / "slow.py").unlink()
    assert "whole_one" in schemes.names() and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_a_file_prints_is_no_part_of_a_report(folder, capsys):
    write(folder / "talks.py", "print('hello')\n" + WHOLE.format(name="talks"))
    assert "talks" in report(capsys, "list")["schemes"]
    assert cli.main(["train", "--help"]) == 0
    assert "hello" not in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["circle", "pipe", "folder", "dangling"])
def test_what_is_called_a_file_and_is_none_hides_itself_alone(kind, folder):
    path = folder / "odd.py"
    if kind == "circle":
        path.symlink_to(path)
    elif kind == "pipe":
        os.mkfifo(path)  # reading would wait for ever
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(folder / "gone.py")
    assert set(schemes.names()) == {*SHIPPED, "whole_one"}
    assert [source.path.name for source in schemes.broken()] == ["gone.py" if kind == "dangling" else "odd.py"]


@pytest.mark.parametrize("part", ["~nobody_of_this_name/schemes", "a" * 5000], ids=["no_user", "too_long"])
def test_a_folder_that_cannot_be_is_named(part, folder, monkeypatch):
    monkeypatch.setenv("DIFFSEM_SCHEMES", f"{part}:{folder}")
    assert "whole_one" in schemes.names()
    (source,) = schemes.broken()
    assert "no folder and no .py file" in source.problem
    with pytest.raises(UserError, match="no file of a scheme"):
        schemes.find(f"{part}/x.py")


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """A copy of the package, whose own folder of schemes holds every broken file, and two whole ones of one name."""
    root = tmp_path_factory.mktemp("copy")
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(schemes.HERE.parent, root / "gr_diffsem", ignore=ignore)
    own = root / "gr_diffsem" / "schemes"
    for kind, (text, _) in BROKEN.items():
        write(own / f"{kind}.py", text)
    write(own / "zz_first.py", WHOLE.format(name="doubled"))
    write(own / "zz_second.py", WHOLE.format(name="doubled"))
    for name in ("read", "re", "names"):  # of what the package itself is made of
        write(own / f"{name}.py", WHOLE.format(name=f"called_{name}"))
    return root


def of_copy(installation, *words):
    env = {**os.environ, "PYTHONPATH": str(installation)}
    env.pop("DIFFSEM_SCHEMES", None)
    command = [sys.executable, "-m", "gr_diffsem", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def test_a_broken_file_of_the_package_s_own_folder_hides_itself_alone(installation):
    done = of_copy(installation, "list", "--json")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    fine = {"doubled", "called_read", "called_re", "called_names", "a"}  # "a": no `source` is put on a shipped one
    assert set(listed["schemes"]) == SHIPPED | fine
    problems = {Path(e["path"]).name: e["problem"] for e in listed["broken_schemes"]}
    assert "zz_first.py was there first" in problems.pop("zz_second.py")
    wanted = {f"{kind}.py": said for kind, (_, said) in BROKEN.items() if kind != "keeps_its_source"}
    assert set(problems) == set(wanted)
    for name, said in wanted.items():
        if name == "taken.py":  # it comes behind the shipped one in the alphabet
            said = "ofdm_chanest.py was there first"
        assert said in problems[name], name
    assert of_copy(installation, "train", "--help").returncode == 0
    asked = of_copy(installation, "eval", "syntax")
    assert asked.returncode == 2 and "syntax.py cannot be used as a scheme: line 2: SyntaxError" in asked.stderr
    path = str(installation / "gr_diffsem" / "schemes" / "read.py")
    assert "called_read" in of_copy(installation, "info", path).stdout


def test_shipped_schemes_are_the_first_of_their_names(monkeypatch):
    """shipped() and sources() agree on which of two files it is."""
    source = schemes.Source
    first, second = types.SimpleNamespace(name="x"), types.SimpleNamespace(name="x")
    files = {"a": source(Path("a.py"), (first,)), "b": source(Path("b.py"), (second,))}
    monkeypatch.setattr(schemes, "_files", lambda folder: sorted(files))
    monkeypatch.setattr(schemes, "_shipped", files.get)
    monkeypatch.delenv("DIFFSEM_SCHEMES", raising=False)
    assert schemes.shipped()["x"] is first and schemes.all_schemes()["x"] is first


def test_what_was_not_found_may_be_in_a_broken_file(folder, capsys):
    """It is named on stderr, once; a lookup that succeeds says nothing."""
    file = write(folder / "broken.py", "def\n")
    schemes.get("whole_one")
    assert capsys.readouterr().err == ""
    for times in (1, 0):
        with pytest.raises(UserError, match="unknown scheme 'sector'"):
            schemes.get("sector")
        assert capsys.readouterr().err.count(str(file)) == times


def test_a_folder_that_is_not_there_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFSEM_SCHEMES", f"{tmp_path / 'gone'}:{folder}")
    assert "whole_one" in schemes.names()
    (source,) = schemes.broken()
    assert source.path == tmp_path / "gone" and "no folder and no .py file" in source.problem


def test_where_it_is_trained(folder, monkeypatch):
    """Beside the user, not in a checkout that happens to be there."""
    assert not train.default_folder(schemes.get("whole_one")).is_absolute()
    with pytest.raises(UserError, match="scheme 'whole_one' has no networks to train"):
        train.run_one(schemes.get("whole_one"), None, None)


def test_export_finds_the_scheme_again(folder, tmp_path, monkeypatch):
    was = write(tmp_path / "was.py", WHOLE.format(name="moved"))
    assert schemes.trained("moved", str(was)).source == str(was)
    now = was.rename(tmp_path / "now.py")
    with pytest.raises(UserError, match=f"trained from {was}, which is not there: give --scheme FILE.py"):
        schemes.trained("moved", str(was))
    assert schemes.trained("moved", str(was), str(now)).source == str(now)
    monkeypatch.setenv("DIFFSEM_SCHEMES", str(now))
    assert schemes.trained("moved", str(was)).source == str(now)
    with pytest.raises(UserError, match=r"whole.py has no scheme 'moved' \(whole_one\)"):
        schemes.trained("moved", str(was), str(folder / "whole.py"))


def test_a_shipped_scheme_is_never_taken_for_ones_own(tmp_path):
    """A checkpoint of somebody's own `ofdm_chanest` whose file has gone does not become the shipped one's."""
    with pytest.raises(UserError, match="give --scheme FILE.py"):
        schemes.trained("ofdm_chanest", str(tmp_path / "gone.py"))
    assert schemes.trained("ofdm_chanest").source is None, "checkpoints of before name no file"
    assert schemes.trained("ofdm_chanest", str(tmp_path / "gone.py"), "ofdm_chanest").source is None


def test_a_package_that_is_not_there_yet(folder, tmp_path, capsys):
    file = write(tmp_path / "measured.py", WHOLE.format(name="measured").replace(
        "SCHEME =", "    def test_data(self, count, seed):\n        pass\n\nSCHEME ="))  # fmt: skip
    said = refused(capsys, "eval", file)
    assert "has no model package on the search path: give --package FOLDER" in said and said.count("\n") == 1


def test_a_scheme_may_be_a_frozen_dataclass(folder):
    text = WHOLE.format(name="frozen").replace("class", "@dataclass(frozen=True)\nclass")
    write(folder / "frozen.py", "from __future__ import annotations\nfrom dataclasses import dataclass\n" + text)
    assert schemes.get("frozen").source == str(folder / "frozen.py")


def test_a_package_to_quantise_finds_its_scheme(folder, tmp_path):
    """The package does not say which file its scheme was in."""
    prior = {"type": "onnx", "file": "net.onnx"}
    manifest = {"diffsem.contract": 1, "name": "apart", "default": "net", "members": {"net": {"prior": prior}}}
    write(tmp_path / "manifest.json", json.dumps(manifest))
    file = write(tmp_path / "apart.py", WHOLE.format(name="apart"))
    with pytest.raises(UserError, match="unknown scheme 'apart'.*give its scheme with --scheme FILE.py"):
        quantize.find(str(tmp_path))
    path, scheme, member = quantize.find(str(tmp_path), str(file))
    assert (path, scheme.source, member) == (tmp_path / "net.onnx", str(file), "net")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: what it prints, how it fails, and that its JSON is strict."""

import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.apps import cli
from gr_diffsem.base import errors, jsonio

ROOT = Path(__file__).resolve().parents[2]


def call(*argv, **environment):
    """Run it as a user does: another process, this checkout's package."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python"), **environment}
    command = [sys.executable, "-m", "gr_diffsem", *argv]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def one_sentence(result):
    """The error text of a wrong call: exit code 2, one line, no traceback, nothing on stdout."""
    assert result.returncode == 2, result
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and "Traceback" not in result.stderr
    return lines[0]


def test_version_and_usage():
    assert call("--version").stdout.startswith("gr-diffsem 0.")
    usage = call("--help")
    assert usage.returncode == 0
    for command in cli.COMMANDS:
        assert command in usage.stdout
    assert call().returncode == 2


def test_unknown_command_names_the_nearest():
    assert "did you mean 'train'" in one_sentence(call("trian"))


def test_unknown_evaluation_names_the_nearest():
    assert "did you mean 'wifi'" in one_sentence(call("eval", "wify"))
    assert "ofdm_link" in one_sentence(call("eval"))


def test_missing_and_unknown_arguments():
    assert "MODEL" in one_sentence(call("info"))
    assert "--nonsense" in one_sentence(call("list", "--nonsense"))


def test_info_on_what_is_not_a_model(tmp_path):
    assert "does not exist" in one_sentence(call("info", "/nowhere/model.onnx"))
    assert "manifest.json" in one_sentence(call("info", str(tmp_path)))
    (tmp_path / "manifest.json").write_text("{ not json")
    assert "not JSON" in one_sentence(call("info", str(tmp_path)))
    (tmp_path / "manifest.json").write_text("[]")
    assert "members" in one_sentence(call("info", str(tmp_path)))
    assert "unknown" in one_sentence(call("info", "a" * 300))


def test_a_file_that_cannot_be_had_is_a_sentence(tmp_path, monkeypatch, capsys):
    from gr_diffsem.apps import cli, listing

    monkeypatch.setattr(listing, "run", lambda args: (tmp_path / "file" / "below").read_text())
    assert cli.main(["list"]) == 2
    assert capsys.readouterr().err == f"gr-diffsem: {tmp_path}/file/below: No such file or directory\n"


def test_list_is_strict_json():
    result = call("list", "--json")
    report = json.loads(result.stdout, parse_constant=pytest.fail)
    assert "posterior_mean" in report["samplers"]
    assert result.returncode == 0


def test_list_finds_packages_and_members(tmp_path):
    package = tmp_path / "toy"
    package.mkdir()
    members = {"a": {"title": "first", "prior": {"type": "none"}}}
    manifest = {"diffsem.contract": 1, "default": "a", "members": members}
    (package / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("?")
    result = call("list", DIFFSEM_MODELS=str(tmp_path))
    assert "toy/a" in result.stdout and "first" in result.stdout
    assert "problem" in result.stdout
    assert "did you mean 'toy'" in one_sentence(call("info", "toyy", DIFFSEM_MODELS=str(tmp_path)))
    assert "did you mean 'a'" in one_sentence(call("info", "toy/aa", DIFFSEM_MODELS=str(tmp_path)))


BROKEN_MANIFESTS = {
    "no_json": "?",
    "no_members": "{}",
    "members_listed": '{"members": ["a"]}',
    "a_member_that_is_a_number": '{"members": {"a": 7}}',
    "a_prior_that_is_a_number": '{"members": {"a": {"prior": 7}}}',
    "a_prior_that_is_a_word": '{"members": {"a": {"prior": "gaussian"}}}',
    "a_signal_that_is_a_word": '{"signal": "x", "members": {"a": {}}}',
    "a_domain_that_is_a_list": '{"signal": {"domain": []}, "members": {"a": {}}}',
    "a_default_that_is_a_list": '{"default": [], "title": {}, "members": {"a": {"title": 3}}}',
    "claims_of_another_kind": '{"claims": {"a": 1}, "files": {}, "members": {"a": {}}}',
    "bytes": b"\xff\xfe",
}


def test_a_broken_package_hides_itself_alone(tmp_path):
    """Each beside a whole one, in the folder of models; asked for, it says what is wrong in a sentence or a report."""
    members = {"a": {"title": "first", "prior": {"type": "none"}}}
    for name, text in {"whole": json.dumps({"default": "a", "members": members}), **BROKEN_MANIFESTS}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "a_folder").mkdir()
    (tmp_path / "a_folder" / "manifest.json").mkdir()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "net.onnx").write_text("no network")
    where = f"{tmp_path}:~nobody_of_this_name/models:{'a' * 300}"
    result = call("list", "--json", DIFFSEM_MODELS=where)
    assert result.returncode == 0, result.stderr
    found = {entry["name"]: entry for entry in json.loads(result.stdout)["packages"]}
    assert found["whole"]["members"] == {"a": "first"} and "ofdm_chanest" in found
    assert {*BROKEN_MANIFESTS, "net"} <= set(found)
    for name in ("no_json", "no_members", "members_listed", "a_member_that_is_a_number", "bytes"):
        assert "problem" in found[name]
    assert call("list", DIFFSEM_MODELS=where).returncode == 0
    from gr_diffsem.package import info

    for name in BROKEN_MANIFESTS:
        try:
            info.table(info.run(types.SimpleNamespace(model=str(tmp_path / name))))
        except errors.UserError as error:
            assert "\n" not in str(error)


def test_json_has_no_nan():
    value = {"a": np.float32("nan"), "b": np.array([1.0, np.inf]), "c": (np.int64(3), Path("x"))}
    assert json.loads(jsonio.dumps(value)) == {"a": None, "b": [1.0, None], "c": [3, "x"]}
    with pytest.raises(TypeError):
        jsonio.dumps({"a": object()})


def fake(monkeypatch, run, **more):
    """A subcommand `fake` whose module is made here."""
    module = types.ModuleType("gr_diffsem.fake")
    module.__doc__ = "A command made for a test."
    module.add_arguments = lambda parser: parser.add_argument("--count", type=int, default=1)
    module.run = run
    for name, value in more.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "gr_diffsem.fake", module)
    monkeypatch.setitem(cli.COMMANDS, "fake", ("fake", None, "for a test"))


def test_stray_output_does_not_spoil_json(monkeypatch, capfd):
    def run(args):
        print("progress")
        os.write(1, b"from C++\n")
        return {"count": args.count, "value": float("nan")}

    fake(monkeypatch, run)
    assert cli.main(["fake", "--count", "4", "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out) == {"count": 4, "value": None}
    assert "progress" in err and "from C++" in err


def test_table_for_people(monkeypatch, capsys):
    fake(monkeypatch, lambda args: {"x": 1}, table=lambda report: f"x is {report['x']}")
    assert cli.main(["fake"]) == 0
    assert capsys.readouterr().out == "x is 1\n"


def test_wrong_value_is_a_sentence(monkeypatch, capsys):
    fake(monkeypatch, lambda args: {})
    assert cli.main(["fake", "--count", "many"]) == 2
    assert "invalid int value: 'many'" in capsys.readouterr().err


def test_interrupt_is_clean(monkeypatch, capsys):
    def run(args):
        raise KeyboardInterrupt

    fake(monkeypatch, run)
    assert cli.main(["fake"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_interrupt_of_a_process_is_clean():
    code = (
        "import sys, time, types; from gr_diffsem.apps import cli; from gr_diffsem.apps import listing\n"
        "listing.run = lambda args: (print('ready', flush=True), time.sleep(30))\n"
        "sys.exit(cli.main(['list']))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in err


def test_nearest_names():
    assert errors.nearest("gausian", ["gaussian", "gmm"]) == "gaussian"
    assert errors.nearest("zzz", ["gaussian", "gmm"]) is None
    assert "choose one of a, b" in str(errors.unknown("thing", "zzz", ["b", "a"]))
    assert "there are none" in str(errors.unknown("thing", "zzz", []))


def test_importing_pulls_in_nothing_heavy():
    code = (
        "import sys, pkgutil, importlib, gr_diffsem\n"
        "for name in ('apps.cli', 'apps.listing', 'package.info', 'eval.scheme_eval', 'reference.posterior'):\n"
        "    importlib.import_module('gr_diffsem.' + name)\n"
        "bad = {'gnuradio', 'torch', 'onnxruntime', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'imported {bad}' if bad else 0)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    assert subprocess.run([sys.executable, "-c", code], env=env, timeout=60).returncode == 0


def test_list_describes_every_noun(tmp_path, capsys):
    pytest.importorskip("gnuradio.diffsem")
    assert cli.main(["list", "--verbose", "--markdown", str(tmp_path / "page.md")]) == 0
    said, page = capsys.readouterr().out, (tmp_path / "page.md").read_text()
    for words in ("quantiser", "distance of two thresholds", "heun", "Karras et al. 2022, alg. 1", "noise_updates"):
        assert words in said and words in page

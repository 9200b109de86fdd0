# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/tally.py: what the summary of `make test` says, from files that pytest itself and ctest wrote."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

TESTS = """
import pytest
def test_good(): pass
@pytest.mark.parametrize("n", [1, 2])
def test_bad(n): assert n == 3, "no luck"
def test_skipped(): pytest.skip("not here")
@pytest.mark.xfail(reason="known")
def test_known(): assert False
@pytest.fixture
def sticky():
    yield
    raise ValueError("left behind")
def test_not_cleaned_up(sticky): pass
"""
# Of ctest 3.25: a test that passed, one that failed, one whose program is missing, one that skips itself.
CTEST = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="(empty)" tests="4" failures="1" disabled="0" skipped="2">
  <testcase name="good" classname="good" status="run"><system-out/></testcase>
  <testcase name="bad" classname="bad" status="fail"><failure message=""/><system-out/></testcase>
  <testcase name="gone" status="notrun"><skipped message="Unable to find executable"/></testcase>
  <testcase name="skip" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>
</testsuite>
"""


def tally(logs, *rings):
    """(exit code, lines)."""
    words = [sys.executable, str(ROOT / "scripts/tally.py"), str(logs), *rings]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout.splitlines()


def run_pytest(folder, xml, *words):
    (folder / "test_it.py").write_text(TESTS)
    words = [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "--rootdir", folder, "-q", *words]
    subprocess.run(
        [*map(str, words), "-p", "no:cacheprovider", f"--junit-xml={xml}", str(folder)],
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/failed").touch()
    (tmp_path / "logs/core.xml").write_text(CTEST)
    (tmp_path / "logs/form.xml").write_text('<testsuite><testcase name="form"></testcase></testsuite>')
    return tmp_path / "logs"


def test_the_counts_of_each_ring_and_their_sum(logs, tmp_path):
    run_pytest(tmp_path, logs / "radio.xml")
    (logs / "failed").write_text("radio\ncore\n")
    code, lines = tally(logs, "core", "radio", "form")
    assert code == 1
    assert lines[0].split() == ["core", "FAILED", "1", "passed,", "2", "failed,", "1", "skipped"]
    assert [line.split()[1] for line in lines[1:3]] == ["bad", "gone"]
    assert lines[3].split() == ["radio", "FAILED", "2", "passed,", "3", "failed,", "1", "skipped"]
    assert "test_it.py::test_bad[1]" in lines[4] and "no luck" in lines[4] and "left behind" in lines[6]
    assert lines[7].split() == ["form", "ok", "1", "passed,", "0", "failed,", "0", "skipped"]
    assert lines[-1] == "4 passed, 5 failed, 2 skipped"


def test_what_passes_at_the_second_try_counts_as_passed(logs, tmp_path):
    run_pytest(tmp_path, logs / "radio.xml", "-k", "good or bad")
    (logs / "failed").write_text("radio\n")
    first = (logs / "radio.xml").read_text()
    (logs / "again.xml").write_text(first.replace("<failure", "<system-out").replace("</failure", "</system-out"))
    code, lines = tally(logs, "radio", "form")
    assert code == 0 and lines[-1] == "4 passed, 0 failed, 0 skipped, 2 of them at the second try, alone"
    (logs / "again.xml").write_text(first)
    code, lines = tally(logs, "radio", "form")
    assert code == 1 and lines[-1] == "2 passed, 2 failed, 0 skipped"


@pytest.mark.parametrize("content", [None, "", "<testsuite>", "<testsuite></testsuite>"])
def test_a_ring_without_results_has_failed(logs, content):
    if content is not None:
        (logs / "asan.xml").write_text(content)
    code, lines = tally(logs, "asan", "form")
    assert code == 1 and lines[0].split() == ["asan", "FAILED", "no", "results"]
    assert lines[-1] == "1 passed, 1 failed, 0 skipped"


def test_a_ring_that_ends_badly_has_failed_though_all_its_tests_passed(logs):
    (logs / "failed").write_text("form\nbeside\n")
    code, lines = tally(logs, "form")
    assert code == 1 and lines[-1] == "1 passed, 2 failed, 0 skipped"
    (logs / "failed").write_text("")
    assert tally(logs, "form") == (
        0,
        ["    form     ok     1 passed, 0 failed, 0 skipped", lines[-1][:8] + ", 0 failed, 0 skipped"],
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""build/setup_env.sh: after it is sourced, the commands are those that a user expects, in every common shell."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHELLS = ("bash", "sh", "zsh")
LISTS = ("PATH", "PYTHONPATH", "GRC_BLOCKS_PATH")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What scripts/launcher.sh writes for an environment in a folder of an awkward name."""
    build = tmp_path_factory.mktemp("o'brien and co") / "build"
    (build / "env").mkdir(parents=True)
    (build / "env" / "radio").symlink_to(sys.prefix)
    environment = {**os.environ, "BUILD_DIR": str(build)}
    subprocess.run([ROOT / "scripts" / "launcher.sh"], env=environment, check=True, timeout=30)
    return build


@pytest.fixture
def decoy(tmp_path):
    """A folder with programs of the same names, as pyenv and conda put them first in PATH."""
    folder = tmp_path / "decoy"
    folder.mkdir()
    for name in ("python", "python3", "pip", "gr-diffsem"):
        (folder / name).write_text("#!/bin/sh\necho another\n")
        (folder / name).chmod(0o755)
    return folder


def run(shell, made, script, decoy, **environment):
    """Lines that a shell prints: `script` behind a line that defines $env as what is to be sourced."""
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here")
    env = {**os.environ, "PATH": f"{decoy}:{os.environ['PATH']}", "env": str(made / "setup_env.sh"), **environment}
    env = {name: value for name, value in env.items() if value is not None}
    done = subprocess.run([shell, "-c", script], env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_are_those_that_a_user_expects(shell, made, decoy):
    script = """set -eu; python; . "$env"; for c in python python3 pip gr-diffsem; do command -v "$c"; done
    python -c 'import sys; print(sys.prefix)'; /usr/bin/env python3 -c 'import sys; print(sys.prefix)'
    gr-diffsem --version"""
    before, python, python3, pip, command, *prefixes, version = run(shell, made, script, decoy, PYTHONHOME="/nowhere")
    assert before == "another"
    radio = made / "env" / "radio"
    assert [python, python3, pip] == [str(radio / "bin" / name) for name in ("python", "python3", "pip")]
    assert command == str(made / "bin" / "gr-diffsem") and version.startswith("gr-diffsem 0.")
    assert prefixes == [str(radio)] * 2


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("before", [None, "", "/a:/b c"])
def test_sourcing_twice_changes_nothing(shell, before, made, decoy):
    """And where something else went in front since, ours is put first again, and is there once."""
    say = "\n".join(f'echo "${{{name}-}}"' for name in LISTS)
    script = f'. "$env"\n{say}\n. "$env"\n{say}\nPATH="{decoy}:$PATH"; . "$env"\n{say}\ncommand -v python'
    lines = run(shell, made, script, decoy, PYTHONPATH=before, GRC_BLOCKS_PATH=before)
    first, again, third, last = lines[:3], lines[3:6], lines[6:9], lines[9:]
    radio = made / "env" / "radio"
    assert first == again and third[1:] == first[1:] and last == [str(radio / "bin" / "python")]
    for text, ours in zip((first[0], third[0]), [[str(made / "bin"), str(radio / "bin")]] * 2, strict=True):
        parts = text.split(":")
        assert parts[:2] == ours and not set(ours) & set(parts[2:])
        assert parts[2] == str(decoy) and "" not in parts
    rest = before.split(":") if before else []
    for text in first[1:]:
        own, *others = text.split(":")
        assert own.startswith(str(radio)) and others == rest, "an empty part would be the current folder"


def test_no_name_is_left_behind(made, decoy):
    left = run("bash", made, '. "$env"; compgen -v; compgen -A function; true', decoy)
    assert "PYTHONPATH" in left and "rest" not in left and not [name for name in left if "diffsem_" in name]


def test_the_real_one_is_written_by_the_build():
    """Where this is a checkout that was built: its python imports the blocks."""
    real = ROOT / "build" / "setup_env.sh"
    if not real.is_file():
        pytest.skip("make build has not run")
    script = '. "$1"; python3 -c "import gnuradio.diffsem as d; print(d.__file__)"'
    done = subprocess.run(["bash", "-c", script, "-", str(real)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and str(ROOT / "build" / "env" / "radio") in done.stdout, done

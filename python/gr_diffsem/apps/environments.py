# SPDX-License-Identifier: GPL-3.0-or-later
"""The two Python environments, and how a command gets into the one that it needs.

``radio`` runs flowgraphs: the interpreter GNU Radio was built for. ``lab`` trains and exports: PyTorch,
ONNX tools, Sionna. Debian 12's GNU Radio needs NumPy 1 and Sionna needs NumPy 2, so they are two.
An environment is known by what can be imported in it, not by its path: where one interpreter has
everything, it serves as both and nothing is re-executed.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ..base.errors import UserError
from ..base.places import PACKAGE, checkout

NEEDED_MODULES = {
    "radio": ("gnuradio", "numpy"),
    "lab": ("torch", "onnx", "onnxscript", "sionna"),
}
#: Set in the new process, so that an environment that lacks something cannot re-execute for ever.
_REEXEC_VARIABLE = "DIFFSEM_REEXEC"


#: What GNU Radio's FFT makes at home, and does not go on without.
LOCK = ".gr_fftw_wisdom.lock"


class EnvironmentMissing(UserError):
    """An environment cannot be had; the message says what to do."""


def missing_modules(name):
    """Names of the modules that environment `name` needs and this interpreter lacks."""
    return [module for module in NEEDED_MODULES[name] if importlib.util.find_spec(module) is None]


def share_dir():
    """The installed ``share/gr-diffsem`` that belongs to this package, or None."""
    candidates = [parent / "share" / "gr-diffsem" for parent in PACKAGE.parents]
    candidates.append(Path(sys.prefix) / "share" / "gr-diffsem")
    return next((path for path in candidates if path.is_dir()), None)


def build_dir():
    """The folder that holds ``env/radio`` and ``env/lab``."""
    root = checkout()
    if root:
        return root / "build"
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "gr-diffsem"


def interpreter(name):
    """Path of the interpreter of environment `name`, or None while it is not made.

    ``DIFFSEM_RADIO_PYTHON`` and ``DIFFSEM_LAB_PYTHON`` name another one.
    """
    chosen = os.environ.get(f"DIFFSEM_{name.upper()}_PYTHON")
    path = Path(chosen) if chosen else build_dir() / "env" / name / "bin" / "python"
    if path.is_file():
        return path
    if chosen:
        raise EnvironmentMissing(f"DIFFSEM_{name.upper()}_PYTHON is {chosen!r}, which is not a file")
    return None


def make(name):
    """Make environment `name` with the set-up script, showing its progress."""
    home = checkout() or share_dir()
    script = home / "scripts" / "env.sh" if home else None
    if script is None or not script.is_file():
        raise EnvironmentMissing(
            f"the environment {name!r} does not exist, and the script that makes it was not found; set "
            f"DIFFSEM_{name.upper()}_PYTHON to an interpreter with {', '.join(NEEDED_MODULES[name])}"
        )
    environ = dict(os.environ, BUILD_DIR=str(build_dir()), DIFFSEM_PACKAGE=str(PACKAGE))
    if subprocess.call([str(script), name], env=environ, stdout=sys.stderr) != 0:
        raise EnvironmentMissing(f"making the environment {name!r} failed; its own messages stand above")


def command(python, argv):
    """The command line that runs ``gr-diffsem ARGV`` with interpreter `python`."""
    version = subprocess.check_output([str(python), "-c", "import sys; print(sys.version_info >= (3, 11))"], text=True)
    # A file in the current folder, say types.py, must not be taken for Python's own.
    safe = ["-P"] if version.strip() == "True" else []
    return [str(python), *safe, "-m", "gr_diffsem", *argv]


def python_path(name):
    """PYTHONPATH for environment `name`: without the modules of the other one, which setup_env.sh puts there (Sionna
    cannot use GNU Radio's NumPy)."""
    others = [build_dir() / "env" / other for other in NEEDED_MODULES if other != name]
    if sys.prefix != sys.base_prefix:
        others.append(Path(sys.prefix))
    given = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    kept = [part for part in given if not any(Path(part).is_relative_to(other) for other in others)]
    # The package must be found there even where no link to it was made (DIFFSEM_LAB_PYTHON).
    own = [str(checkout() / "python")] if checkout() else []
    return os.pathsep.join([*own, *(part for part in kept if part not in own)])


def ensure(name, argv=None):
    """Return if this interpreter serves as environment `name`; else run ``gr-diffsem ARGV`` there instead.

    Does not return in the second case: the process is replaced. Makes ``lab`` when it is not there yet.
    Messages go to standard error, so that ``--json`` on standard output stays clean.
    """
    lacking = missing_modules(name)
    if not lacking:
        return
    if os.environ.get(_REEXEC_VARIABLE) == name:
        raise EnvironmentMissing(
            f"{sys.executable} was taken for the environment {name!r} but lacks {', '.join(lacking)}; "
            f"remedy: make {'lab' if name == 'lab' else 'build'} in the checkout of gr-diffsem"
        )
    python = interpreter(name)
    if python is None and name == "radio":
        raise EnvironmentMissing(
            "this command runs flowgraphs, and there is no environment with GNU Radio; remedy: make build in the "
            "checkout of gr-diffsem, or set DIFFSEM_RADIO_PYTHON to the interpreter GNU Radio was built for"
        )
    if python is None:
        print(f"gr-diffsem: this command needs the environment {name!r}; making it now", file=sys.stderr, flush=True)
        make(name)
        python = interpreter(name)
    print(f"gr-diffsem: continuing in the environment {name!r} ({python})", file=sys.stderr, flush=True)
    os.environ[_REEXEC_VARIABLE] = name
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ["PYTHONPATH"] = python_path(name)
    os.execv(str(python), command(python, sys.argv[1:] if argv is None else argv))


def find_home():
    """Where HOME cannot be written, as for a service, GNU Radio is given a folder of this user's instead: a line that
    says so, or None."""
    home = os.environ.get("HOME")
    if home is None or _writable(home):
        return None  # without one it takes the folder of temporary files itself
    try:
        folder = Path(tempfile.gettempdir(), f"gr-diffsem-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid() or not _writable(folder):
            folder = tempfile.mkdtemp(prefix="gr-diffsem-")
    except OSError as e:
        raise UserError(
            f"HOME is {home}, where nothing can be written, nor can a temporary folder be made ({e.strerror}): set "
            "HOME to a folder that can be written"
        ) from None
    os.environ["HOME"] = str(folder)
    return f"HOME is {home}, where nothing can be written; GNU Radio keeps its files in {folder}"


def _writable(folder):
    try:
        with Path(folder, LOCK).open("a"):
            return True
    except (OSError, ValueError):
        return False

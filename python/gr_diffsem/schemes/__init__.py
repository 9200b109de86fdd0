# SPDX-License-Identifier: GPL-3.0-or-later
"""The schemes: every file here that defines `SCHEME` is one, found by lying here; and your own, anywhere.

A file whose scheme comes in several sizes, a package each, defines a tuple `SCHEMES` instead. Where a scheme is asked
for, a path to a .py file does as well as a name. $DIFFSEM_SCHEMES, folders and .py files separated by colons, gives
more schemes that are found by name; in a folder, files that begin with an underscore are left out.

Of two schemes of one name, the one that comes first is found: those here, then $DIFFSEM_SCHEMES in its order. The
other file is left out and says why; its path still reaches it. A broken file hides only itself.

Importing needs only NumPy; torch and sionna are imported by what trains.
"""

import contextlib
import hashlib
import importlib
import os
import re
import signal
import stat
import sys
import threading
import traceback
import types
from dataclasses import dataclass, replace
from pathlib import Path

from ..base.errors import UserError, unknown

HERE = Path(__file__).resolve().parent
RECIPE = "docs/add_a_scheme.md shows one"
_own = {}  # {(path, time and size of the file): Source}: a file is run once, and again after it was changed
_told = set()  # broken files that stderr has heard of


@dataclass(frozen=True)
class Source:
    """A file that may hold schemes: what it holds, or in one sentence what is wrong with it."""

    path: Path
    schemes: tuple = ()
    problem: str | None = None

    @property
    def name(self):
        """What the file is called, without .py: stands for all schemes in it."""
        return self.path.stem

    def error(self):
        """The UserError of who asked for this file."""
        return UserError(f"{self.path} cannot be used as a scheme: {self.problem}")


def sources():
    """A `Source` for every file: those here, then those of $DIFFSEM_SCHEMES. Never raises for what is in one."""
    return _one_of_each_name([*map(_shipped, _files(HERE)), *_listed()])


def _one_of_each_name(every):
    """The same `Source`s, those left out whose schemes' names were there before."""
    found, holders = [], {}
    for source in every:
        taken = next((s.name for s in source.schemes if s.name in holders), None)
        if taken:
            text = f"the scheme '{taken}' of {holders[taken]} was there first: give this one another name, or its path"
            source = replace(source, schemes=(), problem=text)
        holders.update((s.name, source.path) for s in source.schemes)
        found.append(source)
    return found


def shipped():
    """{name: Scheme} of those here; no file of anybody's own is run."""
    every = _one_of_each_name(map(_shipped, _files(HERE)))
    return {scheme.name: scheme for source in every for scheme in source.schemes}


def broken():
    """The `Source`s that are left out, each with its `problem`."""
    return [source for source in sources() if source.problem]


def all_schemes():
    """{name: Scheme}, in order of name."""
    found = {scheme.name: scheme for source in sources() for scheme in source.schemes}
    return dict(sorted(found.items()))


def names():
    """Names of all schemes."""
    return list(all_schemes())


def find(what):
    """The schemes that `what` stands for, a list: one by its name, or all of a file by its path or its name.

    Raises UserError: for an unknown name with the nearest known, for a broken file with what is wrong with it.
    """
    what = str(what)
    if is_file_name(what):
        return list(read(what).schemes)
    everything = sources()
    for source in everything:
        for scheme in source.schemes:
            if scheme.name == what:
                return [scheme]
    same = sorted((s for s in everything if s.name == what), key=lambda s: s.problem is not None)
    if same and same[0].problem:
        raise same[0].error()
    if same:
        return list(same[0].schemes)
    _tell(everything)
    raise unknown("scheme", what, [scheme.name for source in everything for scheme in source.schemes])


def trained(name, source=None, where=None):
    """The scheme of this name that a training was of: in `where` (a name or .py file), else in `source`, the file it
    was trained from; with neither, or where that file is gone, among those that are found, then the user's own only."""
    if where is not None or (source and os.path.isfile(source)):
        found = {scheme.name: scheme for scheme in find(where or source)}
        if name not in found:
            raise UserError(f"{where or source} has no scheme '{name}' ({', '.join(found)}): give it with --scheme")
        return found[name]
    if not source:
        return get(name)
    own = all_schemes().get(name)
    if own is None or not own.source:
        raise UserError(
            f"scheme '{name}' was trained from {source}, which is not there: give --scheme FILE.py, where it is now"
        )
    return own


def sizes(name):
    """Names of the schemes that a name or file stands for."""
    return [scheme.name for scheme in find(name)]


def get(name):
    """The one scheme of a name or file; UserError for none and for several."""
    found = find(name)
    if len(found) > 1:
        raise UserError(f"'{name}' comes in several sizes: name one of {', '.join(s.name for s in found)}")
    return found[0]


def is_file_name(what):
    """Whether `what` is a path of a scheme's file, and no name."""
    return str(what).endswith(".py") or "/" in str(what)


def read(file):
    """The `Source` of one file by its path; UserError where there is none or it is broken."""
    path = Path(os.path.expanduser(file))
    if not os.path.isfile(path) or path.suffix != ".py":
        raise UserError(f"{file} is no file of a scheme: give the path of a .py ({RECIPE}), or a scheme's name")
    source = _read(_real(path))
    if source.problem:
        raise source.error()
    return source


# ---- where files are ----


def _files(folder):
    """The .py files of a folder that may hold schemes, in order of name."""
    return sorted(p for p in folder.glob("*.py") if not p.name.startswith("_") and p != HERE / "base.py")


def _real(path):
    """The path without links. os.path, not pathlib: that raises where links go round in a circle."""
    return Path(os.path.realpath(path))


def _listed():
    """A `Source` for every file of $DIFFSEM_SCHEMES, each once."""
    seen = {*_files(HERE), HERE / "base.py", HERE / "__init__.py"}
    for part in filter(None, os.environ.get("DIFFSEM_SCHEMES", "").split(":")):
        path = _real(os.path.expanduser(part))
        if not os.path.isdir(path) and (path.suffix != ".py" or not os.path.isfile(path)):
            yield Source(path, problem="$DIFFSEM_SCHEMES names it, but it is no folder and no .py file: correct that")
            continue
        try:
            files = [_real(file) for file in _files(path)] if os.path.isdir(path) else [path]
        except OSError as error:
            yield Source(path, problem=f"$DIFFSEM_SCHEMES names it, but it cannot be read ({error.strerror})")
            continue
        for file in files:
            if file not in seen:
                seen.add(file)
                yield _read(file)


def _tell(everything):
    """Say on stderr, once each, which files are left out: the name that was not found may be in one."""
    for source in everything:
        if source.problem and source.path not in _told:
            _told.add(source.path)
            print(f"gr-diffsem: left out: {source.path}: {source.problem}", file=sys.stderr)


# ---- what is in them ----


def _shipped(path):
    return _checked(path, lambda: _import(path.stem))


def _import(name):
    before = globals().get(name)
    module = importlib.import_module(f"{__name__}.{name}")
    if before is not None:  # a file called read.py must not take the place of read()
        globals()[name] = before
    return module


def _read(path):
    """The `Source` of a file of somebody's own. Its schemes know it as their `source`."""
    try:
        state = path.stat()
    except OSError as error:
        return Source(path, problem=f"it cannot be read ({error.strerror})")
    if not stat.S_ISREG(state.st_mode):
        return Source(path, problem="it is no ordinary file")
    key = path, state.st_mtime_ns, state.st_size
    if key not in _own:
        _own[key] = _checked(path, lambda: _execute(path), str(path))
    return _own[key]


def _execute(path):
    """A file as a module. Without byte code beside it, which two writes within a second would confuse."""
    module = types.ModuleType(f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}")
    module.__file__ = str(path)
    code = compile(path.read_bytes(), str(path), "exec")
    sys.modules[module.__name__] = module  # dataclasses and pickle look there
    try:
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def _checked(path, load, source=None):
    """The `Source` of a file that load() runs, whatever is in it. What it prints is no part of a report."""
    try:
        with _sigint() as pressed, contextlib.redirect_stdout(sys.stderr):
            module = load()
            found = _schemes_of(module)
            for scheme in found if source else ():
                object.__setattr__(scheme, "source", source)  # a frozen dataclass may be a scheme, too
    except BaseException as error:
        if pressed and isinstance(error, KeyboardInterrupt):
            raise
        return Source(path, problem=_words(error, path))
    return Source(path, tuple(found))


@contextlib.contextmanager
def _sigint():
    """A list that is empty until Ctrl-C is pressed: a KeyboardInterrupt without that is a file's own."""
    pressed, before = [], signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield pressed  # Python raises no KeyboardInterrupt here
        return

    def heard(number, frame):
        pressed.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, heard)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _schemes_of(module):
    """The schemes of a module, each whole; UserError says what one lacks."""
    if not hasattr(module, "SCHEME") and not hasattr(module, "SCHEMES"):
        raise UserError(f"it defines no SCHEME: end it with SCHEME = YourScheme() ({RECIPE})")
    found = getattr(module, "SCHEMES", None)
    if found is None:
        found = (module.SCHEME,)
    if not isinstance(found, (tuple, list)) or not found:
        raise UserError("SCHEMES is no tuple of schemes: give one, or SCHEME = YourScheme()")
    for scheme in found:
        _check(scheme)
    names = [scheme.name for scheme in found]
    if len(set(names)) < len(names):
        raise UserError(f"SCHEMES has the name '{max(names, key=names.count)}' twice: give each its own")
    return found


def _check(scheme):
    from .base import Scheme

    if isinstance(scheme, type):
        raise UserError(f"SCHEME is the class {scheme.__name__}: make an instance, SCHEME = {scheme.__name__}()")
    if not isinstance(scheme, Scheme):
        raise UserError(f"SCHEME is a {type(scheme).__name__}: give an instance of a subclass of schemes.base.Scheme")
    kind = type(scheme).__name__
    for key in ("name", "title", "reference"):
        value = getattr(scheme, key)
        if not isinstance(value, str) or not value:
            raise UserError(f"{kind}.{key} is {value!r}: give it some text ({RECIPE})")
    if not re.fullmatch(r"\w[\w.-]*", scheme.name) or scheme.name.endswith((".py", ".onnx")):
        raise UserError(f"{kind}.name is {scheme.name!r}: give letters, digits and underscores, as for a file")


def _words(error, path):
    """An exception in one sentence, with the line of the file where it is known."""
    if isinstance(error, UserError):
        return str(error)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    try:
        text = str(error)
    except Exception:  # a file may bring its own exceptions
        text = ""
    if isinstance(error, SyntaxError):
        lines, text = [error.lineno], error.msg
    where = f"line {lines[-1]}: " if lines and lines[-1] else ""
    said = " ".join(f"{type(error).__name__}{': ' if text else ''}{text}".split())
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("gr_diffsem"):
        said += "; install it, or import it inside the function that uses it"
    return where + said

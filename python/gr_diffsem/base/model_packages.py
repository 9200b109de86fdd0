# SPDX-License-Identifier: GPL-3.0-or-later
"""Model packages: where they are, what they say, and whether they are whole.

The same rules as the C++ core (docs/model_contract.md): search path, manifest, content hash.
"""

import configparser
import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path

from . import jsonio
from .errors import UserError, unknown
from .places import PACKAGE

CONTRACT = 1
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 20


def search_paths(checkout_first=False):
    """Folders that may hold packages, in the order in which they win.

    checkout_first: the source checkout before installed ones, for who has just exported into it.
    """
    paths = _split(os.environ.get("DIFFSEM_MODELS", "")) + _split(_preference())
    here = PACKAGE
    checkout = [here.parent.parent / "models"]
    paths += checkout if checkout_first else []
    prefixes = [Path(sys.prefix), *here.parents[2:6], Path("/usr/local"), Path("/usr")]
    paths += [prefix / "share" / "gr-diffsem" / "models" for prefix in prefixes]
    paths += [here / "share" / "models", *checkout]
    return [path for path in dict.fromkeys(paths) if os.path.isdir(path)]


def _split(text):
    # os.path's functions: pathlib's raise where a user does not exist, or a name is too long to be any file's.
    return [Path(os.path.expanduser(part)) for part in text.split(":") if part]


def _preference():
    """`models_path` of section [diffsem] of the user's GNU Radio preferences."""
    override = os.environ.get("GR_CONF_DIFFSEM_MODELS_PATH")
    if override:
        return override
    home = Path(os.path.expanduser(os.environ.get("GR_PREFS_PATH", "~/.gnuradio")))
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read(home / "config.conf")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return ""
    return parser.get("diffsem", "models_path", fallback="").strip('"')


def find_packages(checkout_first=False):
    """{name: folder or .onnx file}; the first on the search path wins."""
    found = {}
    for folder in search_paths(checkout_first):
        with contextlib.suppress(OSError):  # a folder that may not be read hides itself alone
            for entry in sorted(folder.iterdir()):
                if os.path.isfile(entry / MANIFEST):
                    found.setdefault(entry.name, entry)
                elif entry.suffix == ".onnx" and os.path.isfile(entry):
                    found.setdefault(entry.stem, entry)
    return found


def read_manifest(folder):
    """The manifest of a package folder, as a dict. Raises UserError when it cannot be one."""
    path = Path(folder) / MANIFEST
    manifest = jsonio.read_object(
        path,
        MAX_MANIFEST_BYTES,
        "a manifest",
        "a model package",
        "export the package again",
        "an object with 'members'",
    )
    if not isinstance(manifest.get("members"), dict):
        raise UserError(f"{path} has no 'members': see docs/model_contract.md for what it needs")
    odd = next((name for name, member in manifest["members"].items() if not isinstance(member, dict)), None)
    if odd is not None:
        raise UserError(f"{path}: member '{odd}' is no object with a prior: see docs/model_contract.md")
    if not isinstance(manifest.get("signal", {}), dict):
        raise UserError(f"{path}: 'signal' must be an object: see docs/model_contract.md")
    if not isinstance(manifest.get("files", {}), dict):
        raise UserError(f"{path}: 'files' must be an object of file names and SHA-256 sums")
    return manifest


def locate(model, checkout_first=False):
    """`NAME[/MEMBER]`, a package folder (or folder/member) or a .onnx file -> (path, member or None).

    Anything after a colon (overrides) is left out of account.
    """
    spec = str(model).split(":")[0]
    path = Path(os.path.expanduser(spec))
    # os.path's questions: pathlib's raise where a name is too long to be any file's.
    if os.path.isfile(path) or os.path.isfile(path / MANIFEST):
        return path, None
    if os.path.isfile(path.parent / MANIFEST) and not os.path.exists(path):
        return path.parent, path.name
    name, _, member = spec.partition("/")
    packages = find_packages(checkout_first)
    if name in packages:
        return packages[name], member or None
    if os.path.isdir(path):
        raise UserError(f"{path} has no {MANIFEST}: give a package folder or a .onnx file")
    if spec.startswith(("/", "./", "../", "~")) or path.suffix == ".onnx":
        raise UserError(f"{path} does not exist: give a package folder or a .onnx file")
    raise unknown("model", name, packages)


def file_sha256(path):
    """SHA-256 of a file, hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def content_hash(path):
    """The hash by which transmitter and receiver compare packages (docs/model_contract.md), hex."""
    path = Path(path)
    if path.is_file():
        return file_sha256(path)
    names = sorted([MANIFEST, *read_manifest(path).get("files", {})])
    lines = "".join(f"{file_sha256(_inside(path, name))}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def _inside(folder, name):
    """A file of the package; a path that leads out of it is refused."""
    path = Path(folder) / name
    try:
        inside, there = path.resolve().is_relative_to(Path(folder).resolve()), path.is_file()
    except (OSError, ValueError):  # too long, a zero, half a surrogate
        raise UserError(f"{Path(folder) / MANIFEST} names {name[:80]!r}, which no file can have: refused") from None
    if not inside:
        raise UserError(f"{Path(folder) / MANIFEST} names '{name}', outside the package: refused")
    if not there:
        raise UserError(f"{path} is missing from the package: export or copy it again")
    return path


def problems(path):
    """What is wrong with a package folder, one sentence each; empty when it is whole."""
    path = Path(path)
    manifest = read_manifest(path)
    found = []
    if manifest.get("diffsem.contract") != CONTRACT:
        found.append(
            f"diffsem.contract is {manifest.get('diffsem.contract')!r}, this version reads "
            f"{CONTRACT}: export the package with this version of gr-diffsem"
        )
    members = manifest["members"]
    if not isinstance(manifest.get("default"), str) or manifest["default"] not in members:
        found.append(
            f"default member '{manifest.get('default')}' is not one of {', '.join(members)}: correct 'default'"
        )
    listed = manifest.get("files", {})
    for name, expected in listed.items():
        try:
            actual = file_sha256(_inside(path, name))
        except UserError as error:
            found.append(str(error))
            continue
        if actual != expected:
            found.append(f"{name} has changed since export (SHA-256 differs): export again")
    for member, description in members.items():
        fallback = description.get("fallback") if isinstance(description, dict) else None
        if fallback is not None and fallback not in [name for name in members if name != member]:
            found.append(f"member {member} falls back on {fallback!r}, which is no other member: correct 'fallback'")
        for name in files_of(description):
            if name not in listed:
                found.append(f"member {member} uses {name}, which 'files' does not list: add it")
    return found


def files_of(value):
    """Every string in a member's description that names an .onnx or .npy file."""
    if isinstance(value, dict):
        for item in value.values():
            yield from files_of(item)
    elif isinstance(value, str) and value.endswith((".onnx", ".npy")):
        yield value


def axes_of(info):
    """Names of a scheme's axes, of the dict that `info()` of it gives: the manifest's, else those that a channel over
    carriers has."""
    manifest = json.loads(info["manifest"]) if info["manifest"] else {}
    named = manifest.get("signal", {}).get("axes")
    return tuple(named or {1: ("carrier",), 2: ("symbol", "carrier")}.get(len(info["shape"]), ()))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which code made a network: the checkout's commit, and a scheme's file that no commit holds."""

import hashlib
import os
import subprocess
from pathlib import Path

from .. import __version__
from ..base.places import PACKAGE, checkout

THEN = ", then "  # between what began a training and what went on with it


def of(scheme=None):
    """{"version", "commit", "scheme_file"} of the code that runs now; what does not apply is None.

    Asked for when a training begins: what is committed or edited later has not trained anything.
    """
    return {"version": __version__, "commit": commit(), "scheme_file": scheme and scheme_file(scheme)}


def commit():
    """The checkout's commit; ends in `-dirty` where a file was changed, or one of this package added, since. None for
    an installed package: a repository that happens to lie around it is somebody else's."""
    root = checkout()
    if root is None or _git(root, "rev-parse", "--show-toplevel") != str(root):
        return None
    head = _git(root, "rev-parse", "--short=12", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=all")
    if not head or changes is None:
        return None
    ours = f"?? {PACKAGE.relative_to(root)}/"
    dirty = any(not line.startswith("??") or line.startswith(ours) for line in changes.splitlines())
    return head + ("-dirty" if dirty else "")


def scheme_file(scheme):
    """Name and SHA-256 of the file of a scheme of one's own; None where the commit says which it was."""
    root = checkout()
    if not scheme.source or (root and _git(root, "ls-files", "--error-unmatch", scheme.source)):
        return None
    path = Path(scheme.source)
    return f"{path.name} (SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()})"


def changed(scheme, recorded):
    """Whether the file of a scheme of one's own is another than the one that a training went by at last."""
    now = scheme_file(scheme)
    return bool(now and recorded) and not recorded.endswith(now.rpartition(" ")[2])


def continued(before, now):
    """The same for a training that went on: what it was before, then what it is now where that differs."""
    parts = before.split(THEN) if before else []
    return THEN.join([*parts, now] if now and parts[-1:] != [now] else parts) or None


def text(facts):
    """What a manifest's `trained_on` says of a training, as one line of a card."""
    code = f"commit {facts['commit']}" if facts.get("commit") else f"gr-diffsem {facts.get('version') or '(no commit)'}"
    return (
        f"{facts.get('steps')} steps of {facts.get('batch')} items, {facts.get('minutes')} minutes, "
        f"seed {facts.get('seed')}, {code}"
        + (f", scheme file {facts['scheme_file']}" if facts.get("scheme_file") else "")
        + (f", on {facts['device']}" if facts.get("device") else "")
        + (f", from the weights of {facts['start']}" if facts.get("start") else "")
        + (f": `{facts['command']}`" if facts.get("command") else "")
    )


def _git(root, *words):
    """What git says, without the last line's end; None where it refuses or is not there."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}  # in a hook they name another repository
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True, env=env)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.rstrip("\n")

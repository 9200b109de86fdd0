# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands where a file is asked for."""

import os
import stat

_KINDS = {
    stat.S_IFDIR: "is a folder",
    stat.S_IFIFO: "is a pipe",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
}


def fault(path):
    """Why a path cannot be read as a file, as the end of a sentence ("is a pipe"), or None. Opens nothing that waits:
    a pipe without a writer would never answer."""
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
        if kind in _KINDS:
            return _KINDS[kind]
        with open(path, "rb"):
            return None
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, ValueError) as e:
        return f"cannot be opened ({getattr(e, 'strerror', None) or e})"

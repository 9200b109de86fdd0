# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files of the example flowgraphs lie: in the checkout, or where they were installed."""

from . import envs
from .errors import UserError


def path(name):
    """Absolute path of the file `name` beside the examples, as a string; UserError if there is none."""
    folders = [root / "examples" for root in (envs.checkout(), envs.share_dir()) if root]
    for folder in folders:
        if (folder / name).exists():
            return str(folder / name)
    raise UserError(
        f"there is no example file '{name}' in {', '.join(map(str, folders)) or 'any folder known'}"
    )

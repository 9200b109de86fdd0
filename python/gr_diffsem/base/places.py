# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this package and its source checkout are."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]  #: the folder gr_diffsem


def checkout():
    """The source checkout this package is read from, or None where it is installed."""
    root = PACKAGE.parents[1]
    return root if (root / "CMakeLists.txt").is_file() and (root / "scripts" / "env.sh").is_file() else None


def data_folder():
    """Where recordings and pictures lie that are not shipped: DIFFSEM_DATA, else ../shared/data beside the checkout;
    None: in neither."""
    if os.environ.get("DIFFSEM_DATA"):
        return Path(os.environ["DIFFSEM_DATA"])
    root = checkout()
    return root.parent / "shared" / "data" if root else None

# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m gr_diffsem ...` is `gr-diffsem ...`."""

import sys

from .apps.cli import main

if __name__ == "__main__":
    sys.exit(main())

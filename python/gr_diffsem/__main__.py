# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m gr_diffsem ...` is `gr-diffsem ...`."""

from .apps.cli import entry

if __name__ == "__main__":
    entry()

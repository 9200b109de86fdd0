# SPDX-License-Identifier: GPL-3.0-or-later
"""gr-diffsem without GNU Radio: schemes, models, training, export, evaluation and the command line.

Nothing here imports gnuradio (or torch) at import time; see `gr_diffsem.apps.cli` for what a user calls.
"""

__version__ = "0.1.0"

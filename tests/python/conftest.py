# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests share modules of their own."""

import os
import sys

sys.path.append(os.path.dirname(__file__))  # behind that of the blocks, whose modules may have the same names

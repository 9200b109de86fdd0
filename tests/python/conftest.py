# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests share modules of their own."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))

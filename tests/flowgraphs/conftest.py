# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules beside these tests can be imported."""

import os
import sys

sys.path.append(os.path.dirname(__file__))

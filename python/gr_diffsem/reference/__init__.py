# SPDX-License-Identifier: GPL-3.0-or-later
"""The NumPy twin of the C++ core: short, slow, written from the equations, used as its oracle."""

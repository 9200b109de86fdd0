# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels to train and to evaluate on. Importing this package needs only NumPy."""

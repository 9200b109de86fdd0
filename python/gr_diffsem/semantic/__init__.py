# SPDX-License-Identifier: GPL-3.0-or-later
"""The semantic link: pictures as analogue symbols on OFDM carriers. Importing it needs only NumPy."""

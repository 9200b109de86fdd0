# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks (PyTorch, imported by name only) and the classical priors fitted to the same data.

Every network maps planes x [B, 2, *shape] (real and imaginary part, unit variance each, as
x = x0 + sigma n) and levels sigma [B, 1, *shape] to the posterior mean [B, 2, *shape] and the
log error variance [B, 1, *shape] per complex element of the unit-power signal.
"""

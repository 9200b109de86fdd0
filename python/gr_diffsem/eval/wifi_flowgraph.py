# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel estimators that run the C++ block `diffsem.estimate` in a flowgraph."""

from ..base.errors import UserError
from .flowgraph import through_block


def estimator(scheme):
    """A callable for `evaluate.evaluate` that runs `scheme` in the block.

    Called with Y complex64 [n, 64] (carriers -32..31), noise_var [n] (variance per element) and
    mask bool [64]; returns (H [n, 64], error variance [n, 64]). Raises UserError for a scheme that
    cannot be loaded.
    """
    from gnuradio import diffsem

    try:
        handle = diffsem.scheme(scheme)
    except ValueError as error:
        raise UserError(str(error)) from None
    return lambda y, noise_var, mask: through_block(handle, y, noise_var, mask)[:2]

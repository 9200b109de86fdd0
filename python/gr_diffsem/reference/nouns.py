# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that the core registers, from the twin's own tables; a test compares both."""

from .operators import OPERATORS
from .plans import MEASURED, PLANS
from .samplers import SAMPLERS
from .scheme import PRIORS, STARTS

NAMES = {
    "priors": list(PRIORS),
    "operators": list(OPERATORS),
    "starts": list(STARTS),
    "samplers": list(SAMPLERS),
    "plans": [*PLANS, *MEASURED],
}

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scheme gives to be evaluated: test data and claims. See docs/add_a_scheme.md."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass
class TestData:
    """Signals to be estimated, drawn with NumPy alone.

    truth      complex64 [R, N], E|x|^2 = 1 per element (or real, in the scheme's own scale)
    observed   bool [N]: which elements are measured; None: all. Errors are counted where `counted`
    matrix     complex [M, N] when y = A x + n, else None
    estimators {name: f(y [R, M], noise_var) -> mean [R, N]}: closed forms and genies that are not
               members of the package
    counted    bool [N]: where errors count; None: where observed
    """

    __test__ = False  # not a test, whatever pytest thinks of the name
    truth: np.ndarray
    observed: np.ndarray | None = None
    matrix: np.ndarray | None = None
    estimators: dict[str, Callable] = field(default_factory=dict)
    counted: np.ndarray | None = None
    name: str = ""

    def measure(self, noise):
        """y of noise [R, M] that has its variance already."""
        if self.matrix is not None:
            return self.truth @ np.asarray(self.matrix).T + noise
        y = self.truth + noise
        return y if self.observed is None else np.where(self.observed, y, 0)


@dataclass
class Claim:
    """One sentence with a number: NMSE of `member` at `snr_db` in dB.

    With `against` (a member or estimator), the difference to its NMSE: negative is better.
    published: the number of the literature, or None. gate: the claim holds when ours <= gate.
    """

    name: str
    member: str
    snr_db: float
    against: str | None = None
    published: float | None = None
    gate: float | None = None

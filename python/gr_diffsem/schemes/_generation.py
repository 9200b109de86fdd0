# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemes that generate: measured by how far what they draw lies from real samples, and not by an NMSE."""

import dataclasses
from dataclasses import dataclass

from .base import Scheme


@dataclass(frozen=True)
class GenerationClaim:
    """One number a generator is held to: `quantity` of `member` on the part `part` (None: there is one); with
    `against` (another method) the `relation` to that one's: "ratio" or "difference". Holds if <= `gate`, with `least`
    if >= it. `published`, `published_on` as in `Claim`."""

    name: str
    quantity: str
    member: str
    part: str | None = None
    against: str | None = None
    relation: str = "ratio"
    gate: float | None = None
    least: bool = False
    published: float | None = None
    published_on: str | None = None


@dataclass(frozen=True)
class Measured:
    """Values of one quantity of one method, one for each independent repetition."""

    part: str | None
    quantity: str
    method: str
    values: tuple


class Generation(Scheme):
    """Base of generators. Subclasses override `generated`, and may override `picture`."""

    start = "noise"
    snr_db = ()
    evaluations = ()

    def generated(self, draw, members, count, seed):
        """A list of `Measured`. draw(member, n, seed, condition={}, options="") -> n samples of a member of the
        package [n, *shape], options as in a scheme string ("steps=10"). count: samples of a set. NumPy alone."""
        raise NotImplementedError

    def picture(self, draw, path, seed):
        """Write the picture that a person would look at: generated beside real."""
        raise NotImplementedError

    def choices(self, member):
        return {**super().choices(member), "sampler": {"type": "ddim"}}

    def claims_json(self):
        return [dataclasses.asdict(claim) for claim in self.claims()]

    def claim_text(self, claim):
        """One claim of the manifest (a dict), as a line of the card."""
        against = f", its {claim['relation']} to that of `{claim['against']}`," if claim.get("against") else ""
        bound = "at least" if claim.get("least") else "at most"
        part = f" ({claim['part']})" if claim.get("part") else ""
        return f"{claim['name']}{part}: {claim['quantity']} of `{claim['member']}`{against} {bound} {claim['gate']:g}"

    def signal_text(self):
        return f"Signal: {self.domain}, shape {list(self.shape)} ({', '.join(self.axes)}), gain {self.gain}."

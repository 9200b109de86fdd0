# SPDX-License-Identifier: GPL-3.0-or-later
"""Which scheme a semantic decoder infers a content with: the one it was given, or that of the code that sent it."""

import logging
from dataclasses import dataclass, replace

from .latent_pictures import LatentPictures, latent_of
from .semantic_encoder import scheme_hash

log = logging.getLogger("gr_diffsem.semantic_decoder")
MOST_STEPS = 1000


@dataclass(frozen=True)
class Inference:
    """What makes pictures: replaced whole, so that the worker never sees half of a change."""

    given: object
    steps: int
    spec: str
    estimator: object
    hash: int
    model: str
    budget: object


class DecoderScheme:
    """schemes = DecoderScheme(core, handle, new_budget, realism, cost); schemes.set("photo_mmse", 0); schemes.now;
    schemes.of(hash, bits).

    core, handle: the bindings' module and what makes a scheme of a string. new_budget: makes an EvaluationBudget; one
    of each scheme, since costs are a scheme's. realism: 0 .. 1, of every scheme. cost: what a picture costs an
    Inference, as EvaluationBudget.learn takes it; asked where there is a deadline. ValueError naming the parameter.
    """

    def __init__(self, core, handle, new_budget, realism, cost):
        from gr_diffsem.codec import learned_code

        self._core, self._handle, self._new_budget, self._realism, self._cost = core, handle, new_budget, realism, cost
        self._codes, self._behind_linear = learned_code.codes, learned_code.BEHIND_LINEAR
        self.now, self._by_code = None, {}

    def set(self, scheme, steps):
        """From now on; on an error all stays as it was."""
        self.now, self._by_code = self._load(scheme, steps), {}

    def _load(self, scheme, steps):
        spec = scheme if isinstance(scheme, str) else scheme.spec()
        use = self._handle(scheme) if isinstance(scheme, str) else scheme
        if not 0 <= int(steps) <= MOST_STEPS:
            raise ValueError(f"steps is {steps}: give evaluations, 1 to {MOST_STEPS}, or 0 for the scheme's own")
        if self._realism:
            keyed = "=" in spec.rpartition(":")[2]
            spec = f"{spec}{',' if keyed else ':'}realism={self._realism:g}"
            use = self._handle(spec)
        estimator = self._core.picture_estimator(use, int(steps))
        info = self._core.scheme_info(use)
        latent, weights = latent_of(info), scheme_hash(use)
        if latent and self._realism:
            raise ValueError(f"realism is {self._realism:g}: {spec} has no draws that its decoder knows; give 0")
        if latent and latent.code not in self._codes():
            raise ValueError(f"scheme {spec} denoises what '{latent.code}' sends, which is no learned code here")
        if latent:  # it answers to what its code's sender asks for
            weights = scheme_hash(self._handle(latent.code))
            others = [self._core.picture_estimator(name) for name in (latent.code, self._behind_linear)]
            estimator = LatentPictures(self._core, latent, weights, estimator, *others)
        model = info["content_hash"][:12]
        made = Inference(scheme, int(steps), spec, estimator, weights, model, self._new_budget())
        if made.budget.cuts and estimator.max_evaluations:
            made.budget.learn(*self._cost(made))
        return made

    def of(self, asked, bits):
        """(what makes the picture whose sender asked for this hash, of so many bits; "" or the learned code that sent
        it)."""
        if self._realism or not self.now.estimator.max_evaluations:
            return self.now, ""
        if (asked, bits) not in self._by_code:  # looked for once
            self._by_code[asked, bits] = self._look_for(self.now, asked, bits)
        made, name = self._by_code[asked, bits]
        return (made, name) if made else (self.now, "")

    def _look_for(self, now, asked, bits):
        codes = self._codes()
        name = next((n for n, h in codes.items() if asked and asked == h & bits), "")
        if isinstance(now.estimator, LatentPictures):
            if name == now.estimator.latent.code:
                return now, name
            if not name:  # by that receiver, under the noise that is found
                said = {"hash": scheme_hash(self._handle(self._behind_linear)), "spec": self._behind_linear}
                said["model"] = self._core.scheme_info(self._handle(self._behind_linear))["content_hash"][:12]
                return replace(now, **said), ""
        # What went out by the linear code is not for the network of a learned one.
        use = name or (self._behind_linear if now.hash in codes.values() else "")
        return self._try_load(use), name

    def _try_load(self, name):
        """The inference of a package that nobody asked for by name, None where it cannot be had."""
        try:
            return self._load(name, 0) if name else None
        except Exception as e:  # a package that is broken must not cost the picture
            log.warning("pictures for %s are inferred without it: %.200s", name, e)
            return None

# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains a scheme's network on data drawn as it goes: loss, schedule, checkpoints, reports.

The loss of one element is a Gaussian log-likelihood in two halves that do not disturb each other:
|error|^2 weighted by the inverse of the predicted variance (held constant) trains the mean, so that
every SNR and every kind of channel counts alike; log v + |error|^2 / v (error held constant) trains
the variance. A weight that depends on the input alone leaves the best mean where it is, at the
posterior mean. The learning rate falls as a cosine over the time allowed.

The net is trained on a GPU where PyTorch sees one; data is drawn on the CPU, by a thread or by --workers.
"""

import copy
import math
import os
import shlex
import sys
import time
from pathlib import Path

import numpy as np

from ..base.errors import UserError
from . import onnx_start, provenance
from .batches import Data

OUTLIER = 1e4  # squared error over predicted variance beyond which an element trains nothing


def device(name):
    """The torch device that `auto`, `cpu` or `cuda` names; a UserError where there is no such device."""
    import torch

    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise UserError(
            "--device cuda: PyTorch sees no CUDA device; give --device cpu, or install CUDA's build "
            "(make lab TORCH_INDEX=pypi) on a machine with a GPU and its driver"
        )
    return torch.device("cuda" if there and name != "cpu" else "cpu")


def device_name(device):
    """What it is, for the card."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def command(args, member):
    """The command that trains this network again, without its folders' places."""
    words = ["gr-diffsem", "train", Path(args.scheme).name, "--member", member, "--seed", args.seed]
    for name in ("minutes", "batch", "rate", "device", "workers"):
        value = getattr(args, name)
        words += [f"--{name}", f"{value:g}" if isinstance(value, float) else value] if value else []
    for name in ("images", "start"):
        value = getattr(args, name)
        words += [f"--{name}", Path(value).name] if value else []
    words += ["--from", *(Path(path).name for path in args.recordings)] if getattr(args, "recordings", None) else []
    return shlex.join(map(str, words))


def planes(x):
    """Complex [n, *shape] -> float tensor [n, 2, *shape] of unit component variance; real data stay [n, *shape]."""
    import torch

    if not np.iscomplexobj(x):
        return torch.from_numpy(np.ascontiguousarray(x, np.float32))
    return torch.from_numpy(np.stack((x.real, x.imag), 1).astype(np.float32) * np.float32(math.sqrt(2)))


def tensors(batch):
    """A measure.Batch as (clean, state, sigma, observed [n, *shape], then its conditions); sigma is [n, 1, *shape]
    beside complex planes and [n, *shape] of real data."""
    import torch

    sigma = batch.sigma[:, None] if np.iscomplexobj(batch.clean) else batch.sigma
    sigma = torch.from_numpy(np.ascontiguousarray(sigma, np.float32))
    told = [torch.from_numpy(np.ascontiguousarray(v)) for v in getattr(batch, "condition", {}).values()]
    return planes(batch.clean), planes(batch.state), sigma, torch.from_numpy(batch.observed), *told


def answer(net, state, sigma, condition=()):
    """(mean, log variance or None) of a net, which may give the mean alone. One with `one_level` is told the level of
    the first element in place of all."""
    out = net(state, sigma.flatten(1)[:, 0] if getattr(net, "one_level", False) else sigma, *condition)
    return out if isinstance(out, tuple) else (out, None)


def square_error(mean, clean, observed):
    """|mean - clean|^2 per element [n, *shape] of a unit-power signal, from complex planes or real data."""
    error = (mean - clean).pow(2)
    return error if clean.ndim == observed.ndim else error.sum(1) / 2


def loss(net, clean, state, sigma, observed, *condition, warm):
    """The two halves, each a mean over batch and elements. warm: 0 while the predicted variance
    cannot be trusted as a weight (then a rough bound replaces it), 1 afterwards. Without a predicted variance
    the error is weighted by 1 + 1/sigma^2, as a white signal's would be (Karras et al. 2022, table 1), and the second
    half is 0."""
    import torch

    mean, log_variance = answer(net, state, sigma, condition)
    error = square_error(mean, clean, observed)
    level = sigma.reshape(error.shape)
    if log_variance is None:
        fit = ((1 + 1 / level**2) * error).clamp(max=OUTLIER).mean()
        return fit, torch.zeros_like(fit)
    log_variance = log_variance.reshape(error.shape)
    with torch.no_grad():
        dims = tuple(range(1, error.ndim))
        seen = (observed / level**2).sum(dims, keepdim=True)
        bound = 1 / (1 + seen / 16)
        variance = log_variance.exp()
        most = torch.where(observed, bound * 20, (bound * 20).clamp(min=1))  # elsewhere nothing may be known
        variance = torch.minimum(torch.maximum(variance, bound * 0.03), most)
        weight = 1 / (variance if warm else bound.expand_as(error))
    # One element in many millions is an extreme outlier: it must not undo a step's direction.
    fit = (weight * error).clamp(max=OUTLIER).mean()
    spread = (log_variance + (error.detach() * torch.exp(-log_variance)).clamp(max=OUTLIER)).mean()
    return fit, spread


class Training:
    """One network's training: state, schedule, checkpoints, reports."""

    WARM_UP = 300
    EVALUATE_FIRST, EVALUATE_EVERY = 10.0, 120.0  # seconds until the first report; between two, at most

    def __init__(self, scheme, member, network, args, folder):
        import torch

        self.scheme, self.member, self.network = scheme, member, network
        self.folder, self.seed = Path(folder), args.seed
        self.seconds = 60 * (args.minutes or network.minutes)
        self.batch, self.rate = args.batch or network.batch, args.rate or network.rate
        self.resume, self.workers = args.resume, args.workers
        self.device, self.command = device(args.device), command(args, member)
        torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)
        self.net = network.build().to(self.device)
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=self.rate, betas=(0.9, 0.99), weight_decay=1e-4)
        self.step, self.elapsed = 0, 0.0
        self.start = None  # what its weights began from, in words
        self.code = provenance.of(scheme)
        self.checkpoint = self.folder / "checkpoint.pt"
        if args.start and not self.resume:
            self.begin_from(args.start)

    def begin_from(self, path):
        """Take the averaged weights of another training of the same network, or those of an exported one."""
        weights, self.start = weights_to_begin_from(path, self.net)
        if hasattr(self.net, "widened"):  # of a smaller one of its kind
            weights = self.net.widened(weights)
        weights = onnx_start.fitting(weights, self.net, path)
        self.net.load_state_dict(weights)
        self.average.load_state_dict(weights)

    @property
    def on_gpu(self):
        return self.device.type == "cuda"

    def draw(self, rng):
        """An item of training data; runs in a thread or a process of its own."""
        batch = self.scheme.batch_of(self.member, rng, self.batch, self.network.prior_share)
        self.scheme.check_batch(batch)
        return tensors(batch)

    def draws(self):
        """What gives the batches: an object with next() and close()."""
        return Data(self.draw, self.seed, self.step, self.workers, self.on_gpu)

    def loss(self, *batch):
        """(what trains the mean, what trains the variance) of a batch."""
        return loss(self.net, *batch, warm=self.start is not None or self.step >= self.WARM_UP)

    def run(self):
        """Train until the time is over; returns a report."""
        from torch.utils.tensorboard import SummaryWriter
        from tqdm import tqdm

        self.folder.mkdir(parents=True, exist_ok=True)
        if self.resume:
            self._load()
            if self.elapsed >= self.seconds:
                print(f"{self.folder} has had its {self.seconds / 60:g} minutes: give more with --minutes")
        if warning := self.scheme.power_warning():
            print(warning)
        data = self.draws()
        # What was written after the checkpoint is of steps that are made again.
        writer = SummaryWriter(str(self.folder / "log"), purge_step=self.step + 1)
        validation = self.scheme.validation()
        bar = tqdm(
            total=round(self.seconds),
            initial=round(self.elapsed),
            unit="s",
            desc=f"{self.scheme.name}/{self.member}",
            mininterval=0.5 if sys.stderr.isatty() else 60,
        )
        start, due, recent = time.monotonic() - self.elapsed, self.elapsed + self.EVALUATE_FIRST, []
        try:
            while self.elapsed < self.seconds:
                recent.append(self._advance(data.next()))
                self.elapsed = time.monotonic() - start
                bar.update(min(round(self.elapsed), bar.total) - bar.n)
                if self.elapsed > due or self.elapsed >= self.seconds:
                    bar.write(f"{self._losses(recent, writer)}: {self._validate(validation, writer)}")
                    writer.flush()
                    recent = []
                    self.save()
                    took = time.monotonic() - start - self.elapsed
                    wait = max(self.elapsed, self.EVALUATE_FIRST, 10 * took)  # often at first, a tenth of the time
                    due = self.elapsed + min(wait, self.EVALUATE_EVERY)
        finally:
            data.close()
            if recent:  # it was interrupted
                self.save()
                words = self._losses(recent, writer)
            writer.close()
            bar.close()
            if recent:
                print(words)
        return {
            "member": self.member,
            "steps": self.step,
            "minutes": self.elapsed / 60,
            "device": device_name(self.device),
            "checkpoint": str(self.checkpoint),
            "multiply_adds": self.net.multiply_adds(),
        }

    def count(self, steps):
        """So many steps, whatever time they take, in the place of `run`; nothing is written. Returns the average."""
        rng, self.seconds = np.random.default_rng([self.seed, 31]), steps
        for self.elapsed in range(steps):
            self._advance(self.draw(rng))
        return self.average.eval()

    def _losses(self, recent, writer):
        """Writes the means of the steps since the last report; returns them as text."""
        fit, spread = np.mean(recent, axis=0)
        writer.add_scalar("loss/mean", fit, self.step)
        writer.add_scalar("loss/variance", spread, self.step)
        return f"step {self.step}, loss {fit:.3f} {spread:.3f}"

    def _advance(self, batch):
        import torch

        done = self.elapsed / self.seconds
        rate = self.rate * (0.5 * (1 + math.cos(math.pi * done)) + 0.002)
        rate *= min(1.0, (self.step + 1) / 200)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        fit, spread = self.loss(*(part.to(self.device, non_blocking=True) for part in batch))
        self.optimiser.zero_grad(set_to_none=True)
        (fit + 0.3 * spread).backward()
        size = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        if torch.isfinite(size):  # one step in many thousands overflows; it must not end the training
            self.optimiser.step()
        self.step += 1
        keep = min(0.999, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.net.parameters()), 1 - keep)
        return fit.item(), spread.item()

    def _validate(self, validation, writer):
        """Writes NMSE + SNR of each validation set (LS is 0 dB); returns the first set's, as text."""
        words = []
        for i, (name, at) in enumerate(validation.items()):
            for snr in (0, 10, 20, 30):
                gain, calibration = score(self.average, at(snr))
                writer.add_scalar(f"{name}/nmse_plus_snr_db/{snr}", gain + snr, self.step)
                if calibration is not None:
                    writer.add_scalar(f"{name}/calibration/{snr}", calibration, self.step)
                if i == 0:
                    words.append(f"{gain:.2f}" + ("" if calibration is None else f" ({calibration:.2f})"))
        kinds = "" if calibration is None else " (actual/predicted variance)"
        return f"NMSE in dB{kinds} at 0/10/20/30 dB: {', '.join(words)}"

    def save(self):
        """Write the checkpoint beside itself, then rename: it is whole or it is the old one."""
        import torch

        state = {
            "scheme": self.scheme.name,
            "source": self.scheme.source,
            "member": self.member,
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
            "seed": self.seed,
            "batch": self.batch,
            **self.code,
            **self.facts(),
        }
        partial = self.checkpoint.with_suffix(".tmp")
        torch.save(state, partial)
        os.replace(partial, self.checkpoint)

    def facts(self):
        """What the card says of this training beside its length."""
        return {"start": self.start, "device": device_name(self.device), "command": self.command}

    def _load(self):
        state = load_checkpoint(self.checkpoint)
        if (state["scheme"], state["member"]) != (self.scheme.name, self.member):
            raise UserError(
                f"{self.checkpoint} holds {state['scheme']}/{state['member']}, not {self.scheme.name}/"
                f"{self.member}: give another --out, or leave out --resume"
            )
        if state.get("adapted_to") and "adapted_to" not in self.facts():
            raise UserError(f"{self.checkpoint} was {state['adapted_to']}: give --from again, or --start")
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.elapsed, self.start = state["step"], state["elapsed"], state.get("start")
        self.code = {key: provenance.continued(state.get(key), now) for key, now in self.code.items()}


def weights_to_begin_from(path, net):
    """({name: tensor} under the names that `net` gives them, in words where it is from) of an exported .onnx or of a
    checkpoint's average."""
    if Path(path).suffix == ".onnx":
        return onnx_start.read(path, net)
    state = load_checkpoint(path)
    words = f"{state['scheme']}/{state['member']} after {state.get('step')} steps"
    words += f" (`{state['command']}`)" if state.get("command") else ""
    words += f", from {state['start']}" if state.get("start") else ""
    return state["average"], words


def load_checkpoint(path):
    """A checkpoint's dict; a UserError if it is none. Tensors only: nothing in it is executed."""
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: train first (gr-diffsem train SCHEME)") from None
    except Exception as error:
        raise UserError(
            f"{path} is no checkpoint of gr-diffsem ({type(error).__name__}): give the checkpoint.pt of a training"
        ) from error
    if not isinstance(state, dict) or not {"scheme", "member", "average"} <= set(state):
        raise UserError(f"{path} is no checkpoint of gr-diffsem: give the checkpoint.pt of a training")
    return state


def score(net, batch, rows=1000):
    """(NMSE in dB over observed elements, mean over items; actual / predicted error variance, None without one)."""
    import torch

    where = next(net.parameters()).device
    clean, state, sigma, observed, *condition = (part.to(where) for part in tensors(batch))
    errors, variances = [], []
    with torch.no_grad():
        for i in range(0, len(clean), rows):
            part = slice(i, i + rows)
            mean, log_variance = answer(net, state[part], sigma[part], [c[part] for c in condition])
            error = square_error(mean, clean[part], observed)
            errors.append(error)
            if log_variance is not None:
                variances.append(log_variance.reshape(error.shape).exp())
    error = torch.cat(errors) * observed
    dims = tuple(range(1, error.ndim))
    power = (square_error(clean, torch.zeros_like(clean), observed) * observed).sum(dims)
    nmse = 10 * math.log10((error.sum(dims) / power).mean().item())
    return nmse, (error.sum() / (torch.cat(variances) * observed).sum()).item() if variances else None

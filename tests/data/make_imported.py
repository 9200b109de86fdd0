#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/data/imported: a tiny pipeline of diffusers as a package, and what diffusers itself draws from it.

Run in the environment of `make import-suite` (build/env/import/bin/python). samples.npz holds, for each of three
schedulers, 50 steps from the noise of seed SEED; tests/python/test_imported.py runs the package through the blocks.
"""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import diffusers
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))

from gr_diffsem.base.philox import Rng
from gr_diffsem.package import import_pipeline

OUT = Path(__file__).parent / "imported"
ITEMS, SEED, STEPS = 2, 7, 50
SCHEDULERS = {
    "ddim": diffusers.DDIMScheduler(clip_sample=False),
    "ddpm": diffusers.DDPMScheduler(clip_sample=False),
    "dpmpp_2m": diffusers.DPMSolverMultistepScheduler(),
}


def network():
    """A U-Net of 3,000 parameters on 4x4 pictures."""
    torch.manual_seed(0)
    return diffusers.UNet2DModel(
        sample_size=4,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(4, 4),
        norm_num_groups=2,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    ).eval()


def noise(step):
    """Ours, as diffusers wants it."""
    return torch.from_numpy(Rng(SEED, real=True).draw(step, (ITEMS, 16)).astype(np.float32).reshape(ITEMS, 1, 4, 4))


def sample(scheduler, net):
    """By diffusers' own loop."""
    scheduler.set_timesteps(STEPS)
    x = noise(0)
    for k, t in enumerate(scheduler.timesteps):
        diffusers.schedulers.scheduling_ddpm.randn_tensor = lambda *_, k=k, **__: noise(k + 1)
        with torch.no_grad():
            x = scheduler.step(net(x, t).sample, t, x).prev_sample
    return x.numpy().reshape(ITEMS, 16)


def main():
    net = network()
    args = {"prompt": None, "embedding": None, "guidance_scale": None, "negative_embedding": None}
    args |= {"class_label": None, "sampler": None, "steps": STEPS, "licence": "GPL-3.0-or-later"}
    with tempfile.TemporaryDirectory() as folder:
        diffusers.DDIMPipeline(net, SCHEDULERS["ddim"]).save_pretrained(folder)
        import_pipeline.run(SimpleNamespace(folder=folder, out=str(OUT), **args))
    np.savez(OUT / "samples.npz", **{name: sample(scheduler, net) for name, scheduler in SCHEDULERS.items()})


if __name__ == "__main__":
    main()

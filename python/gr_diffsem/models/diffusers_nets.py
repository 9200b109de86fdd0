# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of a saved `diffusers` pipeline as ONNX graphs, each checked against torch.

Only configurations and safetensors are read: the classes are diffusers' own, chosen from a list, and no code of the
folder is run.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np

from ..base import jsonio
from ..base.errors import UserError
from .onnx_export import TOLERANCE, as_metadata, fold, graph_of, session

DIFFUSERS = "diffusers==0.42.1"
MAX_CONFIG_BYTES = 1 << 22


def library():
    """The module `diffusers`. Raises UserError with the command that installs it."""
    if importlib.util.find_spec("diffusers") is None:
        raise UserError(
            f"the package diffusers is missing in {sys.prefix}; remedy: {sys.executable} -m pip install {DIFFUSERS}"
        )
    import diffusers

    return diffusers


def read_json(path):
    """A configuration of the pipeline as a dict."""
    return jsonio.read_object(path, MAX_CONFIG_BYTES, "a configuration", "a saved pipeline", "save the pipeline again")


def load(folder, part, kinds):
    """A network of the pipeline's sub-folder, if its class is one of `kinds`, with its weights in float32."""
    diffusers = library()
    where = Path(folder) / part
    name = read_json(where / "config.json").get("_class_name")
    if name not in kinds:
        raise UserError(f"{where} is a {name}, known are {', '.join(kinds)}: this pipeline cannot be imported")
    if not any(where.glob("*.safetensors")):
        raise UserError(
            f"{where} has no weights in safetensors (other formats can hold code and are not read): save it with "
            "pipeline.save_pretrained(FOLDER, safe_serialization=True)"
        )
    net = getattr(diffusers, name).from_pretrained(
        str(where), use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
    )
    return net.float().eval()


def size_of(net):
    """[channels, rows, columns] of what a U-Net denoises."""
    size = net.config.sample_size
    if size is None:
        raise UserError("the U-Net's configuration has no sample_size: add it to unet/config.json")
    rows, columns = (size, size) if isinstance(size, int) else size
    return [int(net.config.in_channels), int(rows), int(columns)]


def denoiser(net, embedding=None, label=None, guidance=None, negative=None):
    """A torch module (x [B, C, H, W], timestep [B]) -> the U-Net's output, with what it is conditioned on baked in.

    embedding, negative: [tokens, width] of a prompt and of none, for UNet2DConditionModel; guidance: scale of
    classifier-free guidance between the two. label: class of a class-conditional UNet2DModel.
    """
    import torch

    class Baked(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net
            if embedding is not None:
                self.register_buffer("embedding", torch.as_tensor(embedding, dtype=torch.float32)[None])
            if negative is not None:
                self.register_buffer("negative", torch.as_tensor(negative, dtype=torch.float32)[None])
            if label is not None:
                self.register_buffer("label", torch.tensor([label]))

        def asked(self, x, timestep, text):
            if text is not None:
                return self.net(x, timestep, text.expand(x.shape[0], -1, -1), return_dict=False)[0]
            labels = None if label is None else self.label.expand(x.shape[0])
            return self.net(x, timestep, class_labels=labels, return_dict=False)[0]

        def forward(self, x, timestep):
            out = self.asked(x, timestep, getattr(self, "embedding", None))
            if guidance is not None and guidance != 1:
                none = self.asked(x, timestep, self.negative)
                out = none + guidance * (out - none)
            return out

    return Baked().eval()


def encoder(vae):
    """(image [B, C, H, W]) -> the mean of its latent, scaled as the U-Net sees it (Rombach et al. 2022)."""
    import torch

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.vae = vae

        def forward(self, x):
            mean = self.vae.encode(x, return_dict=False)[0].mean
            return (mean - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor

    return Encoder().eval()


def decoder(vae):
    """(scaled latent) -> the image."""
    import torch

    class Decoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.vae = vae

        def forward(self, x):
            return self.vae.decode(x / vae.config.scaling_factor + (vae.config.shift_factor or 0.0), return_dict=False)[
                0
            ]

    return Decoder().eval()


def check(net, kind):
    """Refuses U-Nets whose input or output means something else than the contract's."""
    if kind == "UNet2DModel":
        if net.config.time_embedding_type == "fourier":
            raise UserError(
                "the U-Net has a Fourier embedding of the noise level (a variance-exploding score network), which is "
                "not supported: give its graph a sidecar by hand, with time_embedding log_sigma"
            )
        if net.config.center_input_sample:
            raise UserError("center_input_sample is not supported: its images lie in 0..1, ours around 0")
    if net.config.out_channels != net.config.in_channels:
        raise UserError(
            f"the U-Net has {net.config.in_channels} input and {net.config.out_channels} output channels: one that "
            "learns its variance, or inpaints, cannot be imported"
        )


def write(net, path, example, metadata, output="mean"):
    """Write a torch module as an .onnx of dynamic batch, with metadata, checked against torch at batches that the
    export did not see; the largest difference, relative to 1 + |value|. example: {input: a batch of two}."""
    import onnx
    import torch

    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    with torch.no_grad():
        model = fold(graph_of(net, example, tuple({0: batch} for _ in example)))
    (out,) = model.graph.output
    for node in model.graph.node:
        for values in (node.input, node.output):
            values[:] = [output if value == out.name else value for value in values]
    out.name = output
    del model.metadata_props[:]
    for key, value in as_metadata(metadata).items():
        model.metadata_props.add(key=key, value=value)
    model.producer_name = "gr-diffsem"
    onnx.checker.check_model(model, full_check=True)
    path = Path(path)
    partial = path.with_suffix(".tmp.onnx")
    partial.write_bytes(model.SerializeToString(deterministic=True))
    try:
        error = compare(net, partial, example, output)
        if not error <= TOLERANCE:  # NaN is no agreement
            raise UserError(
                f"the exported graph differs from the network by {error:.1e} (limit {TOLERANCE:.0e}): not written; "
                "report this with your versions of torch, diffusers and onnxruntime"
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return error


def compare(net, path, example, output):
    """Largest difference between onnxruntime and torch at batches 1 and 3."""
    import torch

    graph, rng, worst = session(path), np.random.default_rng(0), 0.0
    for n in (1, 3):
        inputs = {}
        for name, tensor in example.items():
            shape = (n, *tensor.shape[1:])
            whole = not tensor.is_floating_point()
            inputs[name] = rng.integers(0, 1000, shape) if whole else rng.standard_normal(shape).astype(np.float32)
        with torch.no_grad():
            expected = net(*(torch.from_numpy(v) for v in inputs.values())).numpy()
        (actual,) = graph.run([output], inputs)
        worst = float(np.maximum(worst, np.max(np.abs(actual - expected) / (1 + np.abs(expected)))))
    return worst

# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem import FOLDER [OUT]`: a saved `diffusers` pipeline as a model package.

FOLDER is what pipeline.save_pretrained(FOLDER) wrote: a UNet2DModel (DDPMPipeline, DDIMPipeline), or a
UNet2DConditionModel and an AutoencoderKL (StableDiffusionPipeline) with one prompt baked in. Only configurations and
safetensors are read, and no code of the folder is run.
"""

import json
from pathlib import Path

import numpy as np

from ..base import model_packages
from ..base.errors import UserError
from ..base.number_options import real, whole
from ..models import diffusers_nets as nets
from . import diffusers_config

PIPELINES = ("DDPMPipeline", "DDIMPipeline", "StableDiffusionPipeline")
MEMBER = "diffusion"
MAX_GRAPH_BYTES = (1 << 31) - (1 << 20)  # a protobuf message


def add_arguments(parser):
    """Arguments of `gr-diffsem import`."""
    parser.add_argument("folder", help="the saved pipeline: a folder with a model_index.json")
    parser.add_argument("out", nargs="?", help="the package to write (the folder's name, here)")
    parser.add_argument("--prompt", metavar="TEXT", help="baked in; by the pipeline's own text encoder (transformers)")
    parser.add_argument("--embedding", metavar="FILE.npy", help="in its place: encoder_hidden_states [tokens, width]")
    text = "baked in: classifier-free guidance against no prompt (1)"
    real(parser, "--guidance-scale", least=0, most=100, metavar="W", help=text)
    parser.add_argument("--negative-embedding", metavar="FILE.npy", help="of no prompt, for --guidance-scale")
    whole(parser, "--class-label", least=0, metavar="K", help="baked in, of a class-conditional U-Net")
    parser.add_argument("--sampler", choices=list(diffusers_config.DEFAULTS), help="in place of the pipeline's own")
    whole(parser, "--steps", least=1, metavar="N", default=50, help="evaluations of the plan (50)")
    parser.add_argument("--licence", metavar="TEXT", help="of the weights, as the package is to say it")


def run(args):
    """Import; returns what was written."""
    nets.library()
    folder = Path(args.folder)
    index = nets.read_json(folder / "model_index.json")
    name = index.get("_class_name")
    if name not in PIPELINES:
        raise UserError(f"{folder} is a {name}, known are {', '.join(PIPELINES)}: it cannot be imported")
    latent = isinstance(index.get("vae"), list)
    kinds = ("UNet2DConditionModel",) if latent else ("UNet2DModel",)
    config = nets.read_json(folder / "scheduler" / "scheduler_config.json")
    chosen = diffusers_config.choices(config, args.sampler, args.steps)
    unet = nets.load(folder, "unet", kinds)
    nets.check(unet, kinds[0])
    baked = _conditions(args, folder, index, unet, latent)
    out = Path(args.out or folder.resolve().name)
    if (out / model_packages.MANIFEST).exists() and not _ours(out):
        raise UserError(f"{out} is another model package: give a folder of its own")
    out.mkdir(parents=True, exist_ok=True)
    return _write(args, out, name, unet, baked, chosen, folder if latent else None)


def _ours(out):
    return "imported_from" in (model_packages.read_manifest(out).get("trained_on") or {})


def _conditions(args, folder, index, unet, latent):
    """What is baked into the U-Net, as arguments of nets.denoiser()."""
    if not latent:
        given = [
            o for o in ("prompt", "embedding", "guidance_scale", "negative_embedding") if getattr(args, o) is not None
        ]
        if given:
            raise UserError(f"--{given[0].replace('_', '-')} is for pipelines with a prompt: leave it out")
        classes = unet.config.num_class_embeds
        if (classes is None) != (args.class_label is None):
            raise UserError(
                "the U-Net has no classes: leave --class-label out"
                if classes is None
                else f"the U-Net is conditioned on one of {classes} classes: bake one in with --class-label K"
            )
        if classes is not None and args.class_label >= classes:
            raise UserError(f"--class-label {args.class_label} must lie below {classes}")
        return {"label": args.class_label}
    if args.class_label is not None:
        raise UserError("--class-label is for a class-conditional UNet2DModel: leave it out")
    odd = [k for k in ("addition_embed_type", "class_embed_type", "encoder_hid_dim_type") if unet.config.get(k)]
    if odd:
        raise UserError(f"the U-Net asks for more than a prompt ({odd[0]}): such a pipeline cannot be imported")
    if (args.prompt is None) == (args.embedding is None):
        raise UserError("give what is baked in: either --prompt TEXT or --embedding FILE.npy")
    scale = 1.0 if args.guidance_scale is None else args.guidance_scale
    baked = {"embedding": _embedding(args.prompt, args.embedding, folder, index, unet), "guidance": scale}
    if scale != 1:
        blank = "" if args.negative_embedding is None else None
        if blank is not None and args.prompt is None:
            raise UserError("--guidance-scale needs what no prompt gives: add --negative-embedding FILE.npy")
        baked["negative"] = _embedding(blank, args.negative_embedding, folder, index, unet)
    return baked


def _embedding(prompt, file, folder, index, unet):
    """[tokens, width] of a prompt, or from a file."""
    width = unet.config.cross_attention_dim
    width = width if isinstance(width, int) else width[0]
    if prompt is None:
        try:
            value = np.load(file, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read {file} ({error}): give an array of [tokens, {width}]") from None
    else:
        value = _encoded(prompt, folder, index)
    value = value[0] if value.ndim == 3 and len(value) == 1 else value
    if value.ndim != 2 or value.shape[1] != width or not np.all(np.isfinite(value)):
        raise UserError(f"the embedding has the shape {list(value.shape)}, the U-Net asks for finite [tokens, {width}]")
    return value.astype(np.float32)


def _encoded(prompt, folder, index):
    """What the pipeline's own text encoder makes of a prompt."""
    import importlib.util
    import sys

    if index.get("text_encoder") != ["transformers", "CLIPTextModel"]:
        raise UserError("the pipeline has no CLIP text encoder of its own: give --embedding FILE.npy")
    if importlib.util.find_spec("transformers") is None:
        raise UserError(
            f"--prompt needs transformers; remedy: {sys.executable} -m pip install transformers, or give --embedding"
        )
    import torch
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(str(folder / "tokenizer"), local_files_only=True)
    model = CLIPTextModel.from_pretrained(str(folder / "text_encoder"), use_safetensors=True, local_files_only=True)
    tokens = tokenizer(
        prompt, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        return model.eval()(tokens.input_ids)[0].numpy()


def _write(args, out, pipeline, unet, baked, chosen, latent):
    """Graphs, manifest and card."""
    import torch

    parameters = sum(p.numel() for p in unet.parameters())
    if 4 * parameters > MAX_GRAPH_BYTES:
        raise UserError(
            f"the U-Net has {parameters:,} parameters, more than one ONNX file of float32 holds (2 GB): it cannot be "
            "imported"
        )
    shape = nets.size_of(unet)
    contract = {
        "contract": "1",
        "role": "denoiser",
        "input_scaling": "vp",
        "time_embedding": "timestep",
        "normalisation": {"component_std": 1.0, "applied_by": "runtime"},
        "layout": "planar",
        "shape": shape,
        "domain": "real",
        "gain": "unit",
        **chosen["metadata"],
        **chosen["member"],
        "title": f"{out.name}, imported from a {pipeline}",
        "licence": args.licence or "unknown: that of the pipeline",
    }
    example = {"x": torch.randn(2, *shape), "timestep": torch.tensor([1, 500])}
    files = {f"{MEMBER}.onnx": nets.write(nets.denoiser(unet, **baked), out / f"{MEMBER}.onnx", example, contract)}
    member = {
        "title": contract["title"],
        "prior": {"type": "onnx", "file": f"{MEMBER}.onnx"},
        "operator": {"type": "identity"},
        **chosen["member"],
    }
    if latent is not None:
        files |= _codec(latent, out, shape, contract)
        member["codec"] = {"encoder": "encoder.onnx", "decoder": "decoder.onnx"}
    facts = {"imported_from": pipeline, "parameters": parameters}
    facts |= {"prompt": args.prompt} if args.prompt is not None else {}
    facts |= {"guidance_scale": baked["guidance"]} if baked.get("guidance", 1) != 1 else {}
    facts |= {"class_label": args.class_label} if args.class_label is not None else {}
    manifest = {
        "diffsem.contract": model_packages.CONTRACT,
        "name": out.name,
        "title": contract["title"],
        "version": "1",
        "licence": contract["licence"],
        "reference": f"a {pipeline} of diffusers",
        "trained_on": facts,
        "signal": {"domain": "real", "shape": shape, "axes": ["channel", "row", "column"], "gain": "unit"},
        "default": MEMBER,
        "members": {MEMBER: member},
        "claims": [],
        "files": {name: model_packages.file_sha256(out / name) for name in sorted(files)},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (out / model_packages.MANIFEST).write_text(text, encoding="utf-8")
    (out / "README.md").write_text(_card(manifest, chosen["notes"]), encoding="utf-8")
    trouble = model_packages.problems(out)
    if trouble:
        raise UserError(f"{out} is not whole: {trouble[0]}")
    return {
        "package": str(out),
        "content_hash": model_packages.content_hash(out),
        "signal": manifest["signal"],
        "member": {key: member[key] for key in ("start", "sampler", "plan")},
        "differences": files,
        "notes": chosen["notes"],
    }


def _codec(folder, out, shape, contract):
    """The autoencoder's two graphs: {file: difference from torch}."""
    import torch

    vae = nets.load(folder, "vae", ("AutoencoderKL",))
    if vae.config.get("latents_mean") or vae.config.get("latents_std"):
        raise UserError("the autoencoder scales each channel of its latent (latents_mean), which is not supported")
    if int(vae.config.latent_channels) != shape[0]:
        raise UserError(
            f"the autoencoder's latent has {vae.config.latent_channels} channels, the U-Net's input {shape[0]}: "
            "they are not of one pipeline"
        )
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    pictures = [int(vae.config.in_channels), shape[1] * factor, shape[2] * factor]
    said = {"contract": "1", "domain": "real", "layout": "planar", "licence": contract["licence"]}
    made = {}
    for role, net, size in (("encoder", nets.encoder(vae), pictures), ("decoder", nets.decoder(vae), shape)):
        example = {"x": torch.randn(2, *size)}
        made[f"{role}.onnx"] = nets.write(
            net, out / f"{role}.onnx", example, {**said, "role": role, "shape": size}, output="y"
        )
    return made


def _card(manifest, notes):
    member = manifest["members"][MEMBER]
    lines = [
        "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->",
        f"# {manifest['name']}: {manifest['title']}",
        "",
        f"Signal: real, shape {manifest['signal']['shape']} (channel, row, column), in the network's own units.",
        f"Sampler `{json.dumps(member['sampler'])}`, plan `{json.dumps(member['plan'])}`.",
        "",
        "## Data",
        "",
        "Imported: " + ", ".join(f"{key} {value}" for key, value in manifest["trained_on"].items()) + ".",
        *(["", "## What differs from the pipeline", "", *(f"- {note}" for note in notes)] if notes else []),
        "",
        f"Licence: {manifest['licence']}.",
        "",
    ]
    return "\n".join(lines)


def table(report):
    """What `run` returned, for people."""
    lines = [f"{report['package']}: content hash {report['content_hash']}"]
    lines += [f"  {name}: differs from torch by {error:.1e} at most" for name, error in report["differences"].items()]
    lines += [f"  {key:<8} {json.dumps(value)}" for key, value in report["member"].items()]
    return "\n".join(lines + [f"  note: {text}" for text in report["notes"]])

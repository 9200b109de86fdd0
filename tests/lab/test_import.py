# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem import`: packages made of saved pipelines give what diffusers' own schedulers give with the same noise.

Networks are small, seeded and untrained. The noise is our counter-based one, handed to diffusers; the package runs in
the environment `radio`. `make import-suite` runs this with diffusers installed; the ring `lab` says that it does not.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gr_diffsem.apps import environments
from gr_diffsem.base import model_packages
from gr_diffsem.base.errors import UserError
from gr_diffsem.base.philox import Rng
from gr_diffsem.models import diffusers_nets as nets
from gr_diffsem.package import diffusers_config, import_pipeline

diffusers = pytest.importorskip(
    "diffusers",
    reason="diffusers is not installed, so the import of pipelines is NOT tested here: make import-suite is",
)
torch = pytest.importorskip("torch")

pytestmark = pytest.mark.timeout(600)  # an export of a network takes many seconds, and more beside other work
ITEMS, SHAPE, SEED, STEPS = 3, (1, 8, 8), 7, 50
ELEMENTS = int(np.prod(SHAPE))
GATE = 1e-3


def unet(**more):
    """A U-Net of 45,000 parameters with attention."""
    torch.manual_seed(0)
    keys = {"sample_size": 8, "in_channels": 1, "out_channels": 1, "layers_per_block": 1, "norm_num_groups": 4}
    blocks = {
        "block_out_channels": (8, 16),
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": 8,
    }
    return diffusers.UNet2DModel(**{**keys, **blocks, **more}).eval()


def options(folder, out, **more):
    """Arguments of the command, as parsed."""
    given = {"prompt": None, "embedding": None, "guidance_scale": None, "negative_embedding": None}
    given |= {"class_label": None, "sampler": None, "steps": STEPS, "licence": None}
    return SimpleNamespace(folder=str(folder), out=str(out), **{**given, **more})


def noise(step):
    """Our noise of one step of all items, as diffusers wants it."""
    drawn = Rng(SEED, real=True).draw(step, (ITEMS, ELEMENTS)).astype(np.float32)
    return torch.from_numpy(drawn.reshape(ITEMS, *SHAPE))


def theirs(scheduler, net, monkeypatch, steps=STEPS, eta=0.0):
    """A sample by diffusers' own loop: scheduler.step() of each of its timesteps, from the same noise."""
    scheduler.set_timesteps(steps)
    x = noise(0)
    for k, t in enumerate(scheduler.timesteps):
        with torch.no_grad():
            out = net(x, t)
        more = {"eta": eta, "variance_noise": noise(k + 1)} if eta else {}
        monkeypatch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda *_, k=k, **__: noise(k + 1))
        x = scheduler.step(out, t, x, **more).prev_sample
    return x.numpy().reshape(ITEMS, ELEMENTS)


def in_radio(words):
    """Run Python in the environment `radio`."""
    python = environments.interpreter("radio")
    if python is None:
        pytest.skip("there is no environment 'radio' (make build), so no runtime to compare with")
    env = {**os.environ, "PYTHONPATH": environments.python_path("radio")}
    process = subprocess.run([str(word) for word in (python, *words)], capture_output=True, text=True, env=env)
    assert process.returncode == 0, process.stderr


def ours(folder, *specs, elements=ELEMENTS):
    """The same by the package, in the environment `radio`: an array for each string of keys."""
    draws = [{"spec": f"{folder}{spec}", "items": ITEMS, "elements": elements, "seed": SEED} for spec in specs]
    (folder / "draws.json").write_text(json.dumps({"draws": draws}))
    in_radio([Path(__file__).parent / "run_package.py", folder / "draws.json", folder / "draws.npz"])
    found = np.load(folder / "draws.npz")
    return [found[name] for name in found.files]


def difference(a, b):
    """The largest, relative to the rms of b."""
    return np.max(np.abs(a - b)) / np.sqrt(np.mean(b**2))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """One graph for all schedulers, exported and checked once: an export takes many seconds."""
    net = nets.denoiser(unet())
    path = tmp_path_factory.mktemp("graph") / "diffusion.onnx"
    example = {"x": torch.randn(2, *SHAPE), "timestep": torch.tensor([1, 500])}
    assert nets.write(net, path, example, {"contract": "1"}) < 1e-5
    return net, path


def package_of(scheduler, exported, folder, monkeypatch, **more):
    """The package of a pipeline with this scheduler, its graph copied from `exported`; (folder, report)."""
    import onnx

    def copy(_net, path, _example, metadata, output="mean"):
        model = onnx.load(exported[1])
        del model.metadata_props[:]
        for key, value in nets.as_metadata(metadata).items():
            model.metadata_props.add(key=key, value=value)
        Path(path).write_bytes(model.SerializeToString(deterministic=True))
        return 0.0

    monkeypatch.setattr(nets, "write", copy)
    diffusers.DDPMPipeline(unet(), scheduler).save_pretrained(folder / "pipeline")
    report = import_pipeline.run(options(folder / "pipeline", folder / "package", **more))
    return folder / "package", report


FREE = {"clip_sample": False}
LATENT = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
STABLE = {**LATENT, "timestep_spacing": "leading"}
CASES = {
    "ddim": ("DDIM", FREE, {}),
    "ddim_trailing": ("DDIM", {**FREE, "timestep_spacing": "trailing"}, {}),
    "ddim_linspace": ("DDIM", {**FREE, "timestep_spacing": "linspace"}, {}),
    "ddim_thirty_trailing": ("DDIM", {**FREE, "timestep_spacing": "trailing"}, {"steps": 30}),
    "ddim_eta": ("DDIM", FREE, {"eta": 0.5}),
    "ddim_clip_eta": ("DDIM", {}, {"eta": 0.5}),
    "ddim_latent": ("DDIM", {**STABLE, **FREE, "set_alpha_to_one": False}, {}),
    "ddim_cosine_v": ("DDIM", {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}, {}),
    "ddim_sample": ("DDIM", {"prediction_type": "sample"}, {}),
    "ddim_zero_snr": (
        "DDIM",
        {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"},
        {},
    ),
    "ddpm": ("DDPM", {}, {}),
    "ddpm_free": ("DDPM", FREE, {}),
    "ddpm_large": ("DDPM", {"variance_type": "fixed_large"}, {}),
    "ddpm_linspace": ("DDPM", {"timestep_spacing": "linspace"}, {}),
    "ddpm_sigmoid": ("DDPM", {"beta_schedule": "sigmoid"}, {}),
    "dpm": ("DPMSolverMultistep", {}, {}),
    "dpm_leading": ("DPMSolverMultistep", STABLE, {}),
    "dpm_trailing": ("DPMSolverMultistep", {"timestep_spacing": "trailing"}, {}),
    "dpm_karras": ("DPMSolverMultistep", {"use_karras_sigmas": True}, {}),
    "dpm_sigma_min": ("DPMSolverMultistep", {"final_sigmas_type": "sigma_min"}, {}),
    "dpm_first_order": ("DPMSolverMultistep", {"solver_order": 1}, {}),
    "dpm_trained_betas": ("DPMSolverMultistep", {"trained_betas": [0.001 + 2e-5 * k for k in range(900)]}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_diffusers(name, exported, tmp_path, monkeypatch):
    kind, config, run = CASES[name]
    if "trained_betas" in config:
        config = {**config, "num_train_timesteps": len(config["trained_betas"])}
    scheduler = getattr(diffusers, f"{kind}Scheduler")(**config)
    folder, _ = package_of(scheduler, exported, tmp_path, monkeypatch)
    # The number of steps and eta may be chosen afterwards: the spacing is the package's.
    keys = ",".join(f"{key}={value}" for key, value in run.items())
    (got,) = ours(folder, f":{keys}" if keys else "")
    expected = theirs(scheduler, exported[0], monkeypatch, **run)
    assert difference(got, expected) < GATE


def test_steps_that_diffusers_visits():
    """The spacings themselves, over many lengths: of DDIM and DDPM, and of DPM-Solver."""
    from gr_diffsem.reference import plans

    for spacing in ("leading", "trailing", "linspace"):
        ddim = diffusers.DDIMScheduler(timestep_spacing=spacing, num_train_timesteps=400)
        solver = diffusers.DPMSolverMultistepScheduler(timestep_spacing=spacing, num_train_timesteps=400)
        for count in (1, 2, 3, 7, 10, 33, 50, 133, 200):
            ddim.set_timesteps(count)
            assert list(plans.spaced(spacing, 400, count)) == ddim.timesteps.tolist(), (spacing, count)
            solver.set_timesteps(count)
            got = plans.spaced(spacing, 400, count, drop_last=spacing != "trailing")
            assert list(got) == solver.timesteps.tolist(), (spacing, count)


def test_schedules_are_theirs():
    for config in (
        {},
        {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"beta_schedule": "sigmoid"},
        {"trained_betas": [0.01, 0.02, 0.03]},
    ):
        scheduler = diffusers.DDPMScheduler(**config)
        alphas, _ = diffusers_config.schedule_of({**diffusers_config.DEFAULTS["ddpm"], **scheduler.config})
        np.testing.assert_allclose(alphas, scheduler.alphas_cumprod.numpy(), rtol=2e-4, atol=1e-9)


def test_a_saved_pipeline_from_end_to_end(tmp_path, monkeypatch):
    """The command itself, its own export included; the network afterwards is its class's, whatever K is baked in."""
    from gr_diffsem.apps import cli

    net = unet(num_class_embeds=3)
    diffusers.DDIMPipeline(net, diffusers.DDIMScheduler(clip_sample=False)).save_pretrained(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["import", "digits", "package", "--class-label", "2", "--licence", "CC0-1.0"]) == 0
    folder = tmp_path / "package"
    assert model_packages.problems(folder) == []
    manifest = model_packages.read_manifest(folder)
    assert manifest["licence"] == "CC0-1.0" and manifest["trained_on"]["class_label"] == 2
    (got,) = ours(folder, "")
    expected = theirs(diffusers.DDIMScheduler(clip_sample=False), nets.denoiser(net, label=2), monkeypatch)
    assert difference(got, expected) < GATE
    assert (
        difference(
            theirs(diffusers.DDIMScheduler(clip_sample=False), nets.denoiser(net, label=1), monkeypatch), expected
        )
        > GATE
    )


def test_the_page_from_end_to_end(tmp_path, monkeypatch):
    """docs/openings/import.md: its pipeline, its command, and its draws in the environment `radio`."""
    from gr_diffsem.apps import cli

    page = Path(__file__).resolve().parents[2] / "docs/openings/import.md"
    make, draw = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
    monkeypatch.chdir(tmp_path)
    exec(compile(make, "page", "exec"), {})
    assert "gr-diffsem import pipeline ./tiny\n" in page.read_text(encoding="utf-8")
    assert cli.main(["import", "pipeline", "./tiny"]) == 0
    in_radio(["-c", f"{draw}\nassert pictures.shape == (4, 64), pictures.shape"])


def text_to_image(folder):
    """A saved StableDiffusionPipeline of 4x4 latents and 8x8 pictures; (U-Net, autoencoder, embedding)."""
    torch.manual_seed(1)
    net = diffusers.UNet2DConditionModel(
        sample_size=4,
        in_channels=2,
        out_channels=2,
        layers_per_block=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=12,
        attention_head_dim=4,
    ).eval()
    vae = diffusers.AutoencoderKL(
        in_channels=1,
        out_channels=1,
        latent_channels=2,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        sample_size=8,
        scaling_factor=0.5,
    ).eval()
    scheduler = diffusers.DDIMScheduler(**STABLE, clip_sample=False, set_alpha_to_one=False)
    net.save_pretrained(folder / "unet")
    vae.save_pretrained(folder / "vae")
    scheduler.save_pretrained(folder / "scheduler")
    index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
    index |= {"vae": ["diffusers", "AutoencoderKL"], "scheduler": ["diffusers", "DDIMScheduler"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return net, vae, np.random.default_rng(0).standard_normal((5, 12)).astype(np.float32)


def test_a_prompt_is_baked_in_and_the_autoencoder_comes_along(tmp_path, monkeypatch):
    net, vae, embedding = text_to_image(tmp_path / "pipeline")
    np.save(tmp_path / "prompt.npy", embedding)
    np.save(tmp_path / "none.npy", 0 * embedding)
    report = import_pipeline.run(
        options(
            tmp_path / "pipeline",
            tmp_path / "package",
            embedding=tmp_path / "prompt.npy",
            guidance_scale=2.0,
            negative_embedding=tmp_path / "none.npy",
        )
    )
    folder = tmp_path / "package"
    assert report["signal"]["shape"] == [2, 4, 4] and model_packages.problems(folder) == []
    member = model_packages.read_manifest(folder)["members"]["diffusion"]
    assert member["codec"] == {"encoder": "encoder.onnx", "decoder": "decoder.onnx"}

    # Classifier-free guidance as diffusers has it, by hand.
    x, t = torch.randn(2, 2, 4, 4), torch.tensor([981, 1])
    text = torch.from_numpy(embedding)[None].expand(2, -1, -1)
    with torch.no_grad():
        asked, none = net(x, t, text).sample, net(x, t, 0 * text).sample
    from gr_diffsem.models.onnx_export import session

    (got,) = session(folder / "diffusion.onnx").run(["mean"], {"x": x.numpy(), "timestep": t.numpy()})
    np.testing.assert_allclose(got, (none + 2 * (asked - none)).numpy(), atol=2e-4)

    # Encoder and decoder in the units of the latent that the U-Net sees.
    picture = torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        latent = vae.encode(picture).latent_dist.mean * 0.5
        back = vae.decode(latent / 0.5).sample
    (encoded,) = session(folder / "encoder.onnx").run(["y"], {"x": picture.numpy()})
    np.testing.assert_allclose(encoded, latent.numpy(), atol=2e-5)
    (decoded,) = session(folder / "decoder.onnx").run(["y"], {"x": latent.numpy()})
    np.testing.assert_allclose(decoded, back.numpy(), atol=2e-5)


def refused(words, folder, out, **more):
    with pytest.raises(UserError) as error:
        import_pipeline.run(options(folder, out, **more))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_what_is_refused(tmp_path):
    pipeline, out = tmp_path / "pipeline", tmp_path / "package"
    refused(["cannot read", "model_index.json", "saved pipeline"], tmp_path / "nothing", out)
    diffusers.DDPMPipeline(unet(), diffusers.DDPMScheduler()).save_pretrained(pipeline)
    refused(["--prompt", "leave it out"], pipeline, out, prompt="a cat")
    refused(["--class-label", "no classes"], pipeline, out, class_label=1)
    refused(["--steps 2000", "1000 steps"], pipeline, out, steps=2000)

    def config(**changed):
        path = pipeline / "scheduler" / "scheduler_config.json"
        path.write_text(json.dumps({**diffusers.DDPMScheduler().config, "_class_name": "DDPMScheduler", **changed}))

    for changed, words in (
        ({"_class_name": "PNDMScheduler"}, ["PNDMScheduler", "--sampler"]),
        ({"thresholding": True}, ["thresholding", "not supported"]),
        ({"prediction_type": "flow_prediction"}, ["flow_prediction", "epsilon"]),
        ({"beta_schedule": "odd"}, ["beta_schedule 'odd'", "trained_betas"]),
        ({"variance_type": "learned_range"}, ["learned_range", "fixed_small"]),
        ({"timestep_spacing": "middle"}, ["timestep_spacing 'middle'"]),
        ({"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++"}, ["sde-dpmsolver++"]),
        ({"_class_name": "DPMSolverMultistepScheduler", "solver_order": 3, "variance_type": None}, ["solver_order 3"]),
        (
            {"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -3, "variance_type": None},
            ["lambda_min_clipped"],
        ),
    ):
        config(**changed)
        refused(words, pipeline, out)
    config()
    index = pipeline / "model_index.json"
    good = index.read_text()
    for name in ("StableCascadePipeline", ["my_pipeline", "Mine"], None):
        index.write_text(json.dumps({**json.loads(good), "_class_name": name}))
        refused(["known are", "cannot be imported"], pipeline, out)
    index.write_text(good)
    weights = pipeline / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(pipeline / "unet" / "diffusion_pytorch_model.bin")
    refused(["no weights in safetensors", "safe_serialization"], pipeline, out)
    (pipeline / "unet" / "diffusion_pytorch_model.bin").rename(weights)
    (pipeline / "unet" / "config.json").write_text("{")
    refused(["config.json is not JSON"], pipeline, out)
    assert not out.exists()


def test_prompts_that_do_not_fit(tmp_path):
    pipeline, out = tmp_path / "pipeline", tmp_path / "package"
    _, _, embedding = text_to_image(pipeline)
    np.save(tmp_path / "wide.npy", np.zeros((5, 13), np.float32))
    np.save(tmp_path / "prompt.npy", embedding)
    refused(["either --prompt TEXT or --embedding"], pipeline, out)
    refused(["no CLIP text encoder", "--embedding"], pipeline, out, prompt="a cat")
    refused(["[5, 13]", "[tokens, 12]"], pipeline, out, embedding=tmp_path / "wide.npy")
    refused(["cannot read"], pipeline, out, embedding=tmp_path / "none.npy")
    refused(["--negative-embedding"], pipeline, out, embedding=tmp_path / "prompt.npy", guidance_scale=3.0)


def test_diffusers_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused(["diffusers is missing", "-m pip install", nets.DIFFUSERS], tmp_path, tmp_path / "out")


def clip(folder):
    """A CLIP text encoder of 12 numbers and 5 tokens, and its tokenizer, saved into a pipeline of text_to_image."""
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed, so --prompt is NOT tested here: make import-suite is"
    )
    letters = list("abcdefghijklmnopqrstuvwxyz")
    words = [*letters, *(f"{a}</w>" for a in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "tokenizer").mkdir()
    (folder / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=5)
    tokenizer.save_pretrained(folder / "tokenizer")
    torch.manual_seed(2)
    sizes = {"hidden_size": 12, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    more = {"vocab_size": len(words), "max_position_embeddings": 5, "bos_token_id": 52, "eos_token_id": 53}
    model = transformers.CLIPTextModel(transformers.CLIPTextConfig(**sizes, **more)).eval()
    model.save_pretrained(folder / "text_encoder")
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return tokenizer, model


def test_a_prompt_goes_through_the_pipelines_own_text_encoder(tmp_path):
    """`--prompt` is what the text encoder says, as tokens padded to its length; no prompt is the empty one."""
    from gr_diffsem.models.onnx_export import session

    net, _, _ = text_to_image(tmp_path / "pipeline")
    tokenizer, model = clip(tmp_path / "pipeline")

    def said(text):
        ids = tokenizer(text, padding="max_length", max_length=5, truncation=True, return_tensors="pt").input_ids
        with torch.no_grad():
            return model(ids)[0].expand(2, -1, -1)

    assert not torch.allclose(said("ab"), said("a cat"))
    given = options(tmp_path / "pipeline", tmp_path / "package", prompt="ab", guidance_scale=2.0)
    import_pipeline.run(given)
    assert model_packages.read_manifest(tmp_path / "package")["trained_on"]["prompt"] == "ab"
    x, t = torch.randn(2, 2, 4, 4), torch.tensor([981, 1])
    with torch.no_grad():
        asked, none = (net(x, t, said(text)).sample for text in ("ab", ""))
    (got,) = session(tmp_path / "package" / "diffusion.onnx").run(["mean"], {"x": x.numpy(), "timestep": t.numpy()})
    np.testing.assert_allclose(got, (none + 2 * (asked - none)).numpy(), atol=2e-4)

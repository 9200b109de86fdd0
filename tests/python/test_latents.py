# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoisers of a learned code's latents: in the core as in the twin, and what each knows of the noise."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from gnuradio import diffsem
from gnuradio.diffsem import core
from gr_diffsem import schemes
from gr_diffsem.base import model_packages, picture_bands, picture_files, picture_metrics
from gr_diffsem.base.errors import UserError
from gr_diffsem.codec import frames, latent_receiver, learned_code, picture_codec
from gr_diffsem.eval import photo_receivers, photo_trials

MODELS = Path(__file__).parents[2] / "models"
NAMES = ("cddm", "latent_dnsc", "latent_ednsc", "latent_onestep", "djscc_csi")
PICTURE = next(iter(picture_files.bundled(192, 1).values()))


@pytest.fixture(scope="module")
def sent():
    """The picture by the learned code, its fades, and by the linear code."""
    code, uses = learned_code.LearnedCode("jscc"), PICTURE.size // 8
    plain = picture_codec.encode(PICTURE, uses)
    coded = picture_codec.encode(PICTURE, uses, 5.0, code.hash, sent=code.changed(PICTURE, plain))
    return coded, plain


def through(made, snr_db, seed=0):
    """(symbols, noise variances) in AWGN."""
    noise, n = 10 ** (-snr_db / 10), made.symbols.size
    drawn = np.random.default_rng(seed).standard_normal((2, n)) * np.sqrt(noise / 2)
    return (made.symbols + drawn[0] + 1j * drawn[1]).astype(np.complex64), np.full(n, noise, np.float32)


def fades_of(made):
    n = made.symbols.size
    return np.arange(n) % (frames.CARRIERS * frames.frame_count(n))


@pytest.mark.parametrize("name", NAMES)
def test_the_core_s_pictures_are_the_twin_s(sent, name):
    latent = latent_receiver.Latent.of(model_packages.read_manifest(MODELS / name))
    twin = photo_receivers.make(name)
    from gnuradio.diffsem.latent_pictures import LatentPictures

    estimators = [core.picture_estimator(str(MODELS / n)) for n in (name, latent.code, "photo_mmse")]
    ours = LatentPictures(core, latent, learned_code.codes()["jscc"], *estimators)
    for made in sent:
        y, noise = through(made, 5.0)
        y[:100], noise[:100] = 0, np.inf
        expected = twin(made.plan, y, noise, fades_of(made))
        shown, said = ours.receive(made.plan.to_bytes(), y, noise, fades_of(made), True)
        assert np.abs(shown.astype(int) - expected).max() <= 1
        assert not said["linear"] and said["deviation"].shape == PICTURE.shape[:2]
        assert said["evaluations"] == ours.planned(made is sent[0])
    assert said["evaluations"] == latent.passes  # of the linear code's receiver alone
    ours.leave_alone()
    assert ours.receive(sent[0].plan.to_bytes(), *through(sent[0], 5.0), None, False)[1]["evaluations"] == 1


@pytest.mark.parametrize("name", NAMES)
def test_where_all_is_known_it_is_level_with_the_code_alone(sent, name):
    alone, ours = photo_receivers.make("jscc"), photo_receivers.make(name)
    for snr in (0.0, 10.0):
        y, noise = through(sent[0], snr)
        psnr = [picture_metrics.psnr(PICTURE, r(sent[0].plan, y, noise, fades_of(sent[0]))) for r in (alone, ours)]
        assert psnr[1] > psnr[0] - 0.3, (snr, psnr)


@pytest.mark.parametrize("name", ["latent_dnsc", "latent_ednsc"])
def test_a_misstated_snr_costs_them_nothing(sent, name):
    """The code's decoder loses more than a dB; what goes by the linear code is helped too."""
    ours = photo_receivers.make(name)
    for made, other in zip(sent, ("jscc", "photo_mmse"), strict=True):
        y, noise = through(made, 0.0)
        right, wrong = (ours(made.plan, y, scale * noise, fades_of(made)) for scale in (1.0, 0.316))
        theirs = photo_receivers.make(other)(made.plan, y, 0.316 * noise, fades_of(made))
        psnr = [picture_metrics.psnr(PICTURE, shown) for shown in (right, wrong, theirs)]
        assert abs(psnr[0] - psnr[1]) < 0.05 and psnr[1] > psnr[2] + 0.7, psnr


def test_without_csi_each_carrier_s_noise_is_found(sent):
    made, ours = sent[0], photo_receivers.make("latent_dnsc")
    fades = fades_of(made)
    true = 10 ** (np.random.default_rng(4).uniform(-10, 5, fades.max() + 1) / 10)
    drawn = np.random.default_rng(5).standard_normal((2, fades.size)) * np.sqrt(true[fades] / 2)
    y = (made.symbols + drawn[0] + 1j * drawn[1]).astype(np.complex64)
    mean = np.full(fades.size, 1 / np.mean(1 / true[fades]), np.float32)
    psnr = [
        picture_metrics.psnr(PICTURE, receiver(made.plan, y, told.astype(np.float32), fades))
        for receiver, told in ((ours, mean), (photo_receivers.make("jscc"), mean), (ours, true[fades]))
    ]
    assert psnr[0] > psnr[1] + 1.0 and abs(psnr[0] - psnr[2]) < 0.05, psnr


def test_an_impulse_that_is_stated_costs_only_what_it_hit(sent):
    """One symbol in 24 of each carrier is worse by 20 dB, and said to be."""
    made, fades = sent[0], fades_of(sent[0])
    y, noise = through(made, 10.0)
    hit = (np.arange(noise.size) // (fades.max() + 1)) % 24 == 0
    noise[hit] *= 1000
    rng = np.random.default_rng(6)
    y[hit] += (rng.standard_normal((hit.sum(), 2)) @ (1, 1j) * np.sqrt(noise[hit] / 2)).astype(np.complex64)
    alone, ours = (
        picture_metrics.psnr(PICTURE, photo_receivers.make(name)(made.plan, y, noise, fades))
        for name in ("jscc", "latent_dnsc")
    )
    assert alone > 25 and ours > alone - 0.5, (alone, ours)


def test_what_a_denoiser_left_is_what_the_next_observes():
    rng = np.random.default_rng(0)
    mean, spectrum = rng.standard_normal((3, 8, 9)), rng.uniform(0.1, 3, (3, 8, 9))
    v = np.where(rng.random((3, 8, 9)) < 0.4, np.inf, rng.uniform(0.01, 2, (3, 8, 9)))
    z, finite = latent_receiver.as_observation(mean, v, spectrum)
    again, error = picture_bands.proximal(0.0, spectrum, z, finite)
    np.testing.assert_allclose(again, mean, rtol=1e-3, atol=1e-5)
    told = picture_bands.proximal(0.0, spectrum, np.zeros_like(z), v)[1]
    np.testing.assert_allclose(error, told, rtol=2e-3)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("jscc", "give an object with 'code'"),
        ({"noise": "told"}, "give an object with 'code'"),
        ({"code": "jscc", "more": 1}, "give an object with 'code'"),
        ({"code": "jscc", "noise": "loud"}, "give one of told, scaled, estimated"),
        ({"code": "jscc", "after": 1}, "give true or false"),
        ({"code": "jscc", "after": True, "noise": "scaled"}, "give noise 'told'"),
    ],
)
def test_what_is_no_latent_is_refused(said, words):
    with pytest.raises(UserError, match=words):
        latent_receiver.Latent.of({"default": "m", "members": {"m": {"latent": said}}})


def test_a_code_that_is_not_there_is_named_at_construction(tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(MODELS / "cddm", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    for code, words in (("nowhere", "nowhere"), ("photo_mmse", "no learned code")):
        manifest["members"]["prior"]["latent"]["code"] = code
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(UserError, match=words):
            photo_receivers.make(str(folder))
        with pytest.raises(ValueError, match=words):
            diffsem.semantic_decoder(str(folder))
    with pytest.raises(ValueError, match="realism"):
        diffsem.semantic_decoder("cddm", realism=0.5)


def test_receivers_are_told_what_the_options_say():
    run = photo_trials.Evaluation({}, 1 / 8, [0], "awgn", 0.0, None, 1, 1, misstated_db=5.0, csi=False)
    noise = np.array([0.1, 1.0, np.inf], np.float32)
    *_, told, fades = run.told(("plan", None, noise, "fades"))
    np.testing.assert_allclose(told, [2 / 11 * 0.31623, 2 / 11 * 0.31623, np.inf], rtol=1e-4)
    assert fades == "fades" and run.told(None) is None


def test_every_scheme_of_latents_names_its_code_and_keeps_its_promise():
    found = {name: scheme for name, scheme in schemes.shipped().items() if hasattr(scheme, "after")}
    assert set(found) == set(NAMES)
    for name, scheme in found.items():
        latent = latent_receiver.Latent.of(model_packages.read_manifest(MODELS / name))
        assert (latent.code, latent.noise, latent.after) == (scheme.code, scheme.noise, scheme.after)
        plan = model_packages.read_manifest(MODELS / name)["members"]["prior"]["plan"]
        assert plan == scheme.plan

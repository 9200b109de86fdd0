# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditional priors in the core, against closed forms and the NumPy twin: what is told, how, and what is refused."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.reference import scheme as twin
from gr_diffsem.reference.priors import ClassifierFree, DiagonalGaussian

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "blocks"))
diffsem = pytest.importorskip("gnuradio.diffsem", reason="gr-diffsem is not installed in this Python")
import conditional_nets as nets  # noqa: E402

RNG = np.random.default_rng(5)
Y = (0.8 * RNG.standard_normal((7, 3))).astype(np.float32)
NV = 0.3


def mean_of(spec, y=Y, noise_var=NV, **options):
    mean, _, info = diffsem.scheme(spec).estimate(y, noise_var, **options)
    assert not np.any(info["bypassed"]), info["reason"]
    return mean


# --- told -----------------------------------------------------------------------------------------------------


def test_a_real_scheme_takes_and_gives_real_numbers(tmp_path):
    spec = nets.classes(tmp_path / "net.onnx")
    mean, variance, info = diffsem.scheme(spec).estimate(Y, NV)
    assert mean.dtype == np.float32 and mean.shape == Y.shape
    np.testing.assert_allclose(mean, nets.answer(Y, NV, 0), atol=1e-5)
    np.testing.assert_allclose(mean_of(spec, Y.astype(float).tolist()), mean, atol=1e-6)
    kept = diffsem.core.Estimator(diffsem.scheme(spec))
    np.testing.assert_array_equal(kept.run(Y, NV)[0], mean)
    with pytest.raises(ValueError, match=r"y is complex, but scheme .* real data: give real numbers"):
        diffsem.scheme(spec).estimate(Y.astype(np.complex64), NV)


def test_a_constant_in_the_string_or_its_null(tmp_path):
    spec = nets.classes(tmp_path / "net.onnx")
    for told in range(3):
        expected = nets.answer(Y, NV, nets.MEANS[told + 1])
        np.testing.assert_allclose(mean_of(f"{spec}:class={told}"), expected, atol=1e-5)
    np.testing.assert_allclose(mean_of(f"{spec}:class=-1"), mean_of(spec), atol=1e-6)
    said = diffsem.scheme(f"{spec}:class=2").info()["condition"]
    about = {"name": "class", "type": "int64", "shape": (), "null": -1.0, "least": None, "most": None, "from": None}
    assert said == [{**about, "value": 2.0}]


def test_each_item_may_be_told_its_own(tmp_path):
    spec = nets.classes(tmp_path / "net.onnx")
    labels = np.arange(7) % 4 - 1
    expected = nets.answer(Y, NV, nets.MEANS[labels + 1])
    for batch in (1, 2, 64):
        got = mean_of(spec, condition={"class": labels}, max_batch=batch)
        np.testing.assert_allclose(got, expected, atol=1e-5)
    kept = diffsem.core.Estimator(diffsem.scheme(spec), condition={"class": 1})
    np.testing.assert_allclose(kept.run(Y, NV)[0], nets.answer(Y, NV, nets.MEANS[2]), atol=1e-5)
    np.testing.assert_allclose(kept.run(Y, NV, condition={"class": labels})[0], expected, atol=1e-5)
    np.testing.assert_allclose(kept.run(Y, NV)[0], nets.answer(Y, NV, nets.MEANS[2]), atol=1e-5)
    kept.set_condition("class", 0)
    np.testing.assert_allclose(kept.run(Y, NV)[0], nets.answer(Y, NV, nets.MEANS[1]), atol=1e-5)


def test_items_that_are_bypassed_do_not_shift_the_others(tmp_path):
    spec = nets.classes(tmp_path / "net.onnx")
    labels = np.arange(7) % 3
    noise = np.full(7, NV, np.float32)
    noise[[1, 4]] = -1
    mean, _, info = diffsem.scheme(spec).estimate(Y, noise, condition={"class": labels}, max_batch=3)
    good = noise > 0
    assert list(info["bypassed"]) == list(~good)
    np.testing.assert_allclose(mean[good], nets.answer(Y, NV, nets.MEANS[labels + 1])[good], atol=1e-5)


def test_several_with_vectors(tmp_path):
    spec = nets.shifts(tmp_path / "net.onnx")
    at = np.array([1, 2, 0.5])
    np.testing.assert_allclose(mean_of(f"{spec}:position=1;2;0.5"), nets.answer(Y, NV, at), atol=1e-5)
    got = mean_of(f"{spec}:position=1;2;0.5,share=0.5")
    np.testing.assert_allclose(got, nets.answer(Y, NV, at / 2), atol=1e-5)
    rows = RNG.standard_normal((7, 3))
    np.testing.assert_allclose(
        mean_of(spec, condition={"position": rows, "share": 0.5}), nets.answer(Y, NV, rows / 2), atol=1e-5
    )


@pytest.mark.parametrize("domain", ["real", "complex"])
def test_the_previous_answer_of_the_stream(tmp_path, domain):
    """One step of a Kalman filter for each item, however they are cut into calls; forgotten at reset()."""
    spec = nets.follows(tmp_path / "net.onnx", domain=domain)
    y = Y if domain == "real" else Y + 1j * np.roll(Y, 1)
    variance = nets.VARIANCE if domain == "real" else 0.5
    expected, before = [], 0
    for item in y:
        before = nets.answer(item, NV, 0.9 * before, variance)
        expected.append(before)
    np.testing.assert_allclose(mean_of(spec, y), expected, atol=1e-5)
    kept = diffsem.core.Estimator(diffsem.scheme(spec))
    got = np.concatenate([kept.run(y[i:j], NV, first=i)[0] for i, j in ((0, 2), (2, 3), (3, 7))])
    np.testing.assert_allclose(got, expected, atol=1e-5)
    kept.reset()
    np.testing.assert_allclose(kept.run(y[:2], NV)[0], expected[:2], atol=1e-5)
    with pytest.raises(ValueError, match="'before' is the previous answer, which the run itself fills in"):
        kept.set_condition("before", y[0].real)
    with pytest.raises(ValueError, match="'before' is the previous answer"):
        diffsem.scheme(f"{spec}:before=1;2;3").info()


# --- classifier-free guidance -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["posterior_mean", "ddim", "ddpm", "euler", "heun", "dpmpp_2m"])
def test_guidance_is_the_twins(tmp_path, sampler):
    spec = nets.classes(tmp_path / "net.onnx", sigma_range="[1e-4, 1e4]")
    keys = f"class=1,start=noise,sampler={sampler},plan=karras,steps=6,sigma_min=0.05,sigma_max=20,guard=off"
    told = DiagonalGaussian(nets.VARIANCE, nets.MEANS[2])
    prior = ClassifierFree(told, DiagonalGaussian(nets.VARIANCE), 2.5)
    member = {
        "start": {"type": "noise"},
        "sampler": {"type": sampler},
        "plan": {"type": "karras", "steps": 6, "sigma_min": 0.05, "sigma_max": 20.0},
    }
    expected, _, steps = twin.estimate(prior, Y, NV, member, seed=3, real=True)
    for name in ("guidance_scale", "guidance"):
        mean, _, info = diffsem.scheme(f"{spec}:{keys},{name}=2.5").estimate(Y, NV, seed=3)
        np.testing.assert_allclose(mean, expected, atol=2e-4)
        assert list(info["steps"]) == list(2 * steps), "each evaluation of the denoiser is two of the network"
    said = diffsem.scheme(f"{spec}:{keys},guidance_scale=2.5").info()
    assert said["guidance_scale"] == 2.5 and said["evaluations"] == 2 * steps[0]


def test_scale_one_is_the_conditional_prior_and_zero_the_other(tmp_path):
    spec = nets.classes(tmp_path / "net.onnx")
    one, _, info = diffsem.scheme(f"{spec}:class=2,guidance_scale=1").estimate(Y, NV)
    np.testing.assert_allclose(one, mean_of(f"{spec}:class=2"), atol=1e-6)
    assert set(info["steps"]) == {1}
    np.testing.assert_allclose(mean_of(f"{spec}:class=2,guidance_scale=0"), mean_of(spec), atol=1e-5)


def test_guidance_with_a_row_for_each_item(tmp_path):
    spec = nets.classes(tmp_path / "net.onnx")
    labels = np.arange(7) % 3
    null, told = nets.answer(Y, NV, 0), nets.answer(Y, NV, nets.MEANS[labels + 1])
    for batch in (1, 3, 64):
        got = mean_of(f"{spec}:guidance_scale=3,guard=off", condition={"class": labels}, max_batch=batch)
        np.testing.assert_allclose(got, null + 3 * (told - null), atol=1e-5)


# --- nothing measured -------------------------------------------------------------------------------------------


def test_infinite_noise_draws_from_the_prior(tmp_path):
    """y, NaN as it is, says nothing: moments of the draws are those of what was told."""
    spec = nets.classes(tmp_path / "net.onnx", sigma_range="[1e-4, 1e4]")
    keys = "start=noise,sampler=heun,plan=karras,steps=30,sigma_min=0.01,sigma_max=30,class=1"
    nothing = np.full((4000, 3), np.nan, np.float32)
    mean, _, info = diffsem.scheme(f"{spec}:{keys}").estimate(nothing, np.inf, seed=2)
    assert not np.any(info["bypassed"])
    deviation = np.sqrt(nets.VARIANCE / 4000)
    assert np.all(np.abs(mean.mean(0) - nets.MEANS[2]) < 5 * deviation)
    np.testing.assert_allclose(mean.var(0), nets.VARIANCE, rtol=0.15)


# --- the guard --------------------------------------------------------------------------------------------------


def test_the_guard_refuses_what_a_wrong_condition_makes(tmp_path):
    spec = nets.shifts(tmp_path / "net.onnx")
    right = mean_of(f"{spec}:position=0;0;0", Y, 0.01)
    mean, _, info = diffsem.scheme(f"{spec}:position=300;0;0").estimate(Y, 0.01)
    assert np.all(info["guarded"]) and np.all(info["bypassed"]) and set(info["reason"]) == {"guard"}
    np.testing.assert_array_equal(mean, Y)
    assert not np.array_equal(right, Y)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_what_the_guard_falls_back_on_is_told_the_same(tmp_path, batch):
    """The first member's means are absurd, so the second answers, under each item's own condition."""
    nets.classes(tmp_path / "absurd.onnx", means=1000 * nets.MEANS)
    nets.classes(tmp_path / "sane.onnx")
    nouns = {"operator": {"type": "identity"}, "start": {"type": "matched"}, "sampler": {"type": "one_step"}}
    members = {name: {"prior": {"type": "onnx", "file": f"{name}.onnx"}, **nouns} for name in ("absurd", "sane")}
    members["absurd"]["fallback"] = "sane"
    files = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in tmp_path.glob("*.onnx")}
    manifest = {"diffsem.contract": 1, "signal": {"domain": "real", "shape": [3]}, "members": members, "files": files}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    labels = np.arange(7) % 3
    expected = nets.answer(Y, NV, nets.MEANS[labels + 1])
    mean, _, info = diffsem.scheme(f"{tmp_path}/absurd").estimate(Y, NV, condition={"class": labels}, max_batch=batch)
    assert np.all(info["guarded"]) and not np.any(info["bypassed"])
    np.testing.assert_allclose(mean, expected, atol=1e-5)
    kept = diffsem.core.Estimator(diffsem.scheme(f"{tmp_path}/absurd:class=1"))
    np.testing.assert_allclose(kept.run(Y, NV)[0], nets.answer(Y, NV, nets.MEANS[2]), atol=1e-5)
    kept.set_condition("class", 0)
    np.testing.assert_allclose(kept.run(Y, NV)[0], nets.answer(Y, NV, nets.MEANS[1]), atol=1e-5)


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"condition": None}, r"the graph has the input 'class.*Declare it in diffsem.condition"),
        ({"condition": ({**nets.CLASS, "name": "label"},)}, r"declares 'label', but .* no input of that name.*class"),
        ({"condition": ({**nets.CLASS, "type": "float32"},)}, r"says that 'class' is float32 \[batch\], but"),
        ({"condition": ({**nets.CLASS, "shape": [2]},)}, r"says that 'class' is int64 \[batch, 2\], but"),
        ({"condition": ({**nets.CLASS, "nul": -1},)}, r"'nul' is unknown; did you mean 'null'"),
        ({"condition": ({**nets.CLASS, "type": "int32"},)}, r"type = .*must be int64 or float32"),
        ({"condition": ({**nets.CLASS, "null": 0.5},)}, r"null = 0.5: does not fit: .*whole numbers"),
        ({"condition": ({**nets.CLASS, "least": 3, "most": 2},)}, r"most = 2: must be at least"),
        ({"condition": ({**nets.CLASS, "least": "x"},)}, r"least"),
        ({"condition": ({**nets.CLASS, "null": [1, 2]},)}, r"null = .*takes 1 value, 2 were given"),
        ({"condition": (nets.CLASS, nets.CLASS)}, r"name = \"class\": stands twice"),
        ({"condition": ("class",)}, r"must be an object with \"name\""),
        ({"name": "steps", "condition": ({**nets.CLASS, "name": "steps"},)}, r"'steps' has the name of a key"),
        ({"condition": ({**nets.CLASS, "from": "next"},)}, r"from = \"next\": must be \"previous\""),
    ],
)
def test_a_declaration_that_does_not_fit_the_graph(tmp_path, options, said):
    spec = nets.classes(tmp_path / "net.onnx", **options)
    with pytest.raises(ValueError, match=said):
        diffsem.scheme(spec).info()


def test_a_condition_of_the_package_or_the_member_wins_over_the_file(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    nets.classes(folder / "net.onnx", condition=None)
    np.save(folder / "variance.npy", nets.VARIANCE)
    net, plain = {"type": "onnx", "file": "net.onnx"}, {"type": "gaussian", "variance": "variance.npy"}
    nouns = {"operator": {"type": "identity"}, "start": {"type": "matched"}, "sampler": {"type": "one_step"}}
    manifest = {
        "diffsem.contract": 1,
        "signal": {"domain": "real", "shape": [3]},
        "condition": [nets.CLASS],
        "members": {
            "net": {"prior": net, **nouns},
            "other": {"prior": net, "condition": [{**nets.CLASS, "null": 1}], **nouns},
            "plain": {"prior": plain, **nouns},
        },
        "files": {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    np.testing.assert_allclose(mean_of(f"{folder}/net"), nets.answer(Y, NV, 0), atol=1e-5)
    np.testing.assert_allclose(mean_of(f"{folder}/other"), nets.answer(Y, NV, nets.MEANS[2]), atol=1e-5)
    np.testing.assert_allclose(mean_of(f"{folder}/plain"), nets.answer(Y, NV, 0), atol=1e-5)
    with pytest.raises(ValueError, match="the key 'class' is unknown"):
        diffsem.scheme(f"{folder}/plain:class=1").info()
    manifest["members"]["net"]["guidance_scale"] = 3
    (folder / "manifest.json").write_text(json.dumps(manifest))
    null, told = nets.answer(Y, NV, 0), nets.answer(Y, NV, nets.MEANS[1])
    np.testing.assert_allclose(mean_of(f"{folder}/net:class=0,guard=off"), null + 3 * (told - null), atol=1e-5)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("class=1.5", "takes whole numbers"),
        ("class=1;2", "takes 1 value, 2 were given"),
        ("class=three", "class = 'three' is not a number"),
        ("clas=1", "the key 'clas' is unknown; did you mean 'class'"),
        ("class=1,class=2", "stands twice"),
        ("guidance_scale=-1", r"give 0 .*100"),
        ("guidance_scale=1000", r"give 0 .*100"),
    ],
)
def test_a_string_that_does_not_fit(tmp_path, keys, said):
    spec = nets.classes(tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=said):
        diffsem.scheme(f"{spec}:{keys}").info()


def test_a_condition_without_null_has_to_be_given(tmp_path):
    spec = nets.shifts(tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"needs the condition 'position': give position=\.\.\.;\.\.\. in the scheme"):
        diffsem.scheme(spec).estimate(Y, NV)
    with pytest.raises(ValueError, match="needs the condition 'position'"):
        diffsem.core.Estimator(diffsem.scheme(spec))
    assert diffsem.scheme(spec).info()["condition"][0]["null"] is None


def test_guidance_needs_a_null(tmp_path):
    nulls = [{"name": "class", "type": "int64", "shape": []}]
    spec = nets.classes(tmp_path / "net.onnx", condition=nulls)
    with pytest.raises(ValueError, match="guidance_scale = 2 needs a condition with a 'null' value"):
        diffsem.scheme(f"{spec}:class=1,guidance_scale=2").info()
    plain = Path(__file__).resolve().parents[1] / "data" / "priors" / "real.onnx"
    with pytest.raises(ValueError, match="guidance_scale = 2 is for conditional priors"):
        diffsem.scheme(f"{plain}:guidance_scale=2").info()


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"clas": 1}, "there is no condition 'clas'; did you mean 'class'"),
        ({"class": [1, 2]}, "takes 1 value, 2 were given"),
        ({"class": 0.5}, "takes whole numbers"),
        ({"class": np.nan}, "not finite"),
        ({"class": "one"}, "give a number, or an array"),
        (3, "give a dict such as"),
        ({"class": [0, 1, 2, 3, 0.5, 0, 0]}, "takes whole numbers"),
    ],
)
def test_a_call_that_does_not_fit(tmp_path, condition, said):
    handle = diffsem.scheme(nets.classes(tmp_path / "net.onnx"))
    with pytest.raises(ValueError, match=said):
        handle.estimate(Y, NV, condition=condition)
    kept = diffsem.core.Estimator(handle)
    with pytest.raises(ValueError, match=said):
        kept.run(Y, NV, condition=condition)


def test_an_index_that_the_graph_fails_on_is_refused_where_it_is_told(tmp_path):
    """Declared without a range it is tried, once; what held before holds on."""
    spec = nets.classes(tmp_path / "net.onnx")
    with pytest.raises(ValueError, match="trial run failed"):
        diffsem.core.Estimator(f"{spec}:class=7")
    kept = diffsem.core.Estimator(spec, condition={"class": 1})
    expected = kept.run(Y, NV)[0]
    for wrong in (7, 70000, -9):
        with pytest.raises(ValueError, match=f"the condition 'class' was given values, from {wrong}, that the network"):
            kept.set_condition("class", wrong)
        got, _, info = kept.run(Y, NV)
        np.testing.assert_array_equal(got, expected)
        assert not np.any(info["bypassed"])
    with pytest.raises(ValueError, match="'class' was given values, from 7, that the network fails on"):
        kept.run(Y, NV, condition={"class": [0, 1, 2, 7, 0, 1, 2]})
    np.testing.assert_array_equal(kept.run(Y, NV)[0], expected)
    kept.set_condition("class", 2)
    np.testing.assert_allclose(kept.run(Y, NV)[0], nets.answer(Y, NV, nets.MEANS[3]), atol=1e-5)
    block = diffsem.estimate(spec, noise_var=NV, condition={"class": 1})
    with pytest.raises(ValueError, match="that the network fails on"):
        block.set_condition("class", 7)

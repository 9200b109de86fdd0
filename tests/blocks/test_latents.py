# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemes with a codec: inference of the latent, content out, through Python and the block `estimate`.

The graphs are those of tests/data/make_codecs.py, the prior is Gaussian, so that all of it is known in closed form.
"""

import hashlib
import json
import shutil
from pathlib import Path

import flow
import numpy as np
import pytest
from gnuradio import blocks, diffsem, gr

CODECS = Path(__file__).resolve().parents[1] / "data" / "codecs"
MAPS = np.load(CODECS / "maps.npy")
W, E = MAPS[:, :8], MAPS[:, 8:].T
VARIANCE, NV = 0.8, 0.2
GAIN = VARIANCE / (VARIANCE + NV)


def planes(z):
    return np.concatenate([z.real, z.imag], -1)


def content_of(z):
    s = planes(z) @ W.T
    return (s + 0.2 * np.tanh(s)).reshape(*z.shape[:-1], 2, 5)


@pytest.fixture
def package(tmp_path):
    """write(codec, signal) -> path of a package whose one member has it."""

    def write(codec, domain="complex", shape=(4,), **member):
        folder = tmp_path / "latents"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name in [v for v in (codec or {}).values() if (CODECS / v).is_file()]:
            shutil.copy(CODECS / name, folder)
        np.save(folder / "variance.npy", np.full(int(np.prod(shape)), VARIANCE, np.float32))
        said = {"prior": {"type": "gaussian", "variance": "variance.npy"}, "guard": False, **member}
        if codec is not None:
            said["codec"] = codec
        manifest = {
            "diffsem.contract": 1,
            "name": "latents",
            "signal": {"domain": domain, "shape": list(shape)},
            "default": "one",
            "members": {"one": said},
            "files": {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()},
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return str(folder)

    return write


BOTH = {"encoder": "encoder.onnx", "decoder": "decoder.onnx"}


def measurements(items=30, seed=3):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((items, 4)) + 1j * rng.standard_normal((items, 4))
    return z.astype(np.complex64)


def through(block, y, kinds):
    """What comes out of each port, (sink type, elements) each."""
    tb = gr.top_block()
    source = blocks.vector_source_c(y.ravel().tolist(), False, y.shape[1])
    sinks = [kind(n) for kind, n in kinds]
    tb.connect(source, block)
    for port, sink in enumerate(sinks):
        tb.connect((block, port), sink)
    flow.run(tb)
    return [np.array(sink.data()).reshape(-1, n) for sink, (_, n) in zip(sinks, kinds, strict=True)]


def test_the_estimate_is_the_content_of_the_latent(package):
    scheme = diffsem.scheme(package(BOTH))
    y = measurements().reshape(5, 6, 4)
    mean, variance, info = scheme.estimate(y, NV)
    np.testing.assert_allclose(info["latent"], GAIN * y, atol=1e-6)
    assert mean.shape == (5, 6, 2, 5) and mean.dtype == np.float32
    np.testing.assert_allclose(mean, content_of(GAIN * y), atol=1e-5)
    np.testing.assert_allclose(variance, np.full((5, 6, 4), NV * GAIN), rtol=1e-5)  # of the latent
    assert scheme.info()["content"] == (2, 5) and scheme.info()["shape"] == (4,)


def test_encode_and_decode(package):
    scheme = diffsem.scheme(package(BOTH))
    content = np.random.default_rng(1).standard_normal((7, 3, 2, 5)).astype(np.float32)
    z = scheme.encode(content)
    assert z.shape == (7, 3, 4) and z.dtype == np.complex64
    np.testing.assert_allclose(planes(z), content.reshape(7, 3, 10) @ E.T, atol=1e-5)
    np.testing.assert_allclose(scheme.decode(z), content_of(z), atol=1e-5)
    with pytest.raises(ValueError, match=r"last axes must be \(2, 5\)"):
        scheme.encode(content[..., :4])
    with pytest.raises(ValueError, match="complex, and real numbers"):
        scheme.encode(content + 0j)
    with pytest.raises(ValueError, match="without an encoder"):
        diffsem.scheme(package({"decoder": "decoder.onnx"})).encode(content)
    with pytest.raises(ValueError, match="has no codec"):
        diffsem.scheme(package(None)).encode(content)


def test_what_is_not_finite_becomes_0_and_is_said(package):
    """NaN in, NaN through a decoder would pass for content; the other items are as ever."""
    scheme = diffsem.scheme(package(BOTH))
    z = measurements(5)
    whole = scheme.decode(z)
    z[3, 1] = np.nan
    z[4, 0] = np.inf
    with pytest.warns(RuntimeWarning, match="2 of 5 items, item 3 first, have no finite content and are 0"):
        content = scheme.decode(z)
    np.testing.assert_array_equal(content[:3], whole[:3])
    assert not content[3:].any()
    with pytest.warns(RuntimeWarning, match="1 of 5 items, item 2 first, have no finite latent"):
        latent = scheme.encode(np.where(np.arange(5)[:, None, None] == 2, np.nan, whole))
    assert not latent[2].any() and np.isfinite(latent).all() and latent[1].any()


def test_real_latents(package):
    scheme = diffsem.scheme(package({"decoder": "real_decoder.onnx"}, "real", (8,)))
    y = planes(measurements())
    mean, _, info = scheme.estimate(y, NV)
    np.testing.assert_allclose(info["latent"], GAIN * y, atol=1e-6)
    s = GAIN * y @ W.T
    np.testing.assert_allclose(mean.reshape(-1, 10), s + 0.2 * np.tanh(s), atol=1e-5)


def test_block_gives_content_variance_baseline_and_latent(package):
    y = measurements()
    block = diffsem.estimate(
        package(BOTH),
        noise_var=NV,
        variance_output=True,
        baseline_output=True,
        latent_output=True,
        content_size=10,
        max_batch=7,
    )
    kinds = [(blocks.vector_sink_f, 10), (blocks.vector_sink_f, 4), (blocks.vector_sink_f, 10)]
    content, variance, baseline, latent = through(block, y, [*kinds, (blocks.vector_sink_c, 4)])
    np.testing.assert_allclose(content, content_of(GAIN * y).reshape(-1, 10), atol=1e-5)
    np.testing.assert_allclose(variance, np.full((30, 4), NV * GAIN), rtol=1e-5)
    np.testing.assert_allclose(baseline, content_of(y).reshape(-1, 10), atol=1e-5)
    np.testing.assert_allclose(latent, GAIN * y, atol=1e-6)
    assert block.items_in() == block.items_out() == 30


def test_block_without_the_latent(package):
    y = measurements()
    (content,) = through(diffsem.estimate(package(BOTH), noise_var=NV), y, [(blocks.vector_sink_f, 10)])
    np.testing.assert_allclose(content, content_of(GAIN * y).reshape(-1, 10), atol=1e-5)


def test_an_item_that_cannot_be_inferred_is_decoded_all_the_same(package):
    y = measurements()
    y[3, 1] = np.nan
    mean, _, info = diffsem.scheme(package(BOTH)).estimate(y, NV)
    assert list(np.flatnonzero(info["bypassed"])) == [3]
    assert np.isfinite(mean).all() and not mean[3].any()  # what is no number decodes to none: 0


def test_the_encoder_runs_in_a_flowgraph(package):
    """`onnx_inference` makes latents of content, `estimate` content of latents."""
    content = np.random.default_rng(2).standard_normal((12, 2, 5)).astype(np.float32)
    folder = package(BOTH)
    tb = gr.top_block()
    source = blocks.vector_source_f(content.ravel().tolist(), False, 10)
    encoder = diffsem.onnx_inference(f"{folder}/encoder.onnx", outputs=[{"type": "complex"}])
    estimate = diffsem.estimate(folder, noise_var=1e-6)
    sink = blocks.vector_sink_f(10)
    tb.connect(source, encoder, estimate, sink)
    flow.run(tb)
    z = content.reshape(12, 10) @ E.T
    expected = content_of(z[:, :4] + 1j * z[:, 4:]).reshape(12, 10)
    np.testing.assert_allclose(np.array(sink.data()).reshape(12, 10), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("codec", "said"),
    [
        ({"encoder": "encoder.onnx"}, "'decoder' is missing"),
        ({"decoder": "encoder.onnx"}, "diffsem.role is 'encoder'"),
        ({"decoder": "long_decoder.onnx"}, r"complex \[5\], 'signal' says complex \[4\]"),
        ({"decoder": "real_decoder.onnx"}, r"real \[8\], 'signal' says complex \[4\]"),
        ({"decoder": "decoder.onnx", "shape": (2, 2)}, r"complex \[4\], 'signal' says complex \[2, 2\]"),
        ({"decoder": "decoder.onnx", "encoder": "wide_encoder.onnx"}, r"encodes real content \[2, 6\]"),
        ({"decoder": "decoder.onnx", "encoder": "short_encoder.onnx"}, r"gives latents \[3\]"),
        ({"decoder": "endless_decoder.onnx"}, "not finite for ordinary input"),
        ({"decoder": "nowhere.onnx"}, "nowhere.onnx"),
        ({"decoder": "decoder.onnx", "codec": "x"}, "'codec' is unknown"),
    ],
)
def test_what_does_not_fit_is_refused(package, codec, said):
    shape = codec.get("shape", (4,))
    codec = {key: value for key, value in codec.items() if key != "shape"}
    with pytest.raises(ValueError, match=said):
        diffsem.scheme(package(codec, shape=shape)).load()


def test_ports_that_a_scheme_has_not(package):
    with pytest.raises(ValueError, match="latent_output is set, but"):
        diffsem.estimate(package(None), latent_output=True)
    with pytest.raises(ValueError, match="content_size is 9, but .* content of 10 elements"):
        diffsem.estimate(package(BOTH), content_size=9)
    with pytest.raises(ValueError, match="has no codec: give 0"):
        diffsem.estimate(package(None), content_size=9)


def test_another_scheme_must_have_the_same_ports(package):
    block = diffsem.estimate(package(BOTH), noise_var=NV)
    with pytest.raises(ValueError, match="ports cannot change"):
        block.set_scheme(package(None))

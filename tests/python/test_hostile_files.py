# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and bytes from strangers end in an error of ours: seeded mutations, bounded in time and memory.

DIFFSEM_FUZZ_RUNS says how many inputs for each reader (default 1000): 10**6 is the long run.
"""

import contextlib
import io
import itertools
import json
import os
import pathlib
import resource
import subprocess
import sys
import tarfile
import time
import warnings

import numpy as np
import pytest
from gr_diffsem.air.burst_channel import BurstChannel
from gr_diffsem.apps import channel
from gr_diffsem.base import model_packages, pdu_wire, picture_files
from gr_diffsem.base.errors import UserError
from gr_diffsem.codec import collector, content, frame_header, frames, picture_codec
from gr_diffsem.package import info, onnx_cost, onnx_header
from gr_diffsem.receivers.wifi import wifi_truth
from gr_diffsem.receivers.wifi.wifi_capture import Capture

pytestmark = pytest.mark.timing

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNS = int(os.environ.get("DIFFSEM_FUZZ_RUNS", "1000"))
EDGES = [b"\0", b"\xff", b"\x80\x80\x80\x80\x20", b"\xff" * 9 + b"\x01", b"-1", b"1e999", b"9" * 30, b"[" * 3000]
EDGES += [b"null", b"{}", b'"', b"../", b"NaN", b"Infinity", b"true", b"[]", b"\\u0000"]


def mutate(corpus, rng):
    """One of the corpus with up to four bytes or pieces changed."""
    data = bytearray(corpus[rng.integers(len(corpus))])
    for _ in range(rng.integers(1, 5)):
        at, n = int(rng.integers(len(data) + 1)), int(rng.integers(1, 9))
        what = rng.integers(6)
        if what == 0 and data:
            data[at % len(data)] ^= 1 << int(rng.integers(8))
        elif what == 1 and data:
            data[at % len(data)] = int(rng.integers(256))
        elif what == 2:
            data[at:at] = EDGES[rng.integers(len(EDGES))]
        elif what == 3:
            data[at : at + n] = EDGES[rng.integers(len(EDGES))]
        elif what == 4:
            del data[at : at + n]
        else:
            del data[at:]
    return bytes(data)


def hammer(read, corpus, allowed, seed, limit=1.0, runs=RUNS):
    """read(data) for mutations; what it raises must be `allowed`; at most `limit` seconds and 512 MB more each."""
    rng = np.random.default_rng(seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = {"accepted": 0, "refused": 0}
    for data in corpus:
        with contextlib.suppress(allowed):
            read(data)  # imports what it needs, outside the time limit
    for data in itertools.chain(corpus, (mutate(corpus, rng) for _ in range(runs))):
        begin = time.process_time()  # the machine may be busy
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(data)
        except allowed:
            outcomes["refused"] += 1
        except Exception as e:
            raise AssertionError(f"{type(e).__name__} ({e}) for {data[:2000]!r}") from e
        else:
            outcomes["accepted"] += 1
        assert time.process_time() - begin < limit, data[:2000]
    assert outcomes["refused"] > 0 and outcomes["accepted"] > 0, outcomes
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 << 10
    print(outcomes)


def models():
    return [p.read_bytes() for f in ("priors", "foreign") for p in sorted((ROOT / "tests/data" / f).glob("*.onnx"))]


def test_onnx_header(tmp_path):
    def read(data):
        path = tmp_path / "m.onnx"
        path.write_bytes(data)
        onnx_header._read.__wrapped__(str(path), 0, len(data))

    hammer(read, models(), (ValueError, OSError), 1)


def test_onnx_cost(tmp_path):
    def read(data):
        path = tmp_path / "m.onnx"
        path.write_bytes(data)
        onnx_cost.cost(path)

    hammer(read, models(), (ValueError, OSError), 2)


def test_a_length_where_a_text_belongs_allocates_nothing(tmp_path):
    """metadata_props { key: 2^35 as a number }: bytes(n) would have been 32 GB of zeros."""
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x72\x07\x08\x80\x80\x80\x80\x80\x01")
    with pytest.raises(ValueError, match="a number where a text belongs"):
        onnx_header.read_header(path)
    assert "a number where" in onnx_header.problem(str(path))


def test_manifest(tmp_path):
    corpus = [p.read_bytes() for p in sorted((ROOT / "models").glob("*/manifest.json"))]

    def read(data):
        (tmp_path / "manifest.json").write_bytes(data)
        model_packages.problems(tmp_path)
        model_packages.content_hash(tmp_path)

    small = {"diffsem.contract": 1, "default": "a", "members": {"a": {"prior": "x"}}, "files": {}}
    hammer(read, [*corpus, json.dumps(small).encode()], UserError, 3)


@pytest.mark.parametrize(
    "text, words",
    [
        ("[" * 100_000, "not JSON"),
        ('{"members": [1]}', "no 'members'"),
        ('{"members": {}, "files": [1]}', "'files' must be an object"),
    ],
)
def test_manifests_that_once_got_through(tmp_path, text, words):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=words):
        model_packages.problems(tmp_path)


def recording(**said):
    about = {"core:datatype": "ci16_le", "core:sample_rate": 20e6, "core:num_channels": 1, **said}
    return json.dumps({"global": about, "captures": [{"core:header_bytes": 4}, {}], "annotations": []}).encode()


def test_sigmf_metadata(tmp_path):
    (tmp_path / "a.sigmf-data").write_bytes(bytes(range(256)) * 40)

    def read(data):
        (tmp_path / "a.sigmf-meta").write_bytes(data)
        capture = Capture(tmp_path / "a.sigmf-meta")
        capture.samples(0, 64)

    corpus = [recording(), recording(**{"core:datatype": "cf32_be"}), recording(**{"core:sample_rate": 40e6})]
    hammer(read, corpus, UserError, 4)


def test_sigmf_archive(tmp_path):
    pack = io.BytesIO()
    with tarfile.open(fileobj=pack, mode="w") as tar:
        for name, data in (("a/a.sigmf-meta", recording()), ("a/a.sigmf-data", bytes(4096))):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))

    def read(data):
        (tmp_path / "a.sigmf").write_bytes(data)
        Capture(tmp_path / "a.sigmf").samples(0, 64)

    hammer(read, [pack.getvalue()], UserError, 5)


def test_raw_recordings(tmp_path):
    rng = np.random.default_rng(1)

    def read(data):
        for name in ("a.cf32", "a.sc16", "a.cu8"):
            (tmp_path / name).write_bytes(data)
            Capture(tmp_path / name).samples(0, 64)

    hammer(read, [rng.normal(size=64).astype(np.float32).tobytes(), b"\x01\x02\x03"], UserError, 6)


def test_the_digital_part_of_content():
    """What passed the code's CRC and yet is hostile; the decoder counts a ContentError as `failed`.

    A dozen octets may ask for the zones of the largest picture, which take seconds: the limit is that picture's.
    """
    image = np.random.default_rng(2).integers(0, 256, (24, 32, 3), np.uint8)
    picture = picture_codec.encode(image, 8000)
    array = content.encode_array(np.ones((3, 4), np.complex64), "latent")
    text = content.encode_text("hello")

    def read(data):
        kind = content.kind(data)
        if kind == content.TEXT:
            content.decode_text(data)
        elif kind == content.ARRAY:
            content.Array.from_bytes(data)
        else:
            picture_codec.Plan.from_bytes(data)

    hammer(read, [picture.digital, array[0], text], ValueError, 7, 10.0)


def test_sidecar_and_ports(tmp_path):
    """GRC asks at every keystroke: nothing is ever raised."""
    path = tmp_path / "m.onnx"
    path.write_bytes((ROOT / "tests/data/foreign/torch_iq_classifier_opset18.onnx").read_bytes())
    said = {"diffsem.role": "denoiser", "diffsem.shape": [2, 64], "diffsem.layout": "planar", "diffsem.batch_axis": "0"}

    def read(data):
        (tmp_path / "m.onnx.json").write_bytes(data)
        assert set(onnx_header.ports(str(path))) == {"inputs", "outputs"}
        report = info.graph_report(path, found := [])
        assert report["file"]
        if found:
            raise UserError(found[0])

    hammer(read, [json.dumps(said).encode(), b"{}", b'{"diffsem.shape": "[1e999]"}'], UserError, 8)


def test_truth(tmp_path):
    entry = {"start": 4, "cfo_hz": 100.0, "rate": 6, "psdu": "00ff" * 20, "seed": 5, "fcs_ok": True}
    recorded = tmp_path / "a.cf32"
    recorded.write_bytes(np.zeros(4000, np.complex64).tobytes())
    capture, path = Capture(recorded), tmp_path / "t.json"

    def read(data):
        path.write_bytes(data)
        known = wifi_truth.load_truth(str(path))
        with contextlib.suppress(UserError):  # none of the packets is good
            wifi_truth.from_truth_file(capture, known, [])

    hammer(read, [json.dumps({"a.cf32": [entry, {**entry, "rate": 54}], "b": []}).encode()], UserError, 9)


def test_requests_to_a_running_channel():
    air = BurstChannel(10.0, "awgn", 0.0, 0.0, 1)

    def read(data):
        if "error" in channel.answer(air, data):
            raise UserError("refused")

    hammer(
        read, [b'["show"]', b'["set", "snr", 5]', b'["set", "snr", "7.5"]', b'["set", "fading", "tdl"]'], UserError, 10
    )
    assert all(np.isfinite(v) for v in air.settings.values() if isinstance(v, float))


def test_photographs(tmp_path):
    from PIL import Image

    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (20, 24, 3), np.uint8))
    corpus = []
    for kind in ("png", "jpeg", "bmp", "tiff", "webp", "ppm", "gif", "jpeg2000"):
        out = io.BytesIO()
        image.save(out, kind)
        corpus.append(out.getvalue())
    deep = np.arange(20 * 24 * 3, dtype=np.uint16).reshape(20, 24, 3)
    tifffile = pytest.importorskip("tifffile", reason="the package tifffile is not installed")
    for values, options in (
        (deep, {}),
        (deep.transpose(2, 0, 1).copy(), {"planarconfig": "separate"}),
        (deep / 1500, {}),
    ):
        out = io.BytesIO()
        tifffile.imwrite(out, values, photometric="rgb", **options)
        corpus.append(out.getvalue())

    def read(data):
        path = tmp_path / "p.png"
        path.write_bytes(data)
        picture = picture_files.load(path, 64)
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3

    hammer(read, corpus, UserError, 11)


def test_messages_between_flowgraphs():
    """A peer that computes the checksum too: the serialised PMT inside is what is hostile."""
    pair = b"\x07\x09\x07\x02\x00\x01a\x03\x00\x00\x00\x01\x06\x0a\x0a\x00\x00\x00\x01\x01\x00" + bytes(8)
    corpus = [pair, b"\x08\x00\x00\x00\x02\x06\x00", b"\x0d" + bytes(8), b"\x0c\x00\x00\x00\x01\x04" + bytes(8)]
    hammer(pdu_wire.check_pmt, corpus, ValueError, 12)
    whole = [pdu_wire.pack(pdu_wire.PDU, 1, 2, pair), pdu_wire.pack(pdu_wire.BEAT, 1, 3)]
    hammer(pdu_wire.unpack, whole, pdu_wire.WireError, 13)


def test_frame_headers_and_frames():
    """Headers from the air, whatever the soft bits; frames of any header, whatever their symbols."""
    sent = frame_header.modulate(frame_header.Header(3, 50, 1, 0)).view(np.float32)
    corpus = [(20 * sent).astype("<f4").tobytes(), (3 * sent).astype("<f4").tobytes()]

    def read(data):
        soft = np.zeros(192, np.float32)
        bits = np.frombuffer(data[: len(data) // 4 * 4], "<f4")[:192]
        soft[: bits.size] = bits
        with np.errstate(all="ignore"):
            found = frame_header.Tracker(4).decode(soft)
            if found is None:
                raise ValueError("no header")
            kept = collector.Collector(found, 48, 4)
            n = int(kept.borders[found.index + 1] - kept.borders[found.index])
            symbols = np.resize(soft.view(np.complex64), n)
            kept.add(frames.Received(found, symbols, np.resize(soft, n)))
            kept.result()

    hammer(read, corpus, ValueError, 14, runs=RUNS // 4)


def test_memory_is_bounded_by_the_file_not_by_its_numbers(tmp_path):
    """All header mutations under a hard limit of address space, in a process of their own."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30));"
        "import pytest; sys.exit(pytest.main([sys.argv[1], '-q', '-p', 'no:cacheprovider', '-k', 'onnx or manifest']))"
    )
    environment = {**os.environ, "DIFFSEM_FUZZ_RUNS": "300", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, __file__], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-3000:]

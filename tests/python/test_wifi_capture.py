# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings: formats, SigMF, resampling, and what is refused with which sentence."""

import json
import tarfile

import numpy as np
import pytest
from gr_diffsem.base.errors import UserError
from gr_diffsem.receivers.recordings import RecordingError
from gr_diffsem.receivers.wifi import wifi_finder, wifi_simulate
from gr_diffsem.receivers.wifi.wifi_capture import Capture, guess_format


@pytest.fixture(scope="module")
def air():
    packets = wifi_simulate.packet_list(4, np.random.default_rng(1), (6, 24))
    return wifi_simulate.recording(packets, wifi_simulate.Conditions(gain=0.2), 2)[0], [p[1] for p in packets]


def decoded(capture):
    return [i.result.psdu for i in wifi_finder.receive(capture) if i.result.fcs_ok]


def sigmf(folder, x, datatype="cf32_le", rate=20e6, **extra):
    kind = {"f": "f", "i": "i", "u": "u"}[datatype[1]]
    bits = int("".join(c for c in datatype[2:4] if c.isdigit()))
    raw = np.ascontiguousarray(x, np.complex64).view(np.float32)
    if kind != "f":
        raw = np.rint(raw * 2 ** (bits - 1) + (2 ** (bits - 1) - 0.5 if kind == "u" else 0))
        raw = np.clip(raw, -(2 ** (bits - 1)) if kind == "i" else 0, 2 ** (bits - (kind == "i")) - 1)
    order = ">" if datatype.endswith("_be") else "<"
    raw.astype(f"{order}{kind}{bits // 8}").tofile(folder / "r.sigmf-data")
    meta = {"global": {"core:datatype": datatype, "core:version": "1.0.0", "core:sample_rate": rate, **extra}}
    (folder / "r.sigmf-meta").write_text(json.dumps({**meta, "captures": [], "annotations": []}))
    return folder / "r.sigmf-meta"


@pytest.mark.parametrize(
    ("name", "fmt"),
    [("a.dat", "sc16"), ("a.sc8", "sc8"), ("a.cu8", "cu8"), ("a.cf32", "cf32"), ("a.fc32", "cf32")],
)
def test_raw_formats(tmp_path, air, name, fmt):
    x, psdus = air
    wifi_simulate.write(tmp_path / name, x, fmt)
    capture = Capture(tmp_path / name)
    assert capture.format == fmt and len(capture) == len(x)
    step = {"sc16": 2e-5, "cf32": 0}.get(fmt, 5e-3)
    assert np.abs(capture.samples().real - x.real).max() <= step
    assert decoded(capture) == psdus


@pytest.mark.parametrize("datatype", ["cf32_le", "cf32_be", "ci16_le", "ci16_be", "ci8", "cu8", "cf64_le"])
def test_sigmf_types(tmp_path, air, datatype):
    x, psdus = air
    meta = sigmf(tmp_path, x, datatype)
    assert decoded(Capture(meta)) == psdus
    assert decoded(Capture(tmp_path / "r.sigmf-data")) == psdus


def test_sigmf_archive_and_header(tmp_path, air):
    x, psdus = air
    meta = sigmf(tmp_path, x, "ci16_le")
    with tarfile.open(tmp_path / "r.sigmf", "w") as tar:
        for name in ("r.sigmf-meta", "r.sigmf-data"):
            tar.add(tmp_path / name, f"r/{name}")
    assert decoded(Capture(tmp_path / "r.sigmf")) == psdus
    content = json.loads(meta.read_text())
    content["captures"] = [{"core:sample_start": 0, "core:header_bytes": 100}]
    meta.write_text(json.dumps(content))
    data = tmp_path / "r.sigmf-data"
    data.write_bytes(b"\xff" * 100 + data.read_bytes())
    assert decoded(Capture(meta)) == psdus


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"core:datatype": "rf32_le"}, "core:datatype 'rf32_le'"),
        ({"core:datatype": "ci16"}, "core:datatype 'ci16'"),
        ({"core:num_channels": 2}, "core:num_channels is 2"),
        ({"core:sample_rate": 10e6}, "10 MS/s.*20 MS/s"),
        ({"core:sample_rate": None}, "metadata"),
        ({"core:sample_rate": -1}, "sample rate"),
    ],
)
def test_sigmf_refusals(tmp_path, air, change, sentence):
    meta = sigmf(tmp_path, air[0][:1000])
    content = json.loads(meta.read_text())
    content["global"].update(change)
    meta.write_text(json.dumps(content))
    with pytest.raises(RecordingError, match=sentence):
        Capture(meta)


def test_a_rate_that_sigmf_does_not_say_can_be_given(tmp_path, air):
    meta = sigmf(tmp_path, air[0][:1000])
    content = json.loads(meta.read_text())
    del content["global"]["core:sample_rate"]
    meta.write_text(json.dumps(content))
    with pytest.raises(RecordingError, match="no core:sample_rate; add it .20e6., or give --sample-rate"):
        Capture(meta)
    assert Capture(meta, sample_rate=20e6).n_samples == 1000


def test_sigmf_broken_files(tmp_path, air):
    meta = sigmf(tmp_path, air[0][:1000])
    for content in ("", "[]", "{}", '{"global": 3}', "\0\0"):
        meta.write_text(content)
        with pytest.raises(RecordingError, match="metadata"):
            Capture(meta)
    sigmf(tmp_path, air[0][:1000])
    (tmp_path / "r.sigmf-data").unlink()
    with pytest.raises(RecordingError, match="sigmf-data: no such file"):
        Capture(meta)
    (tmp_path / "b.sigmf").write_bytes(b"not a tar")
    with pytest.raises(RecordingError, match="archive"):
        Capture(tmp_path / "b.sigmf")


@pytest.mark.parametrize("rate", [40e6, 25e6, 30.72e6])
def test_faster_recordings_are_resampled(tmp_path, air, rate):
    from scipy.signal import resample_poly

    x, psdus = air
    up = {40e6: (2, 1), 25e6: (5, 4), 30.72e6: (192, 125)}[rate]
    meta = sigmf(tmp_path, resample_poly(x, *up), rate=rate)
    capture = Capture(meta)
    assert capture.notes == [f"resampled from {rate / 1e6:g} to 20 MS/s"]
    assert abs(len(capture) - len(x)) <= 1
    assert decoded(capture) == psdus
    whole = capture.samples()
    parts = np.concatenate([c[: min(n, len(c))] for _, n, c in capture.chunks(3001, 100)])
    assert np.allclose(parts, whole, atol=1e-6)


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(RecordingError, match="there is no such file"):
        Capture(tmp_path / "none.dat")
    with pytest.raises(RecordingError, match="folder"):
        Capture(tmp_path)
    (tmp_path / "empty.dat").touch()
    with pytest.raises(RecordingError, match="no complete sc16 sample"):
        Capture(tmp_path / "empty.dat")
    with pytest.raises(RecordingError, match=r"extension '.bin'.*--format"):
        guess_format("x.bin")
    with pytest.raises(UserError, match="--format"):
        Capture(tmp_path / "empty.dat", "mp3")
    (tmp_path / "x.dat").write_bytes(bytes(400))
    with pytest.raises(RecordingError, match="sample rate 0"):
        Capture(tmp_path / "x.dat", sample_rate=0)


def test_odd_octets_are_noted(tmp_path, air):
    path = tmp_path / "x.dat"
    wifi_simulate.write(path, air[0], "sc16")
    path.write_bytes(path.read_bytes()[:-3])
    capture = Capture(path)
    assert capture.n_samples == len(air[0]) - 1
    assert "1 octets at the end" in capture.notes[0]


def test_wrong_format_is_noticed(tmp_path, air):
    wifi_simulate.write(tmp_path / "x.dat", air[0], "sc16")
    with pytest.raises(RecordingError, match="not complex\\s+float; check --format"):
        Capture(tmp_path / "x.dat", "cf32")
    wifi_simulate.write(tmp_path / "y.dat", air[0], "cf32")
    with pytest.raises(RecordingError, match="looks like 32-bit float"):
        Capture(tmp_path / "y.dat")
    assert Capture(tmp_path / "y.dat", "sc16").n_samples == 2 * len(air[0])
    np.full(2000, np.nan, np.float32).tofile(tmp_path / "n.cf32")
    with pytest.raises(RecordingError, match="100 % of the values"):
        Capture(tmp_path / "n.cf32")


def test_silence_is_noted(tmp_path):
    np.zeros(4000, np.int16).tofile(tmp_path / "z.dat")
    capture = Capture(tmp_path / "z.dat")
    assert "equal" in capture.notes[0]
    assert list(wifi_finder.receive(capture)) == []

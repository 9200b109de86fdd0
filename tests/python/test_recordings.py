# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings as people have them, SigMF and raw: what `eval wifi` and `receive` read of them, and what is refused."""

import io
import json
import os
import resource
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from gr_diffsem.apps import transport
from gr_diffsem.base.errors import UserError
from gr_diffsem.receivers import recordings
from gr_diffsem.receivers.wifi.wifi_capture import Capture

N = 5000
RNG = np.random.default_rng(1)
X = np.round(RNG.uniform(-100, 100, (N, 2))).astype(np.float32)  # whole numbers: every format holds them exactly
STORED = {
    "cf32_le": ("<f4", 0, 1),
    "cf32_be": (">f4", 0, 1),
    "cf64_le": ("<f8", 0, 1),
    "ci16_le": ("<i2", 0, 2**15),
    "ci16_be": (">i2", 0, 2**15),
    "ci32_le": ("<i4", 0, 2**31),
    "cu16_le": ("<u2", 2**15, 2**15),
    "ci8": ("i1", 0, 2**7),
    "cu8": ("u1", 2**7, 2**7),
}


def octets(datatype):
    """X in a datatype, and the complex64 it means (zero of unsigned types lies between two codes)."""
    kind, zero, scale = STORED[datatype]
    means = (X + (0.5 if zero else 0)) / np.float32(scale)
    return (X + zero).astype(kind).tobytes(), means.astype(np.float32).view(np.complex64)[:, 0]


def write(folder, data, datatype="cf32_le", captures=({"core:sample_start": 0},), name="a.sigmf-data", **said):
    """The .sigmf-meta of a recording; keys of `said` are those of core:."""
    (folder / name).write_bytes(data)
    about = {"core:datatype": datatype, "core:version": "1.2.0", "core:sample_rate": 20e6}
    about |= {f"core:{key}": value for key, value in said.items()}
    meta = folder / "a.sigmf-meta"
    meta.write_text(json.dumps({"global": about, "captures": list(captures), "annotations": []}))
    return meta


def archive(folder, *members):
    path = folder / "a.sigmf"
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def received(path, form=None):
    """What the source of `receive --from file:` puts out."""
    blocks = pytest.importorskip("gnuradio.blocks", reason="GNU Radio is not installed in this Python")
    from gnuradio import gr

    source = transport.file_source(transport.place(f"file:{path}", "--from"), form)
    tb, sink = gr.top_block("received"), blocks.vector_sink_c()
    tb.connect(source, sink)
    tb.run()
    return np.array(sink.data(), np.complex64)


def agree(path, expected):
    """Both commands read `expected`."""
    np.testing.assert_array_equal(Capture(path).samples(), expected)
    np.testing.assert_array_equal(received(path), expected)


@pytest.mark.parametrize("datatype", STORED)
def test_each_datatype_is_read_by_both_commands(tmp_path, datatype):
    data, expected = octets(datatype)
    agree(write(tmp_path, data, datatype), expected)
    agree(tmp_path / "a.sigmf-data", expected)


@pytest.mark.parametrize("datatype", ["cf32_le", "ci16_le"])
@pytest.mark.parametrize(("header", "trailing"), [(0, 24), (64, 0), (13, 7)])
def test_octets_before_and_behind_are_no_samples(tmp_path, datatype, header, trailing):
    data, expected = octets(datatype)
    around = b"\xff" * header + data + b"\xff" * trailing
    captures = [{"core:sample_start": 0, "core:header_bytes": header}]
    agree(write(tmp_path, around, datatype, captures, trailing_bytes=trailing), expected)


def test_the_samples_may_have_another_name(tmp_path):
    data, expected = octets("ci16_le")
    agree(write(tmp_path, data, "ci16_le", name="radio.bin", dataset="radio.bin"), expected)


@pytest.mark.parametrize("datatype", ["cf32_le", "ci16_be"])
def test_an_archive_is_read_where_it_lies(tmp_path, datatype):
    data, expected = octets(datatype)
    meta = write(tmp_path, data, datatype).read_bytes()
    path = archive(tmp_path, ("x/notes.txt", b"?" * 700), ("x/a.sigmf-data", data), ("x/a.sigmf-meta", meta))
    meta_beside, data_beside = tmp_path / "a.sigmf-meta", tmp_path / "a.sigmf-data"
    meta_beside.unlink()
    data_beside.unlink()
    agree(path, expected)
    path = archive(tmp_path, ("a.sigmf-meta", meta), ("a.sigmf-data", data), ("b.sigmf-meta", meta))
    assert recordings.sigmf(path).notes == ["the archive holds 2 recordings, of which a.sigmf-data is read"]


def test_an_archive_whose_samples_have_another_name(tmp_path):
    data, expected = octets("ci8")
    meta = write(tmp_path, data, "ci8", dataset="radio.bin").read_bytes()
    agree(archive(tmp_path, ("a/a.sigmf-meta", meta), ("a/radio.bin", data)), expected)


def test_what_is_odd_is_said_and_read(tmp_path, capsys):
    data, expected = octets("cf32_le")
    tuned = [{"core:sample_start": 0, "core:frequency": 1e9}, {"core:sample_start": 70, "core:frequency": 2e9}]
    path = write(tmp_path, data, captures=tuned)
    agree(path, expected)
    said = "the radio was tuned again at sample 70"
    assert said in capsys.readouterr().err and said in Capture(path).notes[0]
    path = write(tmp_path, data, captures=[{"core:sample_start": 0}, {"core:sample_start": N}])
    agree(path, expected)
    assert f"a capture begins at sample {N}, but there are {N}" in Capture(path).notes[0]
    path = write(tmp_path, data, captures=[{"core:sample_start": N}], offset=1)
    agree(path, expected)
    assert Capture(path).notes == []
    path = write(tmp_path, data)
    said = json.loads(path.read_text()) | {"annotations": [{"core:sample_start": N - 5, "core:sample_count": 9}]}
    path.write_text(json.dumps(said))
    agree(path, expected)
    assert f"an annotation reaches to sample {N + 4}, but there are {N}" in Capture(path).notes[0]
    agree(write(tmp_path, data + b"odd"), expected)
    assert "3 octets at the end" in Capture(path).notes[0]


REFUSED = {
    "two channels": ({"num_channels": 2}, "core:num_channels is 2; split it"),
    "real samples": ({"datatype": "rf32_le"}, "core:datatype 'rf32_le' is not a complex type"),
    "no byte order": ({"datatype": "ci16"}, "core:datatype 'ci16'"),
    "half a float": ({"datatype": "cf16_le"}, "core:datatype 'cf16_le'"),
    "only a description": ({"metadata_only": True}, "core:metadata_only"),
    "a path": ({"dataset": "../a.sigmf-data"}, "core:dataset is '../a.sigmf-data'; name a file in the same folder"),
    "an absolute path": ({"dataset": "/etc/passwd"}, "core:dataset is '/etc/passwd'"),
    "a file that is not there": ({"dataset": "b.bin"}, "b.bin: no such file"),
    "nothing but a trailer": ({"trailing_bytes": 1 << 40}, "holds no complete cf32_le sample"),
    "a length below 0": ({"trailing_bytes": -8}, "core:trailing_bytes is -8"),
    "a length without end": ({"trailing_bytes": float("inf")}, "the SigMF metadata cannot be read"),
    "a rate that is a word": ({"sample_rate": "fast"}, "the SigMF metadata cannot be read"),
    "a long header": ({"captures": [{"core:header_bytes": 1 << 50}]}, "holds no complete cf32_le sample"),
    "headers between": ({"captures": [{}, {"core:header_bytes": 8}]}, "only a header before the first capture"),
    "captures of numbers": ({"captures": [3]}, "the SigMF metadata cannot be read"),
    "what a terminal obeys": ({"datatype": "c\x1b[2J"}, r"core:datatype 'c\?\[2J'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_read_is_one_sentence_of_both_commands(tmp_path, what):
    said, sentence = REFUSED[what]
    path = write(tmp_path, octets("cf32_le")[0], **said)
    for read in (Capture, received):
        with pytest.raises(UserError, match=sentence) as e:
            read(path)
        assert len(str(e.value)) < 500 and "\n" not in str(e.value) and str(tmp_path) in str(e.value)


def test_files_that_are_no_recording_are_one_sentence(tmp_path):
    write(tmp_path, octets("cf32_le")[0])
    streams = {"collection": {"core:streams": [{"name": "a", "hash": "0"}, {"name": "b\x1b", "hash": "0"}]}}
    (tmp_path / "c.sigmf-collection").write_text(json.dumps(streams))
    (tmp_path / "d.sigmf-collection").write_text("[]")
    (tmp_path / "p.sigmf.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "t.sigmf").write_bytes(b"not a tar")
    (tmp_path / "n.sigmf-data").write_bytes(b"12345678")
    with (tmp_path / "l.sigmf-meta").open("wb") as f:
        f.truncate(1 << 33)
    for name, sentence in {
        "c.sigmf-collection": "is a collection; give one of its 2 recordings, a.sigmf-meta, b\\?.sigmf-meta",
        "d.sigmf-collection": "is a collection; give the .sigmf-meta",
        "p.sigmf.gz": "is a packed archive; unpack it",
        "t.sigmf": "not a readable SigMF archive",
        "n.sigmf-data": "n.sigmf-meta: no SigMF description is there",
        "l.sigmf-meta": "larger than .* octets",
        "none.sigmf": "none.sigmf-meta: no SigMF description",
    }.items():
        for read in (Capture, received):
            with pytest.raises(UserError, match=sentence):
                read(tmp_path / name)


# --- raw files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "datatype"),
    [
        *(("a.cs16", "ci16_le"), ("a.sc16", "ci16_le"), ("a.ci8", "ci8"), ("a.cs8", "ci8"), ("a.sc8", "ci8")),
        *(("a.cf32", "cf32_le"), ("a.fc32", "cf32_le"), ("a.cfile", "cf32_le")),
    ],
)
def test_a_name_says_the_format_of_a_raw_file_to_both_commands(tmp_path, name, datatype):
    data, expected = octets(datatype)
    (tmp_path / name).write_bytes(data)
    agree(tmp_path / name, expected)


def test_the_format_of_a_raw_file_can_be_given(tmp_path):
    data, expected = octets("ci8")
    (tmp_path / "a.bin").write_bytes(data)
    np.testing.assert_array_equal(Capture(tmp_path / "a.bin", "sc8").samples(), expected)
    np.testing.assert_array_equal(received(tmp_path / "a.bin", "sc8"), expected)
    (tmp_path / "b.cu8").write_bytes(bytes(range(256)))
    np.testing.assert_array_equal(Capture(tmp_path / "b.cu8").samples(), received(tmp_path / "b.cu8"))
    (tmp_path / "c.dat").write_bytes(octets("cf32_le")[0])  # the ending that says nothing: what `send` wrote
    np.testing.assert_array_equal(received(tmp_path / "c.dat"), octets("cf32_le")[1])


def test_samples_that_cannot_be_of_the_format_are_one_sentence(tmp_path):
    (tmp_path / "a.iq").write_bytes(RNG.integers(0, 256, 8 * N, np.uint8).tobytes())
    with pytest.raises(UserError, match="a.iq: .* % of the values are not numbers .*say what it is with --format"):
        received(tmp_path / "a.iq")
    np.save(tmp_path / "x.npy", octets("cf32_le")[1])
    for head, what in {
        b"RIFF": "a WAV file",
        b"\x1f\x8b\x08": "packed",
        (tmp_path / "x.npy").read_bytes(): "NumPy",
    }.items():
        (tmp_path / "b.cf32").write_bytes(head + octets("cf32_le")[0])
        for read in (Capture, received):
            with pytest.raises(UserError, match=f"b.cf32: is .*{what}.*"):
                read(tmp_path / "b.cf32")
    (tmp_path / "c.cf32").mkdir()
    os.mkfifo(tmp_path / "d.cf32")
    os.mkfifo(tmp_path / "e.sigmf-data")
    (tmp_path / "e.sigmf-meta").write_bytes(write(tmp_path, b"").read_bytes())
    (tmp_path / "f.cf32").write_bytes(b"")
    for name, sentence in {
        "c.cf32": "is a folder",
        "d.cf32": "is a pipe",
        "e.sigmf-data": "(is a pipe|no such file)",
        "f.cf32": "it is empty",
        "g.cf32": "there is no such file",
    }.items():
        for read in (Capture, received):
            with pytest.raises(UserError, match=f"{name}: .*{sentence}"):
                read(tmp_path / name)


def test_values_that_are_no_numbers_are_refused_or_zero(tmp_path):
    values = X.copy()
    values[7] = np.nan
    (tmp_path / "a.cf32").write_bytes(values.tobytes())
    capture = Capture(tmp_path / "a.cf32")
    assert capture.samples()[7] == 0 and "not finite" in capture.notes[0]
    (tmp_path / "b.cf32").write_bytes(np.full_like(values, np.nan).tobytes())
    with pytest.raises(UserError, match="b.cf32: 100 % of the values"):
        received(tmp_path / "b.cf32")


def test_what_is_written_is_named_as_it_is(tmp_path):
    for name in ("a.cs8", "a.sc16", "a.cu8"):
        with pytest.raises(UserError, match="--to .*: cf32 is written; end its name in .cf32"):
            transport.writer(transport.place(f"file:{tmp_path / name}", "--to"), 1e6)
        assert not (tmp_path / name).exists()


def test_a_header_of_an_archive_does_not_say_how_much_is_read(tmp_path):
    """A pax header that claims 7 GB, in a file that has them (holes)."""
    entry = tarfile.TarInfo("pax")
    entry.type, entry.size = tarfile.XHDTYPE, 7 << 30
    with (tmp_path / "a.sigmf").open("wb") as f:
        f.write(entry.tobuf(tarfile.USTAR_FORMAT))
        f.truncate(8 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match="a header of 7516192768 octets"):
        recordings.sigmf(tmp_path / "a.sigmf")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 << 10


def test_the_memory_in_use_does_not_grow_with_the_file(tmp_path):
    path = write(tmp_path, b"")
    with (tmp_path / "a.sigmf-data").open("wb") as f:
        f.truncate(8 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert recordings.sigmf(path).n_samples == 1 << 30
    assert not recordings.sigmf(path).read((1 << 30) - 10, 1 << 40).any()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 << 10


def test_the_library_is_imported_when_the_first_description_is_met(tmp_path):
    path = write(tmp_path, octets("cf32_le")[0])
    (tmp_path / "a.cf32").write_bytes(bytes(80))
    program = (
        "import sys\n"
        "from gr_diffsem.apps import transport\n"
        "from gr_diffsem.receivers.wifi.wifi_capture import Capture\n"
        f"Capture({str(tmp_path / 'a.cf32')!r})\n"
        "before = 'sigmf' in sys.modules\n"
        f"Capture({str(path)!r})\n"
        "print(before, 'sigmf' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_without_the_library_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    path = write(tmp_path, octets("cf32_le")[0])
    monkeypatch.setitem(sys.modules, "sigmf", None)
    with pytest.raises(UserError, match="install the Python package sigmf"):
        Capture(path)

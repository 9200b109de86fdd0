# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem send` and `receive` over two simulated radios, each in a process of its own, with noise, carrier offset,
clock error, gain and a 12-bit converter between; through SoapySDR, and through UHD, which opens a SoapySDR device."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from gr_diffsem.base import picture_files, picture_metrics
from PIL import Image
from simulated_radio import ROOT, air, environment

pytestmark = pytest.mark.timing

pytest.importorskip("gnuradio.diffsem")
FREQ = ("--freq", "433.92e6")


def command(*words):
    """gr-diffsem in this interpreter."""
    return [sys.executable, "-m", "gr_diffsem", *map(str, words)]


@pytest.fixture
def photograph(tmp_path):
    x = next(iter(picture_files.bundled(160, 1).values()))
    Image.fromarray(x).save(tmp_path / "photo.png")
    return x


def pictures(folder):
    """(arrays, their JSON)."""
    files = sorted(folder.glob("*.png"))
    return [np.asarray(Image.open(f)) for f in files], [json.loads(f.with_suffix(".json").read_text()) for f in files]


def cross(tmp_path, kind, behind, sender=(), receiver=()):
    """Send photo.png and receive it in tmp_path/out, over the radios' channel `behind`; both commands' reports."""
    device = {"soapy": "soapy:driver=diffsemsim", "uhd": "uhd:type=soapy,driver=diffsemsim"}[kind]
    env = environment(f"air={air()}")
    words = [
        "receive",
        "--from",
        f"{device},{behind}",
        *FREQ,
        "--out",
        tmp_path / "out",
        "--scheme",
        "linear",
        "--count",
        1,
        "--json",
    ]
    hears = subprocess.Popen(
        command(*words, *receiver), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        words = ["send", tmp_path / "photo.png", "--to", device, *FREQ, "--cbr", "1/8", "--json", *sender]
        sent = subprocess.run(command(*words), env=env, capture_output=True, text=True, timeout=90)
        assert sent.returncode == 0, sent.stderr
        out, errors = hears.communicate(timeout=90)
    finally:
        hears.kill()
    assert hears.returncode == 0, errors
    return json.loads(sent.stdout), json.loads(out[out.index("{") :])


@pytest.mark.parametrize("kind", ["soapy", "uhd"])
def test_a_photograph_crosses_two_radios(tmp_path, photograph, kind):
    record = tmp_path / "air.sigmf-data"
    sent, got = cross(tmp_path, kind, "snr=15,offset=3000,ppm=20", receiver=("--record", record))
    assert sent["contents"] == 1 and got["contents"] == 1 and got["frames"] >= sent["frames"] == 4
    (image,), (said,) = pictures(tmp_path / "out")
    assert said["frames_lost"] == 0 and said["snr_db"] == pytest.approx(15, abs=1)
    assert picture_metrics.psnr(photograph, image) > 25.5  # 26.8 measured
    words = ["receive", "--from", f"file:{record}", "--out", tmp_path / "again", "--scheme", "linear", "--count", 1]
    again = subprocess.run(command(*words), env=environment(), capture_output=True, text=True, timeout=90)
    assert again.returncode == 0, again.stderr
    np.testing.assert_array_equal(pictures(tmp_path / "again")[0][0], image)
    assert json.loads(record.with_suffix(".sigmf-meta").read_text())["captures"][0]["core:frequency"] == 433.92e6


def test_a_learned_code_crosses_two_radios(tmp_path, photograph):
    cross(tmp_path, "soapy", "snr=12,offset=3000,ppm=20", ("--codec", "jscc"), ("--scheme", "photo_mmse"))
    (image,), (said,) = pictures(tmp_path / "out")
    assert said["codec"] == said["scheme"] == "jscc" and said["frames_lost"] == 0
    assert picture_metrics.psnr(photograph, image) > 26


@pytest.mark.parametrize("name", ["cddm", "latent_dnsc", "latent_ednsc", "latent_onestep", "djscc_csi"])
def test_what_a_learned_code_sent_is_denoised_behind_two_radios(tmp_path, photograph, name):
    cross(tmp_path, "soapy", "snr=12,offset=3000,ppm=20", ("--codec", "jscc"), ("--scheme", name, "--uncertainty"))
    (image,) = [np.asarray(Image.open(f)) for f in (tmp_path / "out").glob("*[0-9].png")]
    (said,) = [json.loads(f.read_text()) for f in (tmp_path / "out").glob("*.json")]
    assert (said["codec"], said["scheme"], said["scheme_match"]) == ("jscc", name, True) and said["frames_lost"] == 0
    assert said["evaluations"] >= 2 and picture_metrics.psnr(photograph, image) > 25.5
    assert abs(said["expected_psnr"] - picture_metrics.psnr(photograph, image)) < 6
    assert len(list((tmp_path / "out").glob("*.uncertainty.png"))) == 1


def test_more_transmit_gain_is_more_snr(tmp_path, photograph):
    cross(tmp_path, "soapy", "snr=6,ppm=-10", sender=("--gain", 6))
    assert pictures(tmp_path / "out")[1][0]["snr_db"] == pytest.approx(12, abs=1)


def test_a_receiver_with_too_much_gain_clips(tmp_path, photograph):
    cross(tmp_path, "soapy", "snr=25", receiver=("--gain", 48))
    assert pictures(tmp_path / "out")[1][0]["snr_db"] < 20


def test_paced_by_the_clock(tmp_path, photograph):
    _, got = cross(tmp_path, "soapy", "snr=20,pace=1", ("--rate", 2.5e5, "--repeat", 3), ("--rate", 2.5e5))
    assert got["contents"] >= 1


@pytest.mark.parametrize(
    "name, words",
    [
        ("photo_rx_soapy", "--driver diffsemsim --antenna RX2"),
        ("photo_rx_usrp", "--args type=soapy,driver=diffsemsim"),
    ],
)
def test_a_hackrf_flowgraph_reaches_another(tmp_path, photograph, name, words):
    """As grcc makes them, with their screens; the first frame of all may be lost, because nothing came before it."""
    out = tmp_path / "out"
    receiver = [name, *words.split(), "--folder", str(out), "--scheme", "linear"]
    sender = ["photo_tx_hackrf", "--photo", str(tmp_path / "photo.png")]
    both_run(tmp_path, (receiver, sender), lambda: len(list(out.glob("*.json"))) >= 2)
    images, said = pictures(out)
    assert said[1]["frames_lost"] == 0 and said[1]["snr_db"] == pytest.approx(15, abs=1)
    assert picture_metrics.psnr(photograph, images[1]) > 24


def both_run(folder, lines, done):
    """Compile two examples with grcc, [name, argument, ...] each, and run them at once until done()."""
    env = environment(f"air={air()},snr=15,at_gain=16,offset=3000")
    grcc = "import sys; from gnuradio.grc.compiler import main; sys.exit(main())"
    for name, *_ in lines:
        line = [sys.executable, "-c", grcc, "-o", str(folder), str(ROOT / "examples" / f"{name}.grc")]
        made = subprocess.run(line, env=env, capture_output=True, text=True, timeout=60)
        assert made.returncode == 0 and "arning" not in made.stdout + made.stderr, made.stdout + made.stderr
    quiet = {"env": env, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = [subprocess.Popen([sys.executable, str(folder / f"{n}.py"), *words], **quiet) for n, *words in lines]
    try:
        until = time.monotonic() + 60
        while not done() and time.monotonic() < until:
            time.sleep(0.2)
    finally:
        for one in running:
            one.terminate()
        ended = [one.wait(20) for one in running]
    assert ended == [0, 0]


@pytest.mark.parametrize(
    "name, words",
    [
        ("video_rx_soapy", "--driver diffsemsim --antenna RX2"),
        ("video_rx_usrp", "--args type=soapy,driver=diffsemsim"),
    ],
)
def test_moving_pictures_cross_radios(tmp_path, name, words):
    """The file grows while they run, and can be read though the receiver is stopped."""
    pytest.importorskip("av")
    from gr_diffsem.base import video_files

    wide, out = picture_files.bundled(160, 1).popitem()[1], tmp_path / "out"
    writer = video_files.Writer(tmp_path / "clip.mp4", (96, 128), 10)
    for t in range(24):
        writer.add(np.ascontiguousarray(wide[t % 8 : t % 8 + 96, 5 : 5 + 128]))
    writer.close()

    def enough():
        return any(path.stat().st_size > 2500 for path in out.glob("*.mp4"))

    receiver = [name, *words.split(), "--folder", str(out), "--scheme", "linear"]
    both_run(tmp_path, (receiver, ["video_tx_hackrf", "--clip", str(tmp_path / "clip.mp4")]), enough)
    (path,) = out.glob("*.mp4")
    got, truth = video_files.Video(path).first(None), video_files.Video(tmp_path / "clip.mp4").first(None)
    assert len(got) >= 8
    best = [max(picture_metrics.psnr(a, b) for b in truth) for a in got[-8:]]
    assert np.median(best) > 22
    assert json.loads(path.with_suffix(".json").read_text())["snr_db"] == pytest.approx(15, abs=1.5)


@pytest.mark.parametrize(
    "words, remedy",
    [
        ("--from soapy:driver=nothing --freq 1e9", "SoapySDRUtil --find"),
        ("--from uhd:type=b200 --freq 1e9", "uhd_find_devices"),
        ("--from soapy:driver=diffsemsim --freq 1e9 --rate 1e3", "--rate 1000: the radio cannot"),
        ("--from uhd:type=soapy,driver=diffsemsim --freq 1e9 --rate 1e3", "--rate 1000: the radio cannot"),
        ("--from soapy:driver=diffsemsim --freq 1e9 --gain 200", "--gain 200: the radio has 0 to 102 dB"),
        ("--from uhd:type=soapy,driver=diffsemsim --freq 9e9", "--freq 9e+09: the radio would take 6e+09"),
        ("--from soapy:driver=diffsemsim --freq 9e9", "--freq 9e+09: the radio has"),
        ("--from soapy:driver=diffsemsim --freq 1e9 --antenna X", "--antenna X: the radio has RX2, TX/RX"),
        ("--from soapy:driver=diffsemsim", "needs --freq"),
    ],
)
def test_what_a_radio_cannot_is_one_line(tmp_path, words, remedy):
    line = command("receive", *words.split(), "--out", tmp_path)
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and remedy in done.stderr
    assert done.stderr.startswith("gr-diffsem: ") and done.stderr.count("\n") == 1

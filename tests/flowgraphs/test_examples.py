# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example compiles with grcc, runs without a screen, and puts out what it should.

Set GR_DIFFSEM_EXAMPLE_PICTURES to a folder to keep a picture of each.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data

pytest.importorskip("gnuradio.diffsem")
pytest.importorskip("PyQt5")

pytestmark = pytest.mark.timing  # they run in real time
ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SETTLING = 1  #: samples by which the receiver of ofdm_grid begins early
RUNNER = Path(__file__).with_name("run_example.py")


def environment(**more):
    """Without a screen, with our blocks."""
    env = dict(os.environ, **more, QT_QPA_PLATFORM="offscreen", PYTHONPATH=str(ROOT / "python"))
    env["GRC_BLOCKS_PATH"] = os.pathsep.join([str(ROOT / "grc"), env.get("GRC_BLOCKS_PATH", "")])
    env["XDG_CONFIG_HOME"] = env.get("XDG_CONFIG_HOME", "/tmp")
    return env


def compile_example(name, folder):
    """grcc through this interpreter (its own shebang may be another's); the script's path."""
    grcc = "import sys; from gnuradio.grc.compiler import main; sys.exit(main())"
    command = [sys.executable, "-c", grcc, "-o", str(folder), str(EXAMPLES / f"{name}.grc")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=100)
    script = folder / f"{name}.py"
    assert done.returncode == 0 and script.exists(), done.stdout + done.stderr
    return script


def run_example(name, folder, steps, seconds=100, **plan_too):
    """Compile, run, and return what each step read; see run_example.py for the plan."""
    script = compile_example(name, folder)
    pictures = os.environ.get("GR_DIFFSEM_EXAMPLE_PICTURES")
    if pictures:
        Path(pictures).mkdir(parents=True, exist_ok=True)
        steps[-1]["grab"] = str(Path(pictures) / f"{name}.png")
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"steps": steps, **plan_too}))
    command = [sys.executable, str(RUNNER), str(script), str(plan)]
    env = environment(FAKE_USRP_FILE=str(folder / "sent.cf32"))
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=seconds)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(lines[-1][7:])


def test_onnx_classifier_names_what_is_sent(tmp_path):
    read = {"scores": "list(tb.probe.level())"}
    sent = (0, 1, 2, 4)  # 16-QAM and QPSK are now and then mistaken for each other
    steps = [{"set": {"sent": i, "snr_db": 22.0}, "seconds": 3, "read": read} for i in sent]
    got = run_example("onnx_classifier", tmp_path, steps)
    winners = [step["scores"].index(max(step["scores"])) for step in got]
    assert winners == list(sent)


def test_digits_are_the_ones_asked_for(tmp_path):
    """Pictures follow the slider, says a classifier of their own; `probe` holds the last one drawn, which is shown."""
    sys.path.insert(0, str(ROOT / "tests" / "blocks"))
    from digit_judge import judge

    read = {"picture": "list(tb.probe.level())", "shown": "tb.view.latest[0][0].shape"}
    asked = (3, 8, 1)
    later = "tb.pictures.counts()['in'] > {}"
    steps = [{"set": {"digit": d}, "seconds": 25, "until": later.format(36 * (i + 1))} for i, d in enumerate(asked)]
    got = run_example("digits", tmp_path, [{**step, "read": read} for step in steps])
    assert [int(judge(step["picture"])[0]) for step in got] == list(asked)
    assert got[-1]["shown"] == [28, 28, 3]


def test_draws_differ_by_what_the_posterior_leaves(tmp_path):
    """Their spread is the stated variance of the posterior, below that of the noise; the band of two deviations that is
    shown holds what was sent (95 % of a Gaussian, less for draws of few), and its middle is nearer to it than what was
    received."""
    read = {
        "spread": "float(np.var(np.reshape(tb.probe.level(), (16, 64)), 0, ddof=1).mean())",
        "stated": "float(np.mean(tb.variance.level()))",
    }
    lines = ("sent", "received", "mean", "low", "high")
    shown = {name: f"taken['{name}'].tolist()" for name in lines}
    take = {name: ["band", 10, port, "float32"] for port, name in enumerate(lines)}
    later = "min(tb.probe.nitems_read(0), tb.variance.nitems_read(0)) > {}"
    # What waits in the buffers still has the other noise, and is refuted: its stated variance is that of the noise. So
    # the middle of some items counts.
    steps = [
        {"set": {"noise_var": 2.0}, "seconds": 90, "until": later.format(6), "read": read},
        {"set": {"noise_var": 0.3}, "seconds": 60, "until": later.format(40), "read": {}},
        *({"seconds": 0.7, "read": {**read, **shown}} for _ in range(7)),
    ]
    first, _, *last = run_example("draws", tmp_path, steps, seconds=200, take=take)
    both = (first, sorted(last, key=lambda step: step["stated"])[3])
    for got, noise_var in zip(both, (2.0, 0.3), strict=True):
        assert 0.4 < got["spread"] / got["stated"] < 2.5  # one item of 16 draws
        assert 0 < got["stated"] < noise_var
    sent, received, mean, low, high = (np.array(both[-1][name]) for name in lines)
    assert sent.size == 640
    assert np.mean((low <= sent) & (sent <= high)) > 0.85
    assert np.mean((mean - sent) ** 2) < 0.5 * np.mean((received - sent) ** 2)


def pictures_shown(panels):
    """Steps that read what an image_view shows, one for each of ten items or so."""
    read = {"shown": "{k: v[0][:, :, 0].tolist() for k, v in tb.view.latest.items()}"}
    return [{"seconds": 20, "until": f"len(tb.view.latest) == {panels}", "read": read}] + [
        {"seconds": 0.6, "read": read} for _ in range(12)
    ]


def shown_errors(got, first, *others):
    """Squared error of panels against the first one, in pixels: the median of the items, for panels that are read while
    they change are of two."""
    shown = [{k: np.array(v, float) for k, v in step["shown"].items()} for step in got]
    return [np.median([np.mean((item[k] - item[first]) ** 2) for item in shown]) for k in others]


def test_digits_are_sent_as_few_numbers(tmp_path):
    """The digit that was asked for, by an independent classifier (tests/data/make_digit_classifier.py); a person sees
    that the prior knows more of it than what was received says."""
    sys.path.insert(0, str(ROOT / "tests" / "blocks"))
    from digit_judge import judge

    read = {name: f"list(tb.probe_{name}.level())" for name in ("drawn", "inferred")}
    asked = (1, 8, 3)  # few pictures are seen of the last; a one that is a little aside differs by all of it
    later = "tb.probe_inferred.nitems_read(0) > {}"
    steps = [
        {"set": {"digit": d, "told": True}, "seconds": 30, "until": later.format(24 * (i + 1)), "read": read}
        for i, d in enumerate(asked)
    ]
    got = run_example("digits_latent", tmp_path, [*steps, *pictures_shown(3)])
    for name in read:
        assert [int(judge(step[name])[0]) for step in got[:3]] == list(asked)
    received, inferred = shown_errors(got[4:], "0", "1", "2")
    assert 0 < inferred < received


def test_a_picture_is_inferred_from_what_a_network_says_of_it(tmp_path):
    """What was sent less what was inferred is below half of a digit's unit power, and all four stand side by side."""
    read = {"sent": "[float(v) for v in tb.probe_drawn.level()]", "miss": "[float(v) for v in tb.probe_miss.level()]"}
    until = "any(tb.probe_miss.level())"
    got = run_example("encoded_digits", tmp_path, [{"seconds": 40, "until": until, "read": read}, *pictures_shown(4)])
    assert np.std(got[0]["sent"]) > 0.5
    assert 0 < np.mean(np.square(got[0]["miss"])) < 0.5
    assert np.shape(got[-1]["shown"]["1"]) == (8, 16)
    alone, inferred = shown_errors(got[1:], "0", "2", "3")
    assert 0 < inferred < 0.6 * alone


def test_the_channel_is_known_better_than_by_lines_between_pilots(tmp_path, monkeypatch):
    """LTE's pilots, 25 dB, moving: QPSK lies closer to its places under a prior of the channel's own statistics."""
    sys.path.insert(0, str(ROOT / "tests" / "blocks"))
    import grid

    # The four paths of the flowgraph; tiles that are quick to compute. It takes the place of any package of that name.
    delays, powers = np.array([0, 1.3, 2.6, 4.1]), np.square([0.75, 0.5, 0.36, 0.24])
    steering = np.exp(-2j * np.pi * np.outer(np.arange(12), delays + SETTLING) / 128)
    prior = np.kron(grid.time_covariance(8), (steering * powers) @ steering.conj().T) + 1e-3 * np.eye(96)
    grid.package(tmp_path / "ofdm_grid", (8, 12), gain="measured", prior=prior)
    monkeypatch.setenv("DIFFSEM_MODELS", str(tmp_path))
    error = "float(np.median((np.abs(taken['{0}'].real) - 0.5 ** 0.5) ** 2))"
    read = {name: error.format(name) for name in ("ours", "ls")}
    read["symbols"] = "len(taken['ours'])"
    take = {"ours": ["upper_ours", 20000], "ls": ["upper_ls", 20000]}
    got = run_example("ofdm_grid", tmp_path, [{"seconds": 8, "read": read}], take=take)[-1]
    assert got["symbols"] > 300 * 36
    assert got["ours"] < 0.8 * got["ls"]


def test_gr_digitals_loopback_with_the_receiver_swapped(tmp_path):
    """One stream, both receivers; test_ofdm_rx.py compares them packet by packet."""
    read = {name: f"int(tb.sink_{name}.nitems_read(0)) // 480" for name in ("stock", "ours")}
    until = "min(tb.sink_stock.nitems_read(0), tb.sink_ours.nitems_read(0)) > 480 * 150"
    got = run_example("ofdm_loopback", tmp_path, [{"set": {"snr_db": 35}, "seconds": 40, "until": until, "read": read}])
    assert got[-1]["ours"] > 20 and got[-1]["ours"] > 0.9 * got[-1]["stock"]


def test_swapped_receiver_decodes_more(tmp_path):
    """It starts where the difference shows, and goes on when one receiver is far ahead of the other."""
    read = {
        "stock": "tb.count_stock.nitems_written(0) // tb.payload_bytes",
        "ours": "tb.count_ours.nitems_written(0) // tb.payload_bytes",
    }
    # A sink with both on it would hold ours back a buffer, 157 packets, ahead of stock.
    ahead = "tb.count_ours.nitems_written(0) - tb.count_stock.nitems_written(0) > 300 * tb.payload_bytes"
    got = run_example("ofdm_rx_swap", tmp_path, [{"seconds": 40, "until": ahead, "read": read}])[-1]
    assert got["ours"] > 300 and got["ours"] > 2 * got["stock"], got


def test_wifi_symbols_lie_closer_with_the_prior(tmp_path):
    """Less error on simulated packets (QPSK, 18 dB); at most 1.8 dB can be had: there are two LTFs."""
    error = "float(np.median((np.abs(taken['{0}'].real) - 0.5 ** 0.5) ** 2))"
    read = {name: error.format(name) for name in ("ours", "ls")}
    read["symbols"] = "len(taken['ours'])"
    take = {"ours": ["serial_ours", 48000], "ls": ["serial_ls", 48000]}
    got = run_example("wifi_capture", tmp_path, [{"seconds": 8, "read": read}], take=take)[-1]
    assert got["symbols"] >= 8 * 48 * 20
    assert got["ours"] < 0.8 * got["ls"]


def test_usrp_receiver_hears_the_transmitter(tmp_path):
    """ofdm_tx writes 100 packets; usrp_rx decodes them over multipath, a recording for a radio."""
    script = compile_example("ofdm_tx", tmp_path)
    command = [sys.executable, str(script), "-o", str(tmp_path / "sent.cf32"), "-n", "100"]
    subprocess.run(command, env=environment(), check=True, timeout=60, stdin=subprocess.DEVNULL)
    samples = (tmp_path / "sent.cf32").stat().st_size // 8
    assert samples == 100 * (2 + 1 + 18) * 80
    read = {"good": "tb.count.nitems_written(0) // tb.payload_bytes"}
    plan = {"patch": str(RUNNER.with_name("fake_usrp.py"))}
    got = run_example("usrp_rx", tmp_path, [{"seconds": 8, "read": read}], **plan)[-1]
    assert got["good"] >= 20


PSNR = "{k: float(tb.view.caption(k, *v).split('dB PSNR')[0].split()[-1]) for k, v in tb.view.latest.items()}"


def test_photo_loopback_shows_four_receivers(tmp_path):
    """Both networks and the learned code beat `linear`; without its prior the third panel is `linear`; the SNR slider
    is the SNR. What the learned code sent is denoised by the scheme that is chosen."""
    read = {"psnr": PSNR, "snr": "tb.view.latest[0][1]['snr_db']", "lost": "tb.lose.lost"}
    known = {**read, "evaluations": "tb.view.latest[2][1]['evaluations']"}
    said = "[tb.view.latest.get(k, (0, {}))[1] for k in range(3)]"
    every = said.replace("range(3)", "range(4)")
    whole = f"all(x.get('frames_lost') == 0 for x in {every}) and tb.linear.counts()['out'] > 2"
    same = f"len({{x['snr_db'] for x in {said}}}) == 1 and tb.lose.lost and {said}[0]['snr_db'] < 6"
    chosen = f"{every}[3].get('scheme') == 'latent_dnsc' and {every}[0]['snr_db'] > 9 and {every}[3]['snr_db'] > 9"
    last = {"psnr": PSNR, "scheme": "tb.view.latest[3][1]['scheme']"}
    off = f"{same} and {said}[2]['evaluations'] == 0"
    steps = [
        {"set": {"snr_db": 12.0, "loss": 0.0}, "seconds": 40, "until": whole, "read": read},
        {"set": {"snr_db": 4.0, "loss": 0.3, "prior": False}, "seconds": 40, "until": off, "read": known},
        {"set": {"snr_db": 12.0, "loss": 0.0, "denoiser": "latent_dnsc"}, "seconds": 40, "until": chosen, "read": last},
    ]
    first, second, third = run_example("photo_loopback", tmp_path, steps)
    assert third["scheme"] == "latent_dnsc" and third["psnr"]["3"] > third["psnr"]["0"]
    linear, mmse, posterior, jscc = (first["psnr"][str(k)] for k in range(4))
    assert linear > 22 and mmse > linear + 0.3 and posterior > linear and first["lost"] == 0
    assert jscc > linear  # one picture at 12 dB, where it need not be ahead of photo_mmse: bench/results.md
    assert second["evaluations"] == 0 and second["psnr"]["2"] == second["psnr"]["0"] < linear
    assert second["lost"] >= 1 and second["snr"] < first["snr"] - 5


def test_photographs_cross_zeromq(tmp_path):
    """photo_tx_zmq in one process, photo_rx_zmq in another; the pictures lie in a folder."""
    scripts = [compile_example(name, tmp_path) for name in ("photo_tx_zmq", "photo_rx_zmq")]
    address = f"ipc://{tmp_path}/air"
    sender = subprocess.Popen(
        [sys.executable, str(scripts[0]), "-a", address], env=environment(), stdin=subprocess.DEVNULL
    )
    try:
        text = scripts[1].read_text().replace("tcp://127.0.0.1:5555", address)
        scripts[1].write_text(text.replace("'received'", repr(str(tmp_path / "received"))))
        plan = tmp_path / "plan.json"
        read = {"counts": "tb.sink.counts()", "said": "tb.sink.last[1]"}
        step = {"set": {"snr_db": 15.0}, "seconds": 40, "until": "tb.sink.counts()['out'] > 1", "read": read}
        plan.write_text(json.dumps({"steps": [step]}))
        command = [sys.executable, str(RUNNER), str(scripts[1]), str(plan)]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=100)
    finally:
        sender.terminate()
        sender.wait(10)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stdout[-2000:] + done.stderr[-4000:]
    got = json.loads(lines[-1][7:])[-1]
    assert got["counts"]["out"] >= 1 and got["said"]["scheme"] == "photo_mmse" and abs(got["said"]["snr_db"] - 15) < 1.5
    assert len(list((tmp_path / "received").glob("*.png"))) >= 1


def moving_picture(folder):
    """A clip of 16 frames of a photograph that the camera pans over."""
    from gr_diffsem.base import video_files

    wide = np.asarray(skimage.data.astronaut())
    writer = video_files.Writer(folder / "clip.mp4", (240, 320), 10)
    for t in range(16):
        writer.add(wide[40 + t : 280 + t, 20 + 3 * t : 340 + 3 * t])
    writer.close()
    return folder / "clip.mp4"


def test_video_loopback_plays(tmp_path):
    """Frames come out at their pace, and say how they came."""
    pytest.importorskip("av")
    script = compile_example("video_loopback", tmp_path)
    clip = moving_picture(tmp_path)
    script.write_text(script.read_text().replace("/usr/share/doc/opencv-doc/examples/data/vtest.avi", str(clip)))
    read = {"decoder": "tb.decoder.counts()", "player": "tb.player.counts()", "said": "tb.view.latest[0][1]['scheme']"}
    until = "tb.player.counts()['out'] >= 12"
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"steps": [{"set": {"snr_db": 12.0}, "seconds": 60, "until": until, "read": read}]}))
    command = [sys.executable, str(RUNNER), str(script), str(plan)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=100)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stdout[-2000:] + done.stderr[-4000:]
    got = json.loads(lines[-1][7:])[-1]
    assert got["player"]["out"] >= 12 and got["decoder"]["out"] >= 2 and not got["decoder"]["failed"]
    assert got["said"] == "photo_mmse/int8"


def test_moving_pictures_cross_zeromq(tmp_path):
    """video_tx_zmq in one process, video_rx_zmq in another; the clip lies in a folder."""
    pytest.importorskip("av")
    scripts = [compile_example(name, tmp_path) for name in ("video_tx_zmq", "video_rx_zmq")]
    address, clip = f"ipc://{tmp_path}/air", moving_picture(tmp_path)
    command = [sys.executable, str(scripts[0]), "-a", address, "-c", str(clip)]
    sender = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL)
    try:
        text = scripts[1].read_text().replace("tcp://127.0.0.1:5555", address)
        scripts[1].write_text(text.replace("'received'", repr(str(tmp_path / "received"))))
        plan = tmp_path / "plan.json"
        step = {"set": {"snr_db": 15.0}, "seconds": 40, "until": "tb.sink.counts()['out'] > 8"}
        plan.write_text(json.dumps({"steps": [{**step, "read": {"counts": "tb.sink.counts()"}}]}))
        command = [sys.executable, str(RUNNER), str(scripts[1]), str(plan)]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=100)
    finally:
        sender.terminate()
        sender.wait(10)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stdout[-2000:] + done.stderr[-4000:]
    assert json.loads(lines[-1][7:])[-1]["counts"]["out"] > 8
    assert len(list((tmp_path / "received").glob("*.mp4"))) == 1


def test_mimo_joint_finds_more_symbols(tmp_path):
    """At 10 dB, 100 frames in order: fewer of their symbols are wrong than from the pilots alone."""
    found = "np.sign(taken['{0}'].real) + 1j * np.sign(taken['{0}'].imag)"
    wrong = f"int(np.sum(np.abs({found} - 2 ** 0.5 * tb.sent[1][:100].ravel()) > 0.1))"
    read = {name: wrong.format(name) for name in ("joint", "alone")}
    take = {name: [f"symbols_{name}", 100 * 144] for name in ("joint", "alone")}
    until = f"min(tb.symbols_joint.nitems_written(0), tb.symbols_alone.nitems_written(0)) >= {101 * 144}"
    step = {"set": {"snr_db": 10.0}, "seconds": 30, "until": until, "read": read}
    got = run_example("mimo_joint", tmp_path, [step], take=take)[-1]
    assert 0 < got["joint"] < 0.8 * got["alone"] < 0.2 * 100 * 128, got


def test_a_learned_code_is_wrong_as_often_as_evaluated(tmp_path):
    """Of 4,000 words, at 5 dB about 0.5 %, and at 0 dB more than a tenth; after the switch to the code for fading, with
    fading at 12 dB, less than with the code that was trained for noise at 0 dB."""
    read = {"rate": "tb.probe.level()"}
    later = "tb.share.nitems_read(0) > {}"
    settings = ({"ebn0_db": 5.0}, {"ebn0_db": 0.0}, {"ebn0_db": 12.0, "fading": 1, "code": "rayleigh"})
    steps = [
        {"set": said, "seconds": 20, "until": later.format(30000 * (i + 1)), "read": read}
        for i, said in enumerate(settings)
    ]
    clear, noisy, fading = (step["rate"] for step in run_example("e2e_autoencoder", tmp_path, steps))
    assert 0 < clear < 0.015 and 0.1 < noisy < 0.3 and fading < 0.03, (clear, noisy, fading)


def test_a_moving_dvbt_receiver_keeps_what_the_stock_one_loses(tmp_path):
    """One signal, TU6 at 50 Hz: stock beside ours, hard and soft. tests/blocks/test_dvbt.py counts what they miss."""
    read = {name: f"tb.count_{name}.right()" for name in ("stock", "ours", "soft")}
    read["superframes"] = "tb.reference_ours.losses()"
    until = "min(tb.count_ours.right(), tb.count_soft.right()) > 300"
    step = {"set": {"doppler": 50, "snr_db": 20}, "seconds": 60, "until": until, "read": read}
    got = run_example("dvbt_rx_mobile", tmp_path, [step])[-1]
    assert min(got["ours"], got["soft"]) > 300 and got["superframes"] == 0, got


def test_a_ride_through_a_city_becomes_a_map(tmp_path, monkeypatch, capsys):
    """Each second of the ride is a row with its place, and the map of them has less error than the samples' spread."""
    from gr_diffsem.apps import cli

    monkeypatch.setenv("WALK_FOLDER", str(tmp_path))
    step = {
        "set": {},
        "seconds": 60,
        "until": "tb.logger.counts()['rows'] >= 300",
        "read": {"rows": "tb.logger.counts()"},
    }
    got = run_example("city_walk", tmp_path, [step])[-1]["rows"]
    assert got["rows"] >= 300 and got["without_fix"] <= 2 and got["dropped"] == 0
    words = [
        "radiomap",
        tmp_path / "city_walk_log.csv",
        "--floor",
        "-97",
        "--resolution",
        "10",
        "--out",
        tmp_path / "map",
    ]
    assert cli.main([*map(str, words), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["samples"] >= 298 and 0 < said["censored"] < said["samples"]


def test_a_channel_draws_itself_as_wide_as_sums_of_sinusoids(tmp_path):
    """Both delay-Doppler spectra have their paths at delays 0 and 7, and nearly nothing beyond the largest Doppler."""
    read = {name: f"list(tb.{name}.level())" for name in ("probe", "probe_sinusoids")}
    later = "tb.probe.nitems_read(0) >= 60"
    got = run_example("channel_generator", tmp_path, [{"seconds": 60, "until": later, "read": read}])[0]
    for name in read:
        power = 10 ** (np.reshape(got[name], (12, 32)) / 10)
        doppler = np.abs(np.arange(32) - 16) / (128 * 32)  # cycles a sample
        inside = doppler <= 0.05 / 40 + 2 / (128 * 32)
        assert power[:, inside].sum() > 0.98 * power.sum(), name
        assert power[0].sum() > power[7].sum() > 5 * power[10].sum(), name


ARRIVED = {
    "ofdm_loopback": "tb.sink_ours.nitems_read(0) > 480 * 20",
    "photo_loopback": "len(tb.view.latest) >= 2",
    "dvbt_rx_mobile": "tb.packets_of_ours.nitems_read(0) > 400",
}


@pytest.mark.parametrize("name", ARRIVED)
def test_the_drawn_channel_stands_in_other_examples(tmp_path, monkeypatch, name):
    """Enabled, in the place of the fading model where there is one: what was sent still arrives."""
    import yaml

    graph = yaml.safe_load((EXAMPLES / f"{name}.grc").read_text())
    for block in graph["blocks"]:
        if block["name"] in ("drawn", "fading"):
            block["states"]["state"] = "enabled" if block["name"] == "drawn" else "disabled"
    (tmp_path / f"{name}.grc").write_text(yaml.safe_dump(graph))
    monkeypatch.setattr(sys.modules[__name__], "EXAMPLES", tmp_path)
    read = {"arrived": ARRIVED[name], "faults": "tb.drawn.counts()['faults']", "passed": "tb.drawn.nitems_written(0)"}
    steps = [{"set": {"snr_db": 30.0}, "seconds": 60, "until": ARRIVED[name], "read": read}]
    got = run_example(name, tmp_path, steps, seconds=120)[0]
    assert got["arrived"] and got["passed"] > 0 and got["faults"] == 0


def test_every_example_is_tested():
    """A new .grc needs a test above, or in test_semantic_radio.py, or in test_mimo_examples.py."""
    tested = {"onnx_classifier", "ofdm_rx_swap", "wifi_capture", "ofdm_tx", "usrp_rx"}
    tested |= {"channel_generator", "ofdm_grid", "ofdm_loopback", "dvbt_rx_mobile"}
    tested |= {"city_walk", "mimo_joint", "mimo_few_pilots", "digits", "digits_latent", "encoded_digits", "draws"}
    tested |= {"mimo_ofdm", "mimo_ofdm_tx_zmq", "mimo_ofdm_rx_zmq"}  # test_mimo_ofdm.py
    tested |= {"ris_chanest", "mimo_pilot_posterior", "lowres_chanest", "joint_detection", "e2e_autoencoder"}
    tested |= {"photo_tx_hackrf", "photo_rx_usrp", "photo_rx_soapy"}
    tested |= {"photo_loopback", "photo_tx_zmq", "photo_rx_zmq"}
    tested |= {"video_loopback", "video_tx_zmq", "video_rx_zmq"}
    tested |= {"video_tx_hackrf", "video_rx_usrp", "video_rx_soapy"}
    assert {path.stem for path in EXAMPLES.glob("*.grc")} == tested

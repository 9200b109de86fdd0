# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem eval video`: every method at the same channel uses, and what is lost is concealed."""

import argparse

import numpy as np
import pytest
from gr_diffsem.base.errors import UserError
from gr_diffsem.codec import frames
from gr_diffsem.eval import coded_video, video, video_trials, webp_link
from moving_pictures import clip

pytest.importorskip("av")


@pytest.fixture(scope="module")
def evaluation():
    clips = {"pan": (clip(12, 112, 144, pan=(1, 1)), 10.0)}
    return video_trials.Evaluation(clips, 1 / 8, [10.0, 60.0], "awgn", 0.0, 1, 1)


def test_the_report(evaluation):
    trials = evaluation.run(["video_linear", "frames_linear"], True)
    report = {name: video_trials.summary(evaluation, t) for name, t in trials.items()}
    uses = [r["channel_uses"] for r in report.values()]
    assert max(uses) - min(uses) < 0.01 * max(uses)
    ours, stills = report["video_linear"], report["frames_linear"]
    assert set(ours) >= {"psnr_db", "psnr_p5_db", "ms_ssim", "channel_uses", "below_20_db", "flicker"}
    over = video_trials.over(trials["video_linear"], trials["frames_linear"])
    (low, high), mean = over["interval_db"][0], over["psnr_db"][0]
    assert low <= mean <= high and mean == pytest.approx(ours["psnr_db"][0] - stills["psnr_db"][0])
    assert all(a > b + 2 for a, b in zip(ours["psnr_db"], stills["psnr_db"], strict=True))
    assert ours["frames_of_parts"]["pan"] == [8, 4]


def test_what_is_lost_is_the_last_frame_that_came(evaluation):
    truth = evaluation.clips["pan"][0]
    trials = video_trials.Trials()
    evaluation.score(trials, "video", "pan", 0, 0, [{t: truth[t] for t in range(4)}], whole=False)
    psnr = trials.psnr["pan"][0, 0]
    assert np.all(psnr[:4] == video_trials.MOST_DB) and np.all(psnr[4:] < 40)


def test_flicker_is_of_pixels_that_stand_still():
    truth = np.zeros((10, 8, 8, 3), np.uint8)
    truth[:, :4] = 20 * np.arange(10)[:, None, None, None]
    shown = truth.copy()
    shown[::2] += 10
    assert video_trials.flicker(truth, shown, 5) == pytest.approx(24, abs=2)
    assert np.isnan(video_trials.flicker(truth[:, :4], shown[:, :4], 5))


def test_walking_pace_is_the_same_for_every_method(evaluation):
    walk = video_trials.Evaluation(evaluation.clips, 1 / 8, [20.0], video_trials.WALK, 0.0, 1, 1)
    sent = walk.groups("pan")[0]
    came = [walk.through(sent, "pan", 20.0, 0) for _ in range(2)]
    assert [f.header for f in came[0]] == [f.header for f in came[1]]
    noise = [float(np.median(f.noise_var)) for f in came[0]]
    assert max(noise) / min(noise) > 1.01


@pytest.fixture(scope="module")
def group():
    return coded_video.Group(clip(8, 96, 128, pan=(1, 1)), 10.0)


def test_x264_fills_its_octets(group):
    small, large = group.best(900), group.best(6000)
    assert small.octets <= 900 and 3000 < large.octets <= 6000
    assert len(large.pictures) == 8 and large.referred[0]
    shown = group.shown(large, [True] * 8)
    assert sorted(shown) == list(range(8)) and shown[3].shape == (96, 128, 3)
    assert group.best(20) is None


def test_a_picture_that_others_refer_to_ends_a_group(group):
    coded = group.best(6000)
    last = max(i for i, referred in enumerate(coded.referred) if referred)
    there = [i != last for i in range(8)]
    assert set(group.shown(coded, there)) == {coded.frame[i] for i in range(last)}
    assert group.shown(coded, [False] * 8) == {}


@pytest.mark.parametrize("code", ["k7", "ldpc"])
def test_blocks_arrive_or_do_not(group, code):
    """Through good symbols all blocks, without the last radio frame not all, but pictures in front of those."""
    link = webp_link.Link(webp_link.Mode("qpsk", "1/2", "frame", code), 12000)
    file, borders = coded_video.stream(group.best(link.octets))
    sent = [frames.Received(f.header, f.symbols, np.full(f.symbols.size, 0.01, np.float32)) for f in link.encode(file)]
    every, some = webp_link.blocks_arrived([(link, link.soft(part), file) for part in (sent, sent[:-1])])
    assert every.all() and some[0] and not some.all()
    there = coded_video.there(link, borders, some)
    assert all(coded_video.there(link, borders, every)) and there[0] and not all(there)
    assert webp_link.arrived([(link, link.soft(sent), file)])[0]


def options(*words):
    parser = argparse.ArgumentParser()
    video.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    "words, says",
    [
        (["--channel", "fog"], "fog"),
        (["--methods", "h266"], "h266"),
        (["--group", "5"], "group: 5 frames"),
        (["--clips", "missing.mp4"], "missing.mp4: there is no such file"),
    ],
)
def test_what_cannot_be_evaluated(words, says, tmp_path):
    with pytest.raises(UserError, match=says):
        video.run(options("--clips", str(tmp_path), *words))


def test_the_command_on_a_file(tmp_path):
    from gr_diffsem.base import video_files

    writer = video_files.Writer(tmp_path / "a.mp4", (96, 128), 10)
    for frame in clip(9):
        writer.add(frame)
    writer.close()
    save = tmp_path / "saved"
    words = ["--clips", str(tmp_path), "--cbr", "1/6", "--snr", "10", "--methods", "video_linear", "--save", str(save)]
    report = video.run(options(*words))
    assert report["clips"] == 1 and report["snr_db"] == [10] and report["methods"]["video_linear"]["psnr_db"][0] > 20
    assert (save / "video_linear" / "10" / "a.mp4").stat().st_size > 500
    assert "video_linear" in video.table(report)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver of a stream of groups: what the frame before is worth, and what is made of groups that do not come."""

import numpy as np
import pytest
from gr_diffsem.base import picture_bands, picture_transform
from gr_diffsem.codec import video_codec, video_receiver, video_sender
from gr_diffsem.codec.video_plan import FIRST_BITS, Clip
from gr_diffsem.codec.video_receiver import VideoReceiver, between, innovation, missing
from moving_pictures import air, clip, psnr


@pytest.fixture(scope="module")
def still():
    """24 frames of a picture that stands still, but for a little thing that moves; [(Encoded, first)]."""
    frames = np.repeat(clip(1, pan=(0, 0)), 24, 0)
    for t, frame in enumerate(frames):
        frame[20:30, 5 + t : 15 + t] = (200, 40, 40)
    return frames, groups(frames)


def groups(frames, uses=1600):
    sender = video_sender.VideoSender(uses, 25.0, 8)
    return [encoded for frame in frames for encoded in sender.take(frame)] + sender.flush()


def through(sent, snr_db, receiver, lost=(), share=0.0):
    """{first: Shown} of groups behind white noise, without those `lost`; share of symbols lost of each."""
    out = {}
    for n, encoded in enumerate(sent):
        plan, symbols, noise = air(encoded, snr_db, n)
        gone = np.random.default_rng(n).random(noise.size) < share
        if n not in lost:
            out[plan.clip.first] = (receiver or VideoReceiver()).take(plan, symbols, np.where(gone, np.inf, noise))
    return out


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_what_stands_still_is_known_better_with_every_group(still, share):
    frames, sent = still
    with_it, without = (through(sent, 0, receiver, share=share) for receiver in (VideoReceiver(), None))
    gain = [psnr(with_it[n].frames, frames[n : n + 8]) - psnr(without[n].frames, frames[n : n + 8]) for n in (0, 8, 16)]
    assert gain[0] == 0 and gain[2] > gain[1] > 1


def test_another_scene_costs_nothing_though_nobody_says_so(still):
    other = clip(8, seed=9, pan=(0, 0))
    arrived = air(video_codec.encode(other, 8 * 1600, Clip(8, 8, 25.0)), 5)
    receiver = VideoReceiver()
    receiver.take(*air(still[1][0], 5))
    alone, behind = (r.take(*arrived).frames for r in (VideoReceiver(), receiver))
    assert psnr(behind, other) > psnr(alone, other) - 0.1


def test_the_innovation_is_found():
    """Errors of 0.5, noise of 1 and an innovation of 4 in one zone and of 0 in the other."""
    rng = np.random.default_rng(5)
    zone = np.repeat([[0] * 40 + [1] * 40], 50, 0)
    new = np.where(zone, 4.0, 0.0)
    off = rng.standard_normal(zone.shape) * np.sqrt(1.5 + new)
    ones, told = np.ones(zone.shape, np.float32), rng.random(zone.shape) < 0.7
    found = innovation(off, np.where(told, ones, np.inf), 0.5 * ones, 10 * ones, told, zone)
    assert found[0, 79] == pytest.approx(4, rel=0.15) and found[0, 0] < 0.15
    none = innovation(off, np.inf * ones, 0.5 * ones, 10 * ones, np.zeros_like(told), zone)
    assert np.all(none >= 0) and np.all(np.isfinite(none))


def test_a_group_that_did_not_come_is_generated(still):
    frames = np.array([f * (1 - t / 150) for t, f in enumerate(clip(24, pan=(0, 0)))], np.uint8)  # it darkens
    shown = through(groups(frames), 20, VideoReceiver(), lost=(1,))
    assert len(shown[0].generated) == 0 and len(shown[16].generated) == 8
    held = np.repeat(shown[0].frames[-1:], 8, 0)
    assert psnr(shown[16].generated, frames[8:16]) > psnr(held, frames[8:16]) + 0.5


def test_nothing_is_generated_between_scenes_or_over_long_gaps():
    a, b = clip(1, seed=1)[0] / 255.0, clip(1, seed=9)[0] / 255.0
    assert between(a, a, 3).shape == (3, *a.shape) and len(between(a, 1 - a, 3)) == 0
    frames = clip(8, pan=(0, 0))
    receiver = VideoReceiver()
    for first in (0, 8 + video_receiver.MOST_GENERATED + 1, 0):
        shown = receiver.take(*air(video_codec.encode(frames, 12800, Clip(8, first)), 10))
        assert len(shown.generated) == 0
    assert b.shape == a.shape


def test_a_group_that_comes_again_is_answered_alike(still):
    receiver = VideoReceiver()
    arrived = [air(encoded, 5) for encoded in still[1]]
    receiver.take(*arrived[0])
    first, again = (receiver.take(*arrived[1]).frames for _ in range(2))
    assert np.array_equal(first, again)


def test_numbers_go_round():
    class last:
        number = (1 << FIRST_BITS) - 1

    assert missing(last, Clip(8, 0)) == 0 and missing(last, Clip(8, 3)) == 3
    assert missing(last, Clip(8, (1 << FIRST_BITS) - 8)) < 0 and missing(None, Clip(8, 5)) == 0


def test_a_network_is_asked_as_if_no_frame_were_before(still):
    seen = []

    def answer(t, mean, error, spectrum):
        seen.append(error.copy())
        return None if t % 2 else (mean, error)

    receiver = VideoReceiver()
    receiver.take(*air(still[1][0], 5), answer)
    asked = len(seen)
    receiver.take(*air(still[1][1], 5), answer)
    alone = video_receiver.VideoReceiver()
    alone.take(*air(still[1][1], 5), answer)
    assert asked == 8 and all(np.array_equal(a, b) for a, b in zip(seen[8:16], seen[16:], strict=True))


def test_frames_that_no_network_saw_change_as_their_neighbours_do(still):
    """Of 8 frames 2 are asked about: those outside change as the nearer one, those between along a line."""
    mean, error = np.zeros((8, 3, 2, 2)), np.full((8, 3, 2, 2), 2.0)
    said = [None] * 8
    said[2], said[6] = (mean[2] + 1, 0.5 * error[2]), (mean[6] + 3, error[6])
    found, left = video_receiver._changed(mean, error, said)
    assert np.allclose(found[:, 0, 0, 0], [1, 1, 1, 1.5, 2, 2.5, 3, 3])
    assert np.allclose(left[:, 0, 0, 0], [1, 1, 1, 1.25, 1.5, 1.75, 2, 2])

    def knows(t, *frame):
        truth = (still[0][t] / 255.0 - 0.5).astype(np.float32)
        return (picture_bands.SCALE * picture_transform.forward(truth), 0.01 * frame[1]) if t % 2 else None

    arrived = air(still[1][0], 5)
    plain, half = (VideoReceiver().take(*arrived, answer).frames for answer in (None, knows))
    gain = [psnr(half[t : t + 1], still[0][t : t + 1]) - psnr(plain[t : t + 1], still[0][t : t + 1]) for t in range(8)]
    assert min(gain[1::2]) > 3 and min(gain[::2]) > 1

# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of moving pictures: their transform, their bytes, how they are grouped, and what a receiver makes of them."""

import dataclasses

import numpy as np
import pytest
from gr_diffsem.base import picture_bands
from gr_diffsem.base.errors import UserError
from gr_diffsem.codec import content, frames, picture_codec, video_codec, video_groups, video_sender, zones
from gr_diffsem.codec.picture_plan import ContentError, Plan
from gr_diffsem.codec.video_plan import Clip
from gr_diffsem.codec.video_receiver import VideoReceiver
from moving_pictures import air, clip, psnr, wide_picture


@pytest.fixture(scope="module")
def panned():
    return clip(pan=(1, 2))


@pytest.fixture(scope="module")
def sent(panned):
    return video_codec.encode(panned, 16000, Clip(8, 40, 12.5, 3, True, video_groups.motion(panned)))


def test_the_transform_is_orthonormal_and_frames_come_back():
    x = np.random.default_rng(1).random((5, 6, 7, 3))
    c = video_codec.forward(x)
    assert c.shape == (15, 6, 7) and np.sum(c**2) == pytest.approx(np.sum(x**2))
    group = c.reshape(5, 3, 6, 7) * picture_bands.SCALE
    each = video_codec.to_frames(group, np.ones_like(group))
    assert np.allclose(video_codec.pictures(each[0], ()) - 0.5, x) and np.allclose(each[1], 1)
    assert np.allclose(video_codec.to_group(*each)[0], group)


def test_shifts_lose_nothing(panned):
    shifts = tuple((t, -3 * t) for t in range(8))
    assert np.array_equal(video_codec.aligned(video_codec.aligned(panned, shifts), shifts, back=True), panned)


def test_rows_of_planes():
    assert list(zones.plane_rows(1)) == [0, 1, 2]
    assert list(zones.plane_rows(8)[::3]) == [0, 3, 6, 6, 9, 9, 9, 9]


def test_the_octets_say_all_of_a_plan(sent):
    plan = Plan.from_bytes(sent.digital)
    assert plan.clip == sent.plan.clip and plan.clip.rate == 12.5 and plan.clip.shifts[-1] == (-7, -14)
    assert content.kind(sent.digital) == content.VIDEO
    assert np.array_equal(plan.order, sent.plan.order) and np.allclose(plan.gains, sent.plan.gains)
    assert np.mean(np.abs(sent.symbols) ** 2) == pytest.approx(1, abs=0.03)


def test_a_photograph_is_no_clip(sent):
    still = picture_codec.encode(wide_picture(96, 128), 6500)
    assert Plan.from_bytes(still.digital).clip is None and content.kind(still.digital) == content.PHOTOGRAPH


def test_broken_octets_end_in_one_sentence(sent):
    rng = np.random.default_rng(3)
    for _ in range(60):
        data = bytearray(sent.digital)
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(256)
        try:
            plan = Plan.from_bytes(bytes(data))
        except ContentError:
            continue
        assert plan.rows.size == 3 * (plan.clip.frames if plan.clip else 1)


def receive(plan, symbols, noise, answer=None):
    return VideoReceiver().take(plan, symbols, noise, answer).frames


def test_better_with_every_db_and_softer_with_every_loss(panned, sent):
    at = [psnr(receive(*air(sent, snr)), panned) for snr in (0, 5, 10, 15)]
    assert np.all(np.diff(at) > 0.5)
    plan, symbols, noise = air(sent, 10)
    lost = np.where(np.arange(noise.size) % 4 == 0, np.inf, noise)
    none = np.full(noise.size, np.inf)
    shown = [psnr(receive(plan, symbols, v), panned) for v in (lost, none)]
    assert at[2] > shown[0] > shown[1] + 1 > 10


def test_a_group_beats_its_frames_at_the_same_channel_uses():
    panned = clip(8, 192, 256, (1, 2))
    uses = 6000  # fewer have no room for a photograph's side information
    group = video_codec.encode(panned, 8 * uses, Clip(8, shifts=video_groups.alignment(panned, uses)))
    shown = psnr(receive(*air(group, 10)), panned)
    single = picture_codec.linear(*air(picture_codec.encode(panned[0], uses), 10))[0]
    assert shown > psnr(single, panned[0]) + 2


def test_alignment_pays_where_the_camera_moves_and_is_left_out_where_not(panned):
    still = clip(pan=(0, 0))
    assert video_groups.alignment(still, 2000) == ()
    shifts = video_groups.alignment(panned, 2000)
    assert shifts == tuple((-t, -2 * t) for t in range(8))
    error = [psnr(receive(*air(video_codec.encode(panned, 14000, Clip(8, shifts=s)), 10)), panned)
             for s in (shifts, ())]  # fmt: skip
    assert error[0] > error[1] + 1


def test_an_equivalent_observation_says_the_same():
    rng = np.random.default_rng(4)
    spectrum = rng.random((3, 5, 6)) + 0.1
    error = spectrum * rng.random((3, 5, 6))
    error[0, 0] = spectrum[0, 0]
    mean = np.where(error < spectrum, rng.standard_normal((3, 5, 6)), 0)
    found = picture_bands.proximal(0.0, spectrum, *video_codec.equivalent(mean, error, spectrum))
    assert np.allclose(found[0], mean, atol=1e-5) and np.allclose(found[1], error, atol=1e-5)


def test_an_answer_is_weighed_against_what_arrived(panned, sent):
    """A network that says nothing of use costs little where much arrived, and one that knows the truth gains."""
    arrived = air(sent, 15)
    linear = psnr(receive(*arrived), panned)
    truth = iter(video_codec.aligned(panned, sent.plan.clip.shifts) / 255.0 - 0.5)

    def knows(_, mean, error, spectrum):
        from gr_diffsem.base import picture_transform

        return picture_transform.forward(picture_bands.SCALE * next(truth)), 0.01 * error

    def lies(_, mean, error, spectrum):
        return np.zeros_like(mean), 30 * spectrum

    assert psnr(receive(*arrived, knows), panned) > linear + 3
    assert psnr(receive(*arrived, lies), panned) > linear - 6


def test_a_scene_cut_closes_a_group():
    a, b = clip(6, seed=1), clip(7, seed=9)
    groups, got = video_groups.Groups(8, 1600), []
    for frame in [*a, *b]:
        got += groups.take(frame)
    got += groups.flush()
    assert [(len(f), cut) for f, cut in got] == [(6, False), (7, True)]
    assert np.array_equal(np.concatenate([f for f, _ in got]), np.concatenate([a, b]))


def test_the_content_chooses_how_long_groups_are():
    still = np.repeat(clip(1), 16, 0)
    assert video_groups.best_length(still, 1600) == 16
    noise = np.random.default_rng(1).integers(0, 256, (16, 96, 128, 3), np.uint8)
    assert video_groups.best_length(noise, 1600) in video_groups.LENGTHS
    with pytest.raises(UserError, match="group: 5 frames; give 4, 8, 16, or 0"):
        video_groups.check_length(5)


def test_a_sender_spends_what_it_is_told_in_the_mean():
    """A cut leaves a group of two frames, which needs more than its share; the groups behind it pay."""
    pictures = [*clip(2, seed=1), *clip(22, seed=9)]
    sender = video_sender.VideoSender(2000, 10.0, 8)
    made = [e for f in pictures for e in sender.take(f)] + sender.flush()
    assert [e.plan.clip.frames for e in made] == [2, 8, 8, 6]
    assert [e.plan.clip.first for e in made] == [0, 2, 10, 18]
    spent = [sum(f.symbols.size + frames.HEADER_USES for f in frames.cut(e.digital, e.symbols, 0)) for e in made]
    assert spent[0] > 2 * 2000 and abs(sum(spent) - 24 * 2000) < 200
    with pytest.raises(ContentError, match="begin another stream"):
        sender.take(np.zeros((64, 64, 3), np.uint8))


@pytest.mark.parametrize(
    "frames_, clip_, says",
    [
        (np.zeros((4, 16, 16), np.uint8), Clip(4), "must be uint8"),
        (np.zeros((4, 16, 16, 3), np.uint8), Clip(5), "the clip says 5"),
        (np.zeros((16, 2048, 2048, 3), np.uint8), Clip(16), "send it smaller"),
    ],
)
def test_what_cannot_be_sent(frames_, clip_, says):
    with pytest.raises(ContentError, match=says):
        video_codec.encode(frames_, 5000, clip_)


def test_what_a_clip_may_say():
    for wrong in ({"frames": 0}, {"frames": 17}, {"rate": 0.0}, {"shifts": ((0, 0),)}):
        with pytest.raises(ValueError, match="give|has|must"):
            dataclasses.replace(Clip(4), **wrong)

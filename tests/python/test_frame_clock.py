# SPDX-License-Identifier: GPL-3.0-or-later
"""What is missing of a stream is counted: frames by their numbers, samples by where the frames lie."""

import numpy as np
import pytest
from gr_diffsem.codec import frame_header, frame_layout, frames
from gr_diffsem.codec.frame_clock import FrameClock

FORM = frame_layout.Layout()


def stream(total=(873, 640, 120), gap=200, passes=1):
    """(header, first sample) of all frames of pictures that follow each other."""
    at, out = 4000, []
    for number, n in enumerate(total):
        for _ in range(passes):
            for index, symbols in enumerate(frames.lengths(n)):
                out.append((frame_header.Header(number, n, index, 9), at))
                at += (2 + FORM.header_symbols + symbols) * FORM.symbol + gap
    return out


def counted(heard):
    clock = FrameClock(FORM)
    for header, start in heard:
        clock.take(header, start)
    return clock.counts()


@pytest.mark.parametrize("gap", [0, 200, 5000])
@pytest.mark.parametrize("passes", [1, 3])
def test_nothing_is_missing(gap, passes):
    rng = np.random.default_rng(1)
    heard = [(h, s + int(rng.integers(-3, 4))) for h, s in stream(gap=gap, passes=passes)]
    assert counted(heard) == {"missed": 0, "gaps": 0, "samples_lost": 0}


def test_frames_that_are_missing_are_counted():
    heard = stream()
    assert counted(heard[:4] + heard[7:30])["missed"] == 3
    assert counted([])["missed"] == counted(heard[:1])["missed"] == 0


@pytest.mark.parametrize(("lost", "every"), [(363, 7001), (40, 20_011), (5000, 40_009)])
def test_samples_that_are_lost_are_counted(lost, every):
    """So many of each so many: a frame that lies across such a place is gone too."""
    heard, gone = [], 0
    for header, start in stream((873, 873)):
        end = start + 54 * FORM.symbol
        cuts = range(every, end + 1, every)
        gone = sum(lost for c in cuts if c <= start)
        if not any(start - lost < c < end for c in cuts):
            heard.append((header, start - gone))
    before = next(sum(lost for c in range(every, s + 1, every)) for h, s in stream((873, 873)) if h == heard[0][0])
    said = counted(heard)
    gone -= before
    assert 0 < said["gaps"] <= gone // lost and said["missed"] > 0
    if every > 2 * 54 * FORM.symbol:  # some frames in a row are whole
        assert said["samples_lost"] == pytest.approx(gone, abs=20)
    else:
        assert 0.15 * gone < said["samples_lost"] <= gone


@pytest.mark.parametrize("total", [100, 123, 169, 307])
@pytest.mark.parametrize("phase", range(0, 7001, 1000))
def test_passes_of_which_few_frames_are_whole_are_not_overcounted(total, phase):
    """Frames of a later pass may follow those of one by their numbers: their distance is nobody's usual one."""
    gone, heard = 0, []
    for header, start in stream((total,), passes=6):
        stop = start + (2 + FORM.header_symbols + frames.lengths(total)[header.index]) * FORM.symbol
        cuts = range(phase, stop, 7001)
        gone = 363 * sum(c <= start for c in cuts)
        if not any(start < c for c in cuts):
            heard.append((header, start - gone))
    assert 0 <= counted(heard)["samples_lost"] <= gone


def test_pauses_of_a_sender_are_no_loss():
    heard = [(h, s + 10_000 * (i > 7)) for i, (h, s) in enumerate(stream())]
    assert counted(heard)["gaps"] == 0


@pytest.mark.parametrize("gap", [0, 200, 5000])
@pytest.mark.parametrize(("other", "total"), [(1, 873)])
def test_two_senders_have_no_gaps(gap, other, total):
    """Frames of both, at their own pace; those that begin inside another one are not heard."""
    theirs = [(frame_header.Header(h.id + other, total, h.index, 9), s + 9999) for h, s in stream((total,), gap=333)]
    heard, end = [], 0
    for header, start in sorted([*stream((873,), gap=gap), *theirs], key=lambda pair: pair[1]):
        if start >= end:
            heard.append((header, start))
            end = start + (2 + FORM.header_symbols + frames.lengths(header.total)[header.index]) * FORM.symbol
    assert len({h.total for h, _ in heard} | {h.id for h, _ in heard}) >= 2
    assert counted(heard)["gaps"] == 0


def test_another_sender_says_nothing():
    other = [(frame_header.Header(11, 300, i, 4), 7777 * i + 5) for i in range(6)]
    mixed = [pair for both in zip(stream()[:6], other, strict=True) for pair in both]
    assert counted(mixed) == {"missed": 0, "gaps": 0, "samples_lost": 0}
    twins = [(h, 2 * s + k * 4600) for h, s in stream((850,)) for k in (0, 1)]  # the same headers, frame by frame
    assert counted(twins) == {"missed": 0, "gaps": 0, "samples_lost": 0}


def interleaved(rng):
    """Two senders, often with the same headers, at paces of their own; one frame of ten fails, and those that begin
    within another, or both."""
    count, sent, form = int(rng.integers(10, 80)), [], lambda: (int(rng.integers(16)), int(rng.integers(60, 1500)))
    same = form() if rng.random() < 0.4 else None
    for _ in range(2):
        ident, total = same or form()
        gap, at = int(rng.choice([0, 200, 333, 1000, 5000, 20_000])), int(rng.integers(40_000))
        for i in range(count):
            n = frames.lengths(total)
            sent.append((at, frame_header.Header(ident % 16, total, i % n.size, 9)))
            at += (2 + FORM.header_symbols + n[i % n.size]) * FORM.symbol + gap
            ident += i % n.size == n.size - 1 and same is None
    sent.sort(key=lambda pair: pair[0])
    heard, end, both = [], 0, rng.random() < 0.5
    for (start, header), (following, _) in zip(sent, [*sent[1:], (1 << 40, None)], strict=True):
        stop = start + (2 + FORM.header_symbols + frames.lengths(header.total)[header.index]) * FORM.symbol
        good = start >= end and not (both and following < stop)
        end = max(end, stop) if good or both else end
        if good and rng.random() > 0.1:
            heard.append((header, start + int(rng.integers(-3, 4))))
    return heard


def test_random_senders_between_each_other_have_few_gaps():
    """Nothing is lost. Where a sender begins as another ends, nobody can tell (26 of 200); 90 had gaps while each frame
    was taken for the next one of the frame before it, whoever had sent that."""
    rng = np.random.default_rng(2)
    false = sum(counted(interleaved(rng))["gaps"] > 0 for _ in range(200))
    assert false <= 32


def test_gaps_between_two_senders_are_counted():
    """Each third frame of one of them has lost 100 samples, and the other's lie between: 13 gaps."""
    theirs = [(frame_header.Header(9, 2000, h.index, 7), s + 4500) for h, s in stream((2000,), gap=5000)]
    ours = [(h, s - 100 * (i // 3)) for i, (h, s) in enumerate(stream((2000,), gap=5000))]
    said = counted(sorted([*ours, *theirs], key=lambda pair: pair[1]))
    assert (said["gaps"], said["missed"]) == (13, 0) and abs(said["samples_lost"] - 1300) < 20

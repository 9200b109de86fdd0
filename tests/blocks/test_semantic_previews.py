# SPDX-License-Identifier: GPL-3.0-or-later
"""semantic_decoder beside its main way: previews of a pass that goes on, and deadlines. Final pictures never depend on
either; nothing is lost uncounted."""

import threading
import time

import numpy as np
import pmt
import pytest
from gnuradio import diffsem, gr
from test_semantic_codec import COUNT, Sink, content, encoded, image_of, on_air, photograph, psnr

pytestmark = pytest.mark.timing

WAITING = 20  # seconds, at most


@pytest.fixture(scope="module")
def sent():
    return encoded([content(photograph(1), id=5)], COUNT, cbr=1 / 4)


class Link:
    """A running decoder and what it gave."""

    def __init__(self, **parameters):
        self.tb, self.decoder, self.sink = gr.top_block(), diffsem.semantic_decoder(**parameters), Sink()
        self.tb.msg_connect(self.decoder, "content", self.sink, "in")
        self.heard, self.held = 0, threading.Event()
        self.tb.start()

    def hear(self, *frames):
        self.heard += len(frames)
        for f in frames:
            self.decoder.to_basic_block()._post(pmt.intern("frames"), f)

    def until(self, **counts):
        """Wait for the decoder's counts to reach these."""
        end = time.monotonic() + WAITING
        while any(self.decoder.counts()[name] < n for name, n in counts.items()):
            assert time.monotonic() < end, self.decoder.counts()
            threading.Event().wait(0.01)

    def stop(self):
        """(contents, counts); what came out has reached the sink."""
        counts = self.decoder.counts()
        self.sink.wait(counts["out"] + counts["previews"])
        self.tb.stop()
        self.tb.wait()
        return [image_of(m) for m in self.sink.got], self.decoder.counts()


def renamed(frame, number):
    """The frame with another id."""
    return pmt.cons(pmt.dict_add(pmt.car(frame), pmt.intern("id"), pmt.from_long(number)), pmt.cdr(frame))


def filled(link, frames):
    """Frames one after another, the next when the preview of the one before is done, or held."""
    for f in frames:
        link.hear(f)
        link.until(**{"in": link.heard})
        end = time.monotonic() + WAITING
        while link.decoder._previews.unfinished_tasks and not link.held.is_set():
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_picture_fills_in_and_ends_as_without_previews(sent):
    air = [on_air(f) for f in sent]
    link = Link(preview=1e-3)
    filled(link, air)
    link.until(out=1)
    got, counts = link.stop()
    plain = Link()
    plain.hear(*air)
    plain.until(out=1)
    (alone,), _ = plain.stop()
    *partial, (final, said) = got
    assert counts["out"] == 1 and counts["previews"] == len(partial) >= 2
    assert "partial" not in said and said["frames_lost"] == 0
    np.testing.assert_array_equal(final, alone[0])
    known = [s["frames"] for _, s in partial]
    assert known == sorted(set(known)) and all(s["frames"] + s["frames_lost"] == COUNT for _, s in partial)
    assert all(s["partial"] is True and s["scheme"] == "linear" and s["id"] == 5 for _, s in partial)
    quality = [psnr(x, photograph(1)) for x, _ in got]
    assert quality == sorted(quality) and quality[0] > 20 and quality[-1] > quality[0] + 1


def test_later_passes_improve_the_same_picture(sent):
    """Half a pass, then whole ones: previews only where they show a frame that the last picture had not."""
    rng = np.random.default_rng(8)
    link = Link(preview=1e-6, patience=0.0)
    link.hear(*[on_air(f, 5.0, rng) for f in sent[3:]])
    link.until(out=1)
    first = link.decoder.counts()["previews"]
    filled(link, [on_air(f, 5.0, rng) for f in sent])
    link.until(out=2)
    second = link.decoder.counts()["previews"]
    filled(link, [on_air(f, 5.0, rng) for f in sent])
    link.until(out=3)
    got, counts = link.stop()
    assert counts["previews"] == second > first, "the second pass left nothing to show"
    finals = [psnr(x, photograph(1)) for x, said in got if not said.get("partial")]
    assert len(finals) == 3 and finals == sorted(finals)
    known = [said["frames"] for _, said in got if said.get("partial")][first:]
    assert min(known) > COUNT - 3, "combined with the first pass"


def test_previews_are_never_of_two_pictures(sent):
    """A sender that starts again in mid-picture, with another of the same id and size."""
    other = encoded([content(photograph(2), id=5)], COUNT, cbr=1 / 4)
    link = Link(preview=1e-3)
    filled(link, [on_air(f) for f in sent[:4] + other])
    link.until(out=2)
    got, _ = link.stop()
    errors = [sorted(psnr(x, photograph(k)) for k in (1, 2)) for x, _ in got]
    assert len(got) >= 3 and all(worse < 15 < 20 < better for worse, better in errors)


def test_no_preview_while_a_picture_is_inferred(sent):
    """The worker is held in its inference: previews are skipped and counted, the final picture waits for none."""
    link = Link(preview=1e-6, patience=0.0)
    held, go = threading.Event(), threading.Event()
    real = link.decoder._photograph

    def slow(p, estimator):
        if threading.current_thread() is link.decoder._threads[0]:
            held.set()
            assert go.wait(WAITING)
        return real(p, estimator)

    link.decoder._photograph = slow
    link.hear(*[on_air(f) for f in sent])
    assert held.wait(WAITING)
    shown = link.decoder.counts()["previews"]
    other = [renamed(on_air(f), 7) for f in sent]
    link.hear(*other[:4])
    link.until(**{"in": COUNT + 4, "skipped": 1})
    assert link.decoder.counts()["previews"] == shown
    go.set()
    link.until(out=1)
    _, counts = link.stop()
    assert counts["out"] == 2 and counts["failed"] == 0


def test_a_preview_that_is_overtaken_is_not_shown(sent):
    link = Link(preview=1e-6)
    go = threading.Event()
    real = link.decoder._photograph

    def slow(p, estimator):
        if threading.current_thread() is link.decoder._threads[1]:
            link.held.set()
            assert go.wait(WAITING)
        return real(p, estimator)

    link.decoder._photograph = slow
    filled(link, [on_air(f) for f in sent])
    assert link.held.is_set()
    link.until(out=1)  # while the preview is still at work
    go.set()
    got, counts = link.stop()
    assert [said.get("partial", False) for _, said in got] == [False] and counts["previews"] == 0


def test_an_image_sink_writes_no_preview(sent, tmp_path):
    sink = diffsem.image_sink(tmp_path)
    link = Link(preview=1e-3)
    link.tb.lock()
    link.tb.msg_connect(link.decoder, "content", sink, "content")
    link.tb.unlock()
    filled(link, [on_air(f) for f in sent])
    end = time.monotonic() + WAITING
    while not sink.counts()["out"] and time.monotonic() < end:
        time.sleep(0.01)
    got, counts = link.stop()
    assert len(list(tmp_path.glob("*.png"))) == 1 and sink.last[1]["frames"] == COUNT
    assert sink.counts() == {"in": len(got), "out": 1, "partial": counts["previews"], "dropped": 0}


def test_a_view_shows_previews_as_such():
    view = diffsem.image_view(["mine"])
    text = view.caption(0, photograph(1), {"snr_db": 7.0, "frames": 2, "frames_lost": 4, "partial": True})
    assert "2 of 6 frames so far" in text


# Deadlines


def budget_of(seconds, overload):
    """EvaluationBudget with costs of its own."""
    from gnuradio.diffsem import core
    from gnuradio.diffsem.evaluation_budget import EvaluationBudget

    return EvaluationBudget(seconds, overload, core.CostModel(), core.CostModel())


@pytest.mark.parametrize("overload", ["fewer_steps", "bypass"])
def test_one_slow_picture_is_not_for_ever(overload):
    """An evaluation took ten seconds once: each sixteenth picture has one nevertheless, and that tells."""
    from gnuradio.diffsem.evaluation_budget import RETRY

    budget = budget_of(1.0, overload)
    budget.learn(1000, 1, 10.0, 10.0)
    had = [budget.evaluations(2, 1000, time.monotonic()) for _ in range(2 * RETRY)]
    assert had == [0] * (RETRY - 1) + [1] + [2] * RETRY  # nothing was learnt here, so nothing is known against it
    budget.learn(1000, 1, 10.0, 10.0)
    assert budget.evaluations(2, 1000, time.monotonic()) == 0
    budget.evaluation.clear()
    budget.learn(1000, 1, 0.1, 0.1)
    assert budget.evaluations(2, 1000, time.monotonic()) == 2
    late = [budget.evaluations(2, 1000, time.monotonic() - 5) for _ in range(2 * RETRY)]
    assert not any(late), "what is late already is not made later"


@pytest.mark.parametrize(
    ("overload", "affordable"), [("wait", [4, 4, 4, 4]), ("fewer_steps", [4, 2, 0, 0]), ("bypass", [4, 0, 0, 0])]
)
def test_evaluations_are_cut_to_the_time_that_is_left(overload, affordable):
    """One evaluation takes 0.1 s, the rest 0.05 s, at 1000 pixels; the deadline is 0.6 s after arrival."""
    budget = budget_of(0.6, overload)
    budget.learn(1000, 2, 0.25, 0.2)
    now = time.monotonic()
    waited = (0.1, 0.3, 0.5, 5.0)
    assert [budget.evaluations(4, 1000, now - w) for w in waited] == affordable
    assert budget.evaluations(4, 100, now - 0.5) == 4  # a tenth of the pixels, a tenth of the time


@pytest.mark.parametrize("overload", ["wait", "fewer_steps", "bypass"])
def test_a_picture_that_would_be_late(sent, overload):
    """The network's time is told to be too long for all its evaluations, then for any."""
    link = Link(scheme="photo_posterior", steps=3, deadline=1e4, overload=overload)
    budget = link.decoder._schemes.now.budget
    assert budget.evaluation.seconds() > 0 or overload == "wait", "tried out at construction"
    pixels = 120 * 160
    for seconds in (4.0, 100.0):
        for _ in range(32):  # as many as are reckoned with
            budget.learn(pixels, 1, seconds, seconds)
        link.hear(*[on_air(f) for f in sent])
        link.until(out=1 if seconds == 4.0 else 2)
    got, counts = link.stop()
    taken = [said["evaluations"] for _, said in got]
    why = [said.get("diffsem_bypassed") for _, said in got]
    assert taken == {"wait": [3, 3], "fewer_steps": [2, 0], "bypass": [0, 0]}[overload]
    assert why == {"wait": [None] * 2, "fewer_steps": [None, "deadline"], "bypass": ["deadline"] * 2}[overload]
    assert [said["scheme"] for _, said in got] == ["photo_posterior" if n else "linear" for n in taken]
    assert counts["bypassed"] == sum(w is not None for w in why) and counts["late"] == 0
    assert all(said["diffsem_planned"] == 3 and 0 < said["diffsem_age"] < 10 for _, said in got)
    plain = Link(scheme="linear")
    plain.hear(*[on_air(f) for f in sent])
    plain.until(out=1)
    (linear,), _ = plain.stop()
    for (image, _), reason in zip(got[:1], why, strict=False):
        assert np.array_equal(image, linear[0]) == (reason == "deadline")


def test_late_pictures_are_counted(sent):
    link = Link(deadline=1e-3)
    stats = Sink()
    link.tb.lock()
    link.tb.msg_connect(link.decoder, "stats", stats, "in")
    link.tb.unlock()
    link.hear(*[on_air(f) for f in sent])
    said = pmt.to_python(stats.wait(1)[-1])
    _, counts = link.stop()
    assert counts["late"] == 1 and counts["bypassed"] == 0
    assert said["scheme"] == "linear" and said["block"].startswith("semantic_decoder") and said["queue"] == 0
    assert said["deadline"] == 1e-6 and said["overload"] == "wait" and said["late"] == 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"preview": -1.0}, "preview is -1"),
        ({"deadline": -5.0}, "deadline is -5"),
        ({"deadline": float("inf")}, "deadline is inf"),
        ({"overload": "drop"}, "overload is 'drop': give wait, fewer_steps, bypass"),
    ],
)
def test_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        diffsem.semantic_decoder(**parameters)

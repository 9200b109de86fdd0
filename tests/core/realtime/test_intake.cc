/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * When samples entered, told from how many had at some moments; known answers, and a receiver in simulated time.
 */
#include "check.h"

#include <gnuradio/diffsem/core/realtime/intake.h>
#include <gnuradio/diffsem/core/realtime/realtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

using namespace gr::diffsem::core;

namespace {

void known_answers()
{
    Intake in;
    CHECK_EQUAL(in.time(0), 0.0); // nothing known
    in.see(100, 1.0, false);
    CHECK_EQUAL(in.time(5), 1.0);   // older than the first look
    CHECK_EQUAL(in.time(100), 1.0); // to come
    // Busy for a second: evenly.
    in.see(200, 2.0, true);
    CHECK_NEAR(in.time(100), 1.0, 1e-12);
    CHECK_NEAR(in.time(150), 1.5, 1e-12);
    // A wait of eight seconds, which a burst ends: that has just come.
    in.see(300, 10.0, false);
    CHECK_EQUAL(in.time(200), 10.0);
    CHECK_EQUAL(in.time(299), 10.0);
    CHECK_NEAR(in.time(150), 1.5, 1e-12);
    // Nothing comes for a while of work, then something.
    in.see(300, 11.0, true);
    in.see(300, 12.0, true);
    in.see(400, 13.0, true);
    CHECK_NEAR(in.time(350), 12.5, 1e-12);
    CHECK_EQUAL(in.time(299), 10.0);
    // Counted anew.
    in.see(10, 14.0, true);
    CHECK_EQUAL(in.time(5), 14.0);
    in.clear();
    CHECK_EQUAL(in.time(5), 0.0);
}

void bounded()
{
    Intake in(16);
    for (int k = 0; k <= 1000; k++)
        in.see(10.0 * k, 1e-3 * k, true);
    CHECK_NEAR(in.time(9990), 0.999, 1e-12);
    CHECK_NEAR(in.time(9900), 0.99, 1e-12);
    CHECK(in.time(0) > 0.9 && in.time(0) < 0.999); // no older than the oldest look
    // Looks that follow closely are kept as one, so that the others reach further back.
    Intake dense(64);
    for (int k = 0; k <= 100000; k++)
        dense.see(k, 1e-6 * k, true);
    CHECK_NEAR(dense.time(90000), 0.09, 5e-4);
    CHECK_BELOW(dense.time(0), 0.1 - 0.02);
}

/*!
 * gr-digital's receiver in simulated time: a demultiplexer hands over one frame, and waits for its answer; what comes meanwhile
 * stands in front of it, as much as there is room for, and then the source is held back, but makes up for it.
 */
struct Receiver {
    double deadline = 0.02, each = 1e-4,
           rest = 3e-4; // seconds: of an evaluation, and for a frame besides
    double frame = 2000, rate = 2e6, room = 32000, chunk = 1; // samples
    int full = 30;
};

struct Outcome {
    Durations ages;         // of frames, from their last sample's entering
    double behind = 0;      // of the source, against its own pace, in seconds at the end
    double evaluations = 0; // mean in the second half
    double refused = 0;     // share in the second half
};

Outcome run(const Receiver& r, double seconds, bool expects)
{
    Deadline d;
    d.set(r.deadline, Overload::fewer_steps);
    CostModel cost;
    cost.add(r.each, 1, 1);
    Intake intake;
    Arrivals arrivals;
    Outcome o;
    double now = 0, entered = 0, half = 0;
    bool held_back = false;
    for (std::uint64_t k = 0; now < seconds; k++) {
        const double begins = double(k) * r.frame;
        const auto flow = [&] {
            entered =
                std::min(std::floor(r.rate * now / r.chunk + 1e-9) * r.chunk, begins + r.room);
        };
        const double there = std::ceil((begins + r.frame) / r.chunk - 1e-9) * r.chunk / r.rate;
        now = std::max(now + r.rest, there);
        flow();
        intake.see(entered, now, false);
        arrivals.see(k, k + 1, intake.time(begins));
        for (double next = begins + r.frame; expects && next < entered; next += r.frame)
            arrivals.expect(1, intake.time(next));
        const double last_entered = intake.time(begins + r.frame - 1);
        const auto v =
            d.decide(arrivals, k, 1, 32, now, cost, r.full, held_back, expects ? r.rest : 0);
        const int steps = v.evaluations < 0 ? r.full : v.evaluations;
        now += 1e-6 + r.each * steps;
        flow();
        intake.see(entered, now, true);
        held_back = 2 * (entered - begins) >= r.room;
        o.ages.add(now - last_entered);
        if (now > seconds / 2) {
            o.evaluations += steps;
            o.refused += steps == 0;
            half++;
        }
    }
    o.behind = now - entered / r.rate;
    o.evaluations /= half;
    o.refused /= half;
    return o;
}

void receivers(bool expects)
{
    // 1 ms a frame: 0.7 are left, for 7 evaluations.
    Outcome o = run(Receiver(), 10, expects);
    CHECK_BELOW(o.behind, 0.02);
    CHECK_BELOW(o.ages.quantile(0.99), 0.02 + 1e-4);
    CHECK(o.evaluations > 4 && o.evaluations < 8);
    CHECK_BELOW(o.refused, 0.05);
    // As much room as ages may be: the deadline cuts before the source is held back.
    Receiver deep;
    deep.room = 1e6;
    o = run(deep, 10, expects);
    CHECK_BELOW(o.behind, 0.001);
    CHECK_BELOW(o.ages.quantile(0.99), 0.02 + 1e-4);
    CHECK(o.evaluations > 4 && o.evaluations < 8);
    // Time enough for everything.
    Receiver slow;
    slow.rate = 4e5;
    o = run(slow, 10, expects);
    CHECK_EQUAL(o.evaluations, 30.0);
    // One evaluation is all that fits.
    Receiver fast;
    fast.frame = 900;
    o = run(fast, 10, expects);
    CHECK_BELOW(o.behind, 0.02);
    CHECK(o.evaluations > 0.8 && o.evaluations < 1.6);
    CHECK_BELOW(o.refused, 0.25);
}

//! Frames that come many at once are served alike, which only works if the others are expected.
void chunks()
{
    Receiver r;
    r.rate = 2e5; // 10 ms a frame: 30 evaluations take 3, and six frames come at once
    r.chunk = 12000;
    r.each = 2e-4;
    const Outcome alike = run(r, 20, true), greedy = run(r, 20, false);
    CHECK_BELOW(alike.refused, 0.01);
    CHECK_BELOW(0.1, greedy.refused);
    CHECK_BELOW(alike.ages.quantile(0.99), r.deadline + r.each);
    CHECK_BELOW(alike.behind, r.chunk / r.rate + 1e-3);
    // The rest of the receiver takes half of the time.
    r.rest = 2e-3;
    const Outcome busy = run(r, 20, true);
    CHECK_BELOW(busy.refused, 0.01);
    CHECK(busy.evaluations > 3 && busy.evaluations < 8);
    CHECK_BELOW(0.3, run(r, 20, false).refused);
}

} // namespace

int main()
{
    known_answers();
    bounded();
    for (bool expects : {false, true})
        receivers(expects);
    chunks();
    return check::result("intake");
}

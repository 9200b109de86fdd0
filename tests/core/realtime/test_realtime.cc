/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Deadlines: known answers of each part, then whole queues in a simulated time, over loads and policies.
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/infer/plan.h>
#include <gnuradio/diffsem/core/realtime/realtime.h>

#include <algorithm>
#include <random>
#include <vector>

using namespace gr::diffsem::core;

namespace {

//! So many seconds for an item, and for a batch before it has any.
CostModel costs(double item, double batch = 0)
{
    CostModel c;
    for (int items : {1, 2, 3, 4})
        c.add(batch + item * items, 1, items);
    return c;
}

void names()
{
    for (const char* name : {"wait", "fewer_steps", "bypass", "drop"})
        CHECK_EQUAL(std::string(overload_name(parse_overload(name))), name);
    CHECK_THROWS(parse_overload("later"),
                 {"overload is 'later'", "wait, fewer_steps, bypass, drop"});
    CHECK_THROWS(parse_overload("drop", "each counts"),
                 {"'drop': each counts; give one of wait, fewer_steps, bypass"});
    CHECK_THROWS(parse_overload("fewer_steps", nullptr, false), {"no steps", "wait, bypass, drop"});
}

void cost()
{
    CostModel c;
    CHECK_EQUAL(c.seconds(), 0.0);
    for (int i = 1; i <= 10; i++)
        c.add(i * 5, 5); // 1 .. 10 an evaluation
    CHECK_EQUAL(c.seconds(), 9.0);
    c.add(1e9, 0); // no evaluation says nothing
    CHECK_EQUAL(c.seconds(), 9.0);
    for (int i = 0; i < 32; i++)
        c.add(i < 3 ? 100 : 2, 1); // three of 32 late ones are forgiven
    CHECK_EQUAL(c.seconds(), 2.0);
    c.clear();
    CHECK_EQUAL(c.seconds(), 0.0);

    // A part for each batch, a part for each item; late runs do not bend the line.
    for (int i = 0; i < 32; i++)
        c.add((i % 11 == 10 ? 50 : 1) * 7 * (3.0 + 2 * (1 + i % 4)), 7, 1 + i % 4);
    CHECK_NEAR(c.per_batch(), 3.0, 1e-9);
    CHECK_NEAR(c.per_item(), 2.0, 1e-9);
    CHECK_NEAR(c.seconds(10), 23.0, 1e-9);
    // Batches of one size, twice as slow: the line rises as a whole.
    for (int i = 0; i < 32; i++)
        c.add(2 * (3.0 + 2 * 4), 1, 4);
    CHECK_NEAR(c.per_batch(), 6.0, 1e-9);
    CHECK_NEAR(c.per_item(), 4.0, 1e-9);
    // A model whose batch has one size takes as long for one item as for four.
    c.clear();
    for (int i = 0; i < 8; i++)
        c.add(5, 1, 1 + i % 4);
    CHECK_NEAR(c.per_batch(), 5.0, 1e-9);
    CHECK_NEAR(c.per_item(), 0.0, 1e-9);
}

void arrivals()
{
    Arrivals a(3);
    a.see(0, 4, 1.0);
    a.see(0, 4, 2.0); // nothing new
    a.see(2, 6, 3.0);
    CHECK_EQUAL(a.groups(), std::size_t(2));
    CHECK_EQUAL(a.time(2), 1.0);
    CHECK_EQUAL(a.time(3), 1.0);
    CHECK_EQUAL(a.time(4), 3.0);
    a.see(2, 8, 4.0);
    a.see(2, 9, 5.0); // the ring is full: taken as older than they are
    CHECK_EQUAL(a.groups(), std::size_t(3));
    CHECK_EQUAL(a.time(8), 4.0);
    a.see(6, 10, 6.0);
    CHECK_EQUAL(a.groups(), std::size_t(2));
    CHECK_EQUAL(a.time(8), 4.0);
    CHECK_EQUAL(a.time(9), 6.0);
    a.see(8, 12, 2.0); // never older than those before them
    CHECK_EQUAL(a.time(11), 6.0);
    CHECK_EQUAL(a.seen(), std::uint64_t(12));
    // What is expected stands behind them, until something is seen.
    Arrivals b(4);
    b.see(0, 2, 1.0);
    b.expect(3, 1.5);
    b.expect(0, 1.6);
    b.expect(1, 1.2);
    CHECK_EQUAL(b.groups(), std::size_t(3));
    CHECK_EQUAL(b.group(1).end, std::uint64_t(5));
    CHECK_EQUAL(b.group(1).time, 1.5);
    CHECK_EQUAL(b.group(2).end, std::uint64_t(6));
    CHECK_EQUAL(b.group(2).time, 1.2);
    b.see(0, 3, 2.0);
    CHECK_EQUAL(b.groups(), std::size_t(2));
    CHECK_EQUAL(b.time(2), 2.0);
    // Ten that wait elsewhere leave less for the two that are here: 5 evaluations of 1 ms for twelve in 65 ms.
    Deadline d;
    d.set(0.0723, Overload::fewer_steps);
    Arrivals c;
    c.see(0, 2, 0.0);
    CHECK_EQUAL(d.decide(c, 0, 2, 64, 0.0, costs(1e-3), 10, false).evaluations, -1);
    c.see(0, 2, 0.0);
    c.expect(10, 0.0);
    CHECK_EQUAL(d.decide(c, 0, 2, 64, 0.0, costs(1e-3), 10, false).evaluations, 5);
}

Deadline::Verdict one(Overload overload,
                      double deadline,
                      std::size_t waiting,
                      double age,
                      double each,
                      double full,
                      double batch = 0)
{
    Deadline d;
    d.set(deadline, overload);
    Arrivals a;
    a.see(0, waiting, 10.0);
    return d.decide(a, 0, waiting, 64, 10.0 + age, costs(each, batch), full, false);
}

void verdicts()
{
    // Ten items of ten evaluations at 1 ms: 100 ms in all.
    for (auto overload : {Overload::fewer_steps, Overload::bypass, Overload::drop}) {
        const auto v = one(overload, 0.5, 10, 0.0, 1e-3, 10); // there is time for all
        CHECK_EQUAL(v.evaluations, -1);
        CHECK_EQUAL(v.items, std::size_t(10));
    }
    auto v = one(Overload::wait, 0.01, 10, 5.0, 1e-3, 10);
    CHECK_EQUAL(v.evaluations, -1);
    CHECK_EQUAL(v.items, std::size_t(10));
    v = one(Overload::bypass, 0, 10, 5.0, 1e-3, 10); // no deadline
    CHECK_EQUAL(v.evaluations, -1);
    // 50 ms are left of 55.6 for 10 items: 5 evaluations each; a call of at most 28 ms takes 5 of them.
    v = one(Overload::fewer_steps, 0.0556, 10, 0.0, 1e-3, 10);
    CHECK_EQUAL(v.evaluations, 5);
    CHECK_EQUAL(v.items, std::size_t(5));
    // They came 20 ms ago: 3 each.
    v = one(Overload::fewer_steps, 0.0556, 10, 0.0201, 1e-3, 10);
    CHECK_EQUAL(v.evaluations, 2);
    // 4 ms for 10 items: six go without, and then four get one.
    v = one(Overload::fewer_steps, 0.0046, 10, 0.0, 1e-3, 10);
    CHECK_EQUAL(v.evaluations, 0);
    CHECK_EQUAL(v.items, std::size_t(6));
    v = one(Overload::fewer_steps, 0.0046, 4, 0.0, 1e-3, 10);
    CHECK_EQUAL(v.evaluations, 1);
    CHECK_EQUAL(v.items, std::size_t(2));
    // All or nothing: 50 ms are five whole items.
    for (auto overload : {Overload::bypass, Overload::drop}) {
        v = one(overload, 0.0556, 10, 0.0, 1e-3, 10);
        CHECK_EQUAL(v.evaluations, 0);
        CHECK_EQUAL(v.items, std::size_t(5));
    }
    // Four items together take 30 * (0.15 + 4 * 0.04) = 9.3 ms of the 18, one by one 22.8.
    for (auto overload : {Overload::fewer_steps, Overload::bypass, Overload::drop}) {
        v = one(overload, 0.02, 4, 0.0, 40e-6, 30, 150e-6);
        CHECK_EQUAL(v.evaluations, -1);
        CHECK_EQUAL(v.items, std::size_t(4));
    }
    // Two batches of ten and one of four at 5 evaluations; a call takes 5 * (1 + 4 * 1) = 25 of 28 ms.
    v = one(Overload::fewer_steps, 0.0556, 6, 0.0, 1e-3, 10, 1e-3);
    CHECK_EQUAL(v.evaluations, 6);
    CHECK_EQUAL(v.items, std::size_t(3));
    // Later arrivals have later deadlines: none need be given up for them.
    Deadline d;
    d.set(0.03, Overload::bypass);
    Arrivals a;
    a.see(0, 2, 0.0);
    a.see(0, 4, 0.01);
    v = d.decide(a, 0, 4, 64, 0.01, costs(5e-3), 1, false);
    CHECK_EQUAL(v.evaluations, -1);
    CHECK_EQUAL(v.items, std::size_t(3));
    d.set(0.02, Overload::bypass);
    CHECK_EQUAL(d.decide(a, 0, 4, 64, 0.01, costs(5e-3), 1, false).evaluations, 0);
    // Nothing is affordable for a second: then one item is tried, whatever it costs.
    d.set(1e-3, Overload::bypass);
    Arrivals late;
    double now = 100;
    int tried = 0;
    for (std::uint64_t k = 0; k < 300; k++, now += 0.01) {
        late.see(k, k + 1, now);
        tried += d.decide(late, k, 1, 64, now, costs(0.1), 1, false).evaluations != 0;
    }
    CHECK_EQUAL(tried, 2);
    // What a trial finds counts at once, however often it was dearer before.
    CostModel model = costs(0.1);
    d.set(1e-2, Overload::bypass);
    int inferred = 0;
    for (std::uint64_t k = 0; k < 300; k++, now += 0.01) {
        late.see(300 + k, 301 + k, now);
        const auto verdict = d.decide(late, 300 + k, 1, 64, now, model, 1, false);
        inferred += verdict.evaluations != 0;
        if (verdict.probe)
            model.clear();
        if (verdict.evaluations)
            model.add(1e-3, 1, 1);
    }
    CHECK(inferred > 190 && inferred < 202);
}

// One queue in simulated time.
struct Outcome {
    Durations ages;
    std::uint64_t in = 0, inferred = 0, refused = 0;
    double evaluations = 0, busy = 0, behind = 0;
};

Outcome
queue(Overload overload, double load, double deadline, double each, int full, double batch = 0)
{
    Deadline d;
    d.set(deadline, overload);
    Arrivals arrivals;
    CostModel cost = costs(each, batch);
    std::mt19937 dice(7);
    std::uniform_real_distribution<double> jitter(0.9, 1.1);
    const std::uint64_t most = 40;                                     // the buffer holds
    const double period = (each + batch / double(most)) * full / load; // of arrivals
    Outcome o;
    std::uint64_t first = 0;
    double now = 0;
    bool held_back = false;
    while (now < 1000 * deadline) {
        // What came while the buffer had room; the rest is held back upstream.
        const auto end = std::min(std::uint64_t(now / period) + 1, first + most);
        if (end <= first) {
            now = (double(first) + 1e-6) * period;
            continue;
        }
        arrivals.see(first, end, now);
        const auto v = d.decide(arrivals, first, end - first, 64, now, cost, full, held_back);
        CHECK(v.items >= 1 && v.items <= end - first);
        const int taken = v.evaluations < 0 ? full : v.evaluations;
        CHECK(taken >= 0 && taken <= full);
        const double start = now;
        now += 1e-7 + (batch + each * double(v.items)) * taken * jitter(dice);
        cost.add(now - start, taken, double(v.items));
        for (std::uint64_t k = first; k < first + v.items; k++)
            o.ages.add(now - arrivals.time(k));
        (taken ? o.inferred : o.refused) += v.items;
        o.evaluations += taken * double(v.items);
        o.busy += now - start;
        held_back = std::uint64_t(now / period) + 1 >= first + most;
        first += v.items;
    }
    o.in = first;
    o.behind = 1 - double(first) * period / now; // share of what came that is still upstream
    return o;
}

void queues(double batch, double deadline, int full)
{
    const double each = 1e-3 - batch / 40;
    double before = 1e9;
    for (double load : {0.5, 1.0, 2.0, 10.0, 40.0}) {
        for (auto overload : {Overload::fewer_steps, Overload::bypass, Overload::drop}) {
            const Outcome o = queue(overload, load, deadline, each, full, batch);
            CHECK_EQUAL(o.in, o.inferred + o.refused);
            CHECK_BELOW(o.ages.quantile(0.99), deadline + each * full);
            // Nor does the block fall behind what comes.
            CHECK_BELOW(o.behind, 0.02);
            // Nor is it idle for most of the time while items are refused.
            if (load >= 2)
                CHECK_BELOW(0.5, o.busy / (1000 * deadline));
            if (load <= 0.5)
                CHECK_EQUAL(o.refused, std::uint64_t(0));
            if (overload != Overload::fewer_steps)
                continue;
            const double mean = o.evaluations / double(o.in);
            CHECK_BELOW(mean, before + 1e-9); // fewer and fewer, not all or nothing
            before = mean;
            if (load <= 5)
                CHECK_EQUAL(o.refused, std::uint64_t(0));
        }
        if (load > 1.5)
            CHECK_BELOW(
                deadline,
                queue(Overload::wait, load, deadline, each, full, batch).ages.quantile(0.5));
    }
}

void queues()
{
    const double deadline = 0.1;
    const int full = 10;
    for (double batch : {0.0, 3e-4})
        queues(batch, deadline, full);
}

// A cut plan is a whole one: from the start, descending, to zero.
void cut_plans()
{
    for (const auto& type : fixtures::fixed_plans()) {
        PlanParameters p;
        p.type = type;
        p.steps = 20;
        const Plan plan(p);
        for (float start : {50.0f, 1.0f, 0.1f, 0.005f})
            for (int most : {1, 2, 3, 7, 19, 20, 500}) {
                std::vector<float> l(21, -1.0f), fresh(21, -1.0f);
                const int count = plan.levels(start, l.data(), most);
                CHECK_EQUAL(count, std::min(most, plan.count(start)));
                CHECK_EQUAL(l[0], start);
                CHECK_EQUAL(l[std::size_t(count)], 0.0f);
                for (int k = 1; k <= count; k++)
                    CHECK(l[std::size_t(k)] < l[std::size_t(k) - 1]);
                // The same as a plan made for so many steps.
                CHECK_EQUAL(plan.with_steps(std::min(most, 20)).levels(start, fresh.data()), count);
                CHECK(l == fresh);
            }
    }
}

void durations()
{
    Durations d;
    CHECK_EQUAL(d.quantile(0.5), 0.0);
    for (int i = 1; i <= 1000; i++)
        d.add(1e-4 * i);
    CHECK_NEAR(d.quantile(0.5), 0.05, 0.05 * 0.05);
    CHECK_NEAR(d.quantile(0.99), 0.099, 0.099 * 0.05);
    CHECK_EQUAL(d.quantile(1.0), d.longest());
    d.add(1e6);
    CHECK_EQUAL(d.longest(), 1e6);
    d.add(0);
    CHECK_EQUAL(d.count(), std::uint64_t(1002));
}

} // namespace

int main()
{
    names();
    cost();
    arrivals();
    verdicts();
    queues();
    cut_plans();
    durations();
    return check::result("realtime");
}

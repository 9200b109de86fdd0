/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How the estimator runs: batches, draws, every start with every sampler and plan, steps, and no allocation once it is made.
 */
#include "allocations.h"
#include "check.h"
#include "infer/estimator_toy.h"

#include <vector>

using namespace fixtures;

namespace {

// The same result for any batch size, any chunks, and any company; also of what is drawn.
void batches(const Toy& t)
{
    const auto y = measurements(t.model, 23, 0.4, 9);
    for (const char* keys : {":sampler=one_step",
                             ":sampler=ddpm,steps=6",
                             ":sampler=ddpm,steps=6,start=noise",
                             ":sampler=ddim,eta=0.5,steps=5,start=renoise,sigma_max=0.8",
                             ":sampler=heun,steps=5,plan=karras",
                             ":sampler=posterior_mean,steps=9,plan=linear_vp,sigma_min=0.02"}) {
        std::vector<float> noise;
        for (std::size_t b = 0; b < 23; b++)
            noise.push_back(0.02f * float(1 + b % 5)); // unlike levels, hence unlike paths
        EstimatorOptions o;
        o.seed = 5;
        o.stream = 2;
        o.observed = {1, 1, 0, 1, 1, 1};
        Result reference;
        for (std::size_t batch : {64u, 1u, 2u, 7u}) {
            o.max_batch = batch;
            auto e = t.make(t.measured + "/gmm" + keys, o);
            auto r = run(*e, y, noise);
            if (reference.mean.empty())
                reference = r;
            double worst = 0;
            for (std::size_t i = 0; i < r.mean.size(); i++)
                worst = std::max(worst, double(std::abs(r.mean[i] - reference.mean[i])));
            CHECK_BELOW(worst, 2e-5);
            // In two calls, the second continuing the stream.
            const std::size_t cut = 10;
            const auto second = run(
                *e, {y.begin() + 6 * cut, y.end()}, {noise.begin() + cut, noise.end()}, false, cut);
            worst = 0;
            for (std::size_t i = 0; i < second.mean.size(); i++)
                worst =
                    std::max(worst, double(std::abs(second.mean[i] - reference.mean[6 * cut + i])));
            CHECK_BELOW(worst, 2e-5);
            for (std::size_t b = 0; b < 23; b++)
                CHECK_EQUAL(r.info[b].steps, reference.info[b].steps);
        }
    }
    // Draws depend on seed, stream and place.
    EstimatorOptions o;
    o.seed = 1;
    const std::string spec = t.unit + "/gmm:sampler=ddpm,steps=6";
    const auto a = run(*t.make(spec, o), y, {0.2f});
    const auto moved = run(*t.make(spec, o), y, {0.2f}, false, 1000);
    o.stream = 1;
    const auto stream = run(*t.make(spec, o), y, {0.2f});
    o.stream = 0;
    o.seed = 2;
    auto e = t.make(spec, o);
    const auto seed = run(*e, y, {0.2f});
    CHECK(a.mean != moved.mean && a.mean != stream.mean && a.mean != seed.mean);
    e->set_seed(1);
    CHECK(run(*e, y, {0.2f}).mean == a.mean);
}

// K samples of one posterior: their moments are its.
void draws(const Toy& t)
{
    CHECK_THROWS(t.make(t.unit + "/gmm:sampler=ddpm")->check_draws(),
                 {"'ddpm'", "sampler=posterior_draw"});
    auto e = t.make(t.unit + "/gmm:sampler=posterior_draw,steps=50");
    const auto y = measurements(t.model, 1, 0.5, 13);
    const std::size_t count = 2000;
    std::vector<cfloat> x(6 * count);
    std::vector<ItemInfo> info(count);
    const float noise = 0.25f;
    e->draw(y.data(), count, &noise, 1, 0, x.data(), info.data());
    const Posterior p = posterior(t.model, to_vector(y.data(), 6), 0.25);
    Vector mean = Vector::Zero(6);
    double power = 0;
    for (std::size_t k = 0; k < count; k++) {
        mean += to_vector(&x[6 * k], 6) / double(count);
        power += (to_vector(&x[6 * k], 6) - p.mean).squaredNorm() / double(count);
        CHECK_EQUAL(info[k].steps, 100);
    }
    CHECK_BELOW((mean - p.mean).squaredNorm() / p.covariance.trace().real(), 0.005);
    CHECK_NEAR(db(power / p.covariance.trace().real()), 0.0, 0.3);
    // A draw is an item like any other.
    std::vector<cfloat> one(6);
    e->run(y.data(), 1, &noise, 1, 17, one.data(), nullptr, nullptr);
    CHECK_BELOW((to_vector(&x[6 * 17], 6) - to_vector(one.data(), 6)).norm(), 1e-5);
}

// Every start with every sampler and plan gives something finite, of the stated number of steps, and
// near the posterior: no estimate may be worse than the measurement by more than drawing costs.
void registries(const Toy& t)
{
    Random random(12);
    std::vector<cfloat> x, y;
    for (int b = 0; b < 40; b++) {
        const Vector v = t.model.draw(random), w = v + 0.3 * random.cvector(6);
        for (int i = 0; i < 6; i++) {
            x.push_back(cfloat(v(i)));
            y.push_back(cfloat(w(i)));
        }
    }
    for (bool masked : {false, true}) {
        EstimatorOptions o;
        if (masked)
            o.observed = {1, 1, 0, 1, 1, 1};
        for (const auto& start : entry_names(starts()))
            for (const auto& sampler : entry_names(samplers()))
                for (const auto& plan : fixtures::fixed_plans()) {
                    const bool fixed = start == "level" || start == "renoise";
                    const std::string spec =
                        t.unit + "/gmm:start=" + start + ",sampler=" + sampler + ",plan=" + plan +
                        ",sigma_min=0.02" + (fixed ? ",sigma_max=0.3" : ",sigma_max=20");
                    auto e = t.make(spec, o);
                    if (sampler != "one_step")
                        e->set_steps(12);
                    const auto r = run(*e, y, {0.09f});
                    double error = 0;
                    int steps = 0;
                    for (std::size_t i = 0; i < x.size(); i++)
                        error += std::norm(r.mean[i] - x[i]) / double(x.size());
                    for (const auto& info : r.info) {
                        CHECK(!info.bypassed && info.steps >= 1);
                        steps = std::max(steps, info.steps);
                    }
                    const SamplerEntry& entry = find_entry(samplers(), "sampler", sampler);
                    CHECK(steps <= entry.last_evaluations + 11 * entry.step_evaluations);
                    if (!(error < 0.25))
                        std::printf("%s masked %d: error %.3f\n", spec.c_str(), masked, error);
                    CHECK_BELOW(error, 0.25);
                    for (float v : r.variance)
                        CHECK(v >= 0 && v < 2);
                }
    }
}

void steps(const Toy& t)
{
    auto e = t.make(t.unit + "/gmm:sampler=posterior_mean,steps=8");
    const auto y = measurements(t.model, 2, 0.4, 1);
    CHECK_EQUAL(run(*e, y, {0.16f}).info[0].steps, 8);
    e->set_steps(3);
    CHECK_EQUAL(run(*e, y, {0.16f}).info[0].steps, 3);
    e->set_steps(20);
    CHECK_EQUAL(run(*e, y, {0.16f}).info[0].steps, 20);
    e->set_steps(0);
    CHECK_EQUAL(run(*e, y, {0.16f}).info[0].steps, 8);
    CHECK_EQUAL(run(*e, y, {1e-5f}).info[0].steps, 1); // below the plan's last level
    EstimatorOptions o;
    o.steps = 5;
    CHECK_EQUAL(run(*t.make(t.unit + "/gmm:sampler=heun", o), y, {0.16f}).info[0].steps, 9);
    CHECK_EQUAL(run(*t.make(t.unit + "/gmm", o), y, {0.16f}).info[0].steps, 1);
    // eta of ddim, live: 0 draws nothing.
    e = t.make(t.unit + "/gmm:sampler=ddim,steps=8");
    const auto still = run(*e, y, {0.16f});
    CHECK(run(*e, y, {0.16f}, false, 50).mean == still.mean);
    e->set_eta(1);
    CHECK(run(*e, y, {0.16f}, false, 50).mean != run(*e, y, {0.16f}).mean);
    e->set_eta(-1);
    CHECK(run(*e, y, {0.16f}).mean == still.mean);
}

void no_allocation(const Toy& t)
{
    const auto y = measurements(t.model, 50, 0.4, 1);
    const std::vector<float> noise(50, 0.16f);
    std::vector<cfloat> mean(300);
    std::vector<float> variance(300);
    std::vector<ItemInfo> info(50);
    EstimatorOptions masked, whole, plain;
    masked.observed = {1, 0, 1, 1, 0, 1};
    masked.max_batch = whole.max_batch = 16;
    plain.item_size = 6;
    const auto count = [&](const std::string& spec, const EstimatorOptions& o) {
        auto e = t.make(spec, o);
        const long before = allocations;
        for (int i = 0; i < 3; i++)
            e->run(y.data(),
                   50,
                   noise.data(),
                   1,
                   50 * std::uint64_t(i),
                   mean.data(),
                   variance.data(),
                   info.data());
        const long made = allocations - before;
        if (made)
            std::printf("%s: %ld allocations\n", spec.c_str(), made);
        CHECK_EQUAL(made, 0L);
    };
    count("ls", plain);
    for (const auto& o : {masked, whole})
        for (const char* member : {"/gaussian", "/gmm"})
            for (const auto& sampler : entry_names(samplers()))
                for (const char* start : {"matched", "noise"})
                    count(t.measured + member + ":sampler=" + sampler + ",start=" + start, o);
    count(t.measured + "/gmm:noise_updates=2", masked);
#ifdef COUNTS_ALLOCATIONS
    CHECK(allocations > 0);
#endif
}

} // namespace

int main()
{
    const Toy toy;
    batches(toy);
    draws(toy);
    registries(toy);
    steps(toy);
    no_allocation(toy);
    return check::result("estimator_runs");
}

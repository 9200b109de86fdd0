/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Expectation maximisation of the noise variance before inference: start.noise_updates.
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/scheme/load_scheme.h>
#include <vector>

using namespace fixtures;

namespace {

constexpr std::size_t size = 32, items = 500;
constexpr double noise = 0.1;

struct Toy {
    Folder folder;
    Mixture model = gaussian(size);
    std::string package = write_package(folder, "toy", model, gaussian_member);
    std::vector<Vector> x;
    std::vector<cfloat> y;
    Toy()
    {
        Random r(5);
        for (std::size_t b = 0; b < items; b++) {
            x.push_back(model.draw(r));
            const Vector n = r.cvector(size);
            for (Eigen::Index i = 0; i < n.size(); i++)
                y.push_back(cfloat(x[b](i) + std::sqrt(noise) * n(i)));
        }
    }
};

struct Result {
    double noise_var = 0, error = 0; // means over all items
    ItemInfo first;
};

Result run(const Toy& t, const std::string& keys, double told, const RunLimit& limit = {})
{
    Estimator e(load_scheme(t.package + keys), {});
    const std::vector<float> nv(items, float(told));
    std::vector<cfloat> mean(items * size);
    std::vector<ItemInfo> info(items);
    e.run(t.y.data(), items, nv.data(), 1, 0, mean.data(), nullptr, info.data(), limit);
    Result r;
    r.first = info[0];
    for (std::size_t b = 0; b < items; b++) {
        r.noise_var += info[b].noise_var / double(items);
        r.error += (to_vector(&mean[size * b], size) - t.x[b]).squaredNorm() / double(items);
    }
    return r;
}

// Under the true prior the expectation of an update at the true noise is the true noise, and each update from
// elsewhere comes nearer.
void finds_the_noise(const Toy& t)
{
    CHECK_NEAR(db(run(t, ":noise_updates=1", noise).noise_var / noise), 0, 0.1);
    for (const double wrong_db : {-3.0, 3.0}) {
        const double told = noise * std::pow(10, wrong_db / 10);
        double before = std::abs(wrong_db);
        for (const char* keys : {":noise_updates=1", ":noise_updates=2", ":noise_updates=4"}) {
            const double now = std::abs(db(run(t, keys, told).noise_var / noise));
            CHECK_BELOW(now, 0.6 * before);
            before = now;
        }
        const double known = run(t, "", noise).error, wrong = run(t, "", told).error;
        const double updated = run(t, ":noise_updates=2", told).error;
        CHECK_BELOW(db(updated / known), 0.5 * db(wrong / known));
    }
}

// An update costs an evaluation, and is what is left out first.
void within_a_limit(const Toy& t)
{
    const std::string walk = ":sampler=posterior_mean,steps=5,noise_updates=2";
    CHECK_EQUAL(run(t, walk, 0.2).first.steps, 7);
    CHECK_EQUAL(Estimator(load_scheme(t.package + walk), {}).max_evaluations(), 7);
    for (const int evaluations : {1, 2, 3, 5}) {
        RunLimit limit;
        limit.evaluations = evaluations;
        const ItemInfo info = run(t, walk, 0.2, limit).first;
        CHECK_EQUAL(info.steps, evaluations);
        CHECK_EQUAL(info.planned, 7);
        CHECK_EQUAL(info.noise_var == 0.2f, evaluations == 1);
    }
}

void errors(const Toy& t)
{
    const auto load = [&](const std::string& keys) { return load_scheme(t.package + keys); };
    CHECK_THROWS(load(":noise_updates=21"), {"start.noise_updates", "0 .. 20"});
    CHECK_THROWS(load(":noise_updates=-1"), {"start.noise_updates", "0 .. 20"});
    CHECK_THROWS(load(":noise_updates=0.5"), {"start.noise_updates", "whole number"});
    CHECK_THROWS(load(":noise_updates=some"), {"noise_updates = 'some' is not a number"});
    CHECK_THROWS(load(":noise_updates=1,start=noise"), {"needs the start 'matched'"});
    CHECK_THROWS(load(":noise_updates=1,start=level,sigma_max=1"), {"needs the start 'matched'"});
    CHECK_THROWS(load_scheme("ls:noise_updates=1"), {"takes no key but seed"});
}

} // namespace

int main()
{
    const Toy toy;
    finds_the_noise(toy);
    within_a_limit(toy);
    errors(toy);
    return check::result("noise updates");
}

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The guard: how seldom it refutes a right prior, that it refutes wrong ones, and who answers then.
 */
#include "allocations.h"
#include "check.h"
#include "fixtures.h"

#include "infer/guard.h"

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/scheme/load_scheme.h>

#include <limits>
#include <vector>

using namespace fixtures;

namespace {

constexpr Eigen::Index size = 32;

// Closed forms: a sum of exponentials for whole elements, and their ratio for one element.
void tails()
{
    for (const double x : {5.0, 20.0, 60.0}) {
        double term = 1, sum = 1;
        for (int k = 1; k < 20; k++)
            sum += term *= x / k;
        CHECK_NEAR(noise_tail(x, 20, 2, 0) / (std::exp(-x) * sum), 1, 1e-9);
        for (const double freedom : {1.0, 6.0, 25.0})
            CHECK_NEAR(noise_tail(x, 1, 2, freedom) / std::pow(1 + x / freedom, -freedom), 1, 1e-9);
    }
    CHECK_NEAR(noise_tail(39.1344, 12, 1, 0), 1e-4, 1e-8); // chi-square, 12 degrees
    CHECK_NEAR(noise_tail(60, 40, 2, 1e9), noise_tail(60, 40, 2, 0), 1e-8); // well known is known
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (const std::size_t parts : {1u, 2u}) {
        CHECK(!contradicts(0, 0, parts, 0));
        CHECK(contradicts(1e9, 1, parts, 0));
        CHECK(!contradicts(12, 12, parts, 0));
        CHECK(!contradicts(nan, 64, parts, 0)); // no answer at all, which is said elsewhere
    }
}

std::string with(const char* member, const std::string& more)
{
    std::string text = member;
    return text.insert(text.rfind('}'), ", " + more);
}

std::string renamed(std::string member, const char* name)
{
    const auto begin = member.find('"') + 1;
    return member.replace(begin, member.find('"', begin) - begin, name);
}

struct Result {
    std::vector<cfloat> mean;
    std::vector<float> variance;
    std::vector<ItemInfo> info;
    std::size_t guarded = 0;
    double error = 0, ls_error = 0; // means of the squared error
};

struct Trials {
    std::vector<Vector> x;
    std::vector<cfloat> y;
    std::vector<float> told; // noise variances
};

// \param freedom noise variances are told as if measured on so many elements; 0: as they are
Trials trials(const Mixture& m, std::size_t items, double noise, unsigned seed, int freedom = 0)
{
    Random r(seed);
    Trials t;
    for (std::size_t b = 0; b < items; b++) {
        t.x.push_back(m.draw(r));
        const Vector y = t.x.back() + std::sqrt(noise) * r.cvector(m.n());
        for (const auto& e : y)
            t.y.push_back(cfloat(e));
        t.told.push_back(
            float(freedom ? noise * r.cvector(freedom).squaredNorm() / freedom : noise));
    }
    return t;
}

Result run(Estimator& e, const Trials& t, const RunLimit& limit = {})
{
    Result r;
    const std::size_t items = t.told.size(), n = e.output_size();
    r.mean.resize(items * n);
    r.variance.resize(items * n);
    r.info.resize(items);
    e.run(t.y.data(),
          items,
          t.told.data(),
          1,
          0,
          r.mean.data(),
          r.variance.data(),
          r.info.data(),
          limit);
    for (std::size_t b = 0; b < items; b++) {
        r.guarded += r.info[b].guarded;
        r.error += (to_vector(&r.mean[n * b], size) - t.x[b]).squaredNorm() / double(items);
        r.ls_error += (to_vector(&t.y[n * b], size) - t.x[b]).squaredNorm() / double(items);
    }
    return r;
}

Result run(const std::string& spec, const Trials& t, float freedom = 0)
{
    EstimatorOptions options;
    options.noise_freedom = freedom;
    Estimator e(load_scheme(spec), options);
    return run(e, t);
}

// Draws of the prior itself. 1e-4 of 4,000 is 0.4; a right guard exceeds 6 in one of a million such runs, and the random
// numbers are the same each time. The whole proof, a million of each, is bench/guard.py.
void false_alarms()
{
    Folder folder;
    const Mixture one = gaussian(size), many = channels(size);
    const std::string gauss = write_package(folder, "one", one, gaussian_member),
                      mixture = write_package(folder, "many", many, gmm_member) + "/gmm";
    constexpr std::size_t items = 4000, most = 6;
    unsigned seed = 1;
    for (const double snr_db : {-10.0, 10.0, 30.0}) {
        const double noise = std::pow(10, -snr_db / 10);
        const Trials known = trials(one, items, noise, seed++);
        CHECK(run(gauss, known).guarded <= most);
        CHECK(run(gauss + ":sampler=ddpm,steps=3", known).guarded <= most);
        const Trials measured = trials(one, items, noise, seed++, 6);
        CHECK(run(gauss, measured, 6).guarded <= most);
        CHECK(run(gauss, measured).guarded > most); // as if it were known
        const Trials of_many = trials(many, items / 4, noise, seed++);
        CHECK(run(mixture, of_many).guarded <= most);
    }
}

// A draw is off by its own spread beside the noise: what it is refuted by is twice the noise.
void draws()
{
    Folder folder;
    const Mixture one = gaussian(size);
    const std::string spec =
        write_package(folder, "drawn", one, gaussian_member) + ":sampler=posterior_draw,steps=10";
    Estimator e(load_scheme(spec), {});
    for (const bool far : {false, true}) {
        Trials t = trials(one, 300, 0.1, 9);
        for (float& told : t.told)
            told /= far ? 20.0f : 3.0f;
        std::vector<cfloat> drawn(t.y.size());
        std::vector<ItemInfo> info(t.told.size());
        e.draw(t.y.data(), info.size(), t.told.data(), 1, 0, drawn.data(), info.data());
        std::size_t guarded = 0;
        for (const ItemInfo& i : info)
            guarded += i.guarded;
        CHECK(far ? guarded == 300 : guarded <= 3);
    }
}

// Signals ten times as strong as the prior says, and twice that the other way round: what answers is never far above
// least squares, and says so.
void wrong_priors()
{
    Folder folder;
    const std::string weak = write_package(folder, "weak", gaussian(size), gaussian_member);
    Mixture strong = gaussian(size, 8);
    strong.covariances[0] *= 100;
    for (const double noise : {1e-3, 1e-2, 0.1}) {
        const Trials t = trials(strong, 300, noise, 3);
        const Result guarded = run(weak, t), bare = run(weak + ":guard=off", t);
        CHECK_BELOW(db(guarded.error / guarded.ls_error), 0.5);
        CHECK_BELOW(3, db(bare.error / bare.ls_error));
        CHECK_EQUAL(bare.guarded, 0u);
        CHECK(guarded.guarded > 200);
        for (std::size_t b = 0; b < 300; b++) {
            const ItemInfo& info = guarded.info[b];
            if (!info.guarded)
                continue;
            CHECK(info.bypassed && std::string(info.reason) == "guard" && info.steps == 1);
            CHECK(guarded.mean[size * b] == t.y[size * b]);
            CHECK(guarded.variance[size * b] == t.told[b]);
        }
    }
}

// What another member answers is what it answers by itself; and where that is refuted too, least squares.
void fallbacks()
{
    Folder folder;
    const Mixture m = channels(size);
    const std::string members = with(gaussian_member, "\"fallback\": \"gmm\"") + "," + gmm_member;
    const std::string path = write_package(folder, "toy", m, members);
    CHECK_EQUAL(load_scheme(path)->info().fallback, "gmm");
    CHECK_EQUAL(load_scheme(path + "/gmm")->info().fallback, "ls");
    CHECK_EQUAL(load_scheme(path + ":guard=off")->info().fallback, "");
    CHECK(!load_scheme(path + ":guard=off")->parts().fallback);

    const Trials t = trials(m, 200, 1e-4, 9);
    const Result r = run(path, t), other = run(path + "/gmm", t),
                 first = run(path + ":guard=off", t);
    CHECK(r.guarded > 20 && r.guarded < 200);
    for (std::size_t b = 0; b < 200; b++) {
        const Result& from = r.info[b].guarded ? other : first;
        CHECK_EQUAL(r.info[b].steps, r.info[b].guarded ? 2 : 1);
        CHECK_EQUAL(r.info[b].planned, r.info[b].steps);
        CHECK(!r.info[b].bypassed);
        for (std::size_t i = size * b; i < size * (b + 1); i++)
            CHECK(std::abs(r.mean[i] - from.mean[i]) < 1e-5f && // in batches of other sizes
                  std::abs(r.variance[i] - from.variance[i]) < 1e-8f);
    }
    Trials alien = t;
    for (auto& y : alien.y)
        y *= 1000;
    const Result ls = run(path, alien);
    CHECK_EQUAL(ls.guarded, 200u);
    CHECK(ls.info[7].bypassed && std::string(ls.info[7].reason) == "guard");
    CHECK_EQUAL(ls.info[7].steps, 2);
    CHECK(ls.mean == alien.y);
    // Made when it is first needed, it says the same.
    EstimatorOptions later;
    later.fallback_now = false;
    Estimator lazy(load_scheme(path), later);
    const Result made = run(lazy, t);
    CHECK_EQUAL(made.guarded, r.guarded);
    CHECK(made.mean == r.mean && run(lazy, alien).mean == alien.y);
    Trials same = alien; // the answer may lie where the measurement does
    Estimator in_place(load_scheme(path), {});
    in_place.run(same.y.data(), 200, same.told.data(), 1, 0, same.y.data(), nullptr, nullptr);
    CHECK(same.y == alien.y);

    // A limit of evaluations leaves the fallback its last step.
    Estimator walk(load_scheme(path + ":sampler=posterior_mean,steps=6,sigma_min=0.0001"), {});
    for (const int evaluations : {1, 3}) {
        RunLimit limit;
        limit.evaluations = evaluations;
        const Result cut = run(walk, t, limit);
        CHECK(cut.guarded > 20);
        for (const ItemInfo& info : cut.info)
            CHECK_EQUAL(info.steps, evaluations + (info.guarded ? 1 : 0));
    }
    RunLimit none;
    none.evaluations = 0;
    CHECK_EQUAL(run(walk, t, none).guarded, 0u);
}

// Which elements count: those that are observed and not lost.
void elements()
{
    Folder folder;
    const std::string members = with(gaussian_member, "\"fallback\": \"gmm\"") + "," + gmm_member;
    const std::string path = write_package(folder, "toy", channels(size), members);
    Trials t = trials(channels(size), 1, 1e-4, 9);
    for (auto& y : t.y)
        y *= 1000;
    EstimatorOptions options;
    const auto first = [](int n) {
        std::vector<std::uint8_t> mask(size, 0);
        std::fill(mask.begin(), mask.begin() + n, 1);
        return mask;
    };
    options.observed = first(12);
    Estimator e(load_scheme(path), options);
    CHECK_EQUAL(run(e, t).guarded, 1u);
    e.set_observed(first(2));
    CHECK_EQUAL(run(e, t).guarded, 1u);
    e.set_observed(first(14)); // the fallback sees the same ones
    const Result r = run(e, t);
    CHECK_EQUAL(r.guarded, 1u);
    CHECK(r.mean[13] == t.y[13] && r.mean[14] == cfloat(0));

    std::vector<float> noise(size, t.told[0]);
    ItemInfo info;
    std::vector<cfloat> mean(size);
    for (const int lost : {3, 14}) {
        std::fill(noise.begin(), noise.begin() + lost, std::numeric_limits<float>::infinity());
        e.run(t.y.data(), 1, noise.data(), size, 0, mean.data(), nullptr, &info);
        CHECK_EQUAL(info.guarded, lost < 14);
    }
}

// What is observed of too few elements another member answers, unseen by this one: by a mask, by infinite noise, in
// batches of both kinds, in place, and whatever the guard is.
void few_elements()
{
    Folder folder;
    const Mixture m = channels(size);
    const std::string gauss =
        with(gaussian_member, "\"fallback\": \"gmm\", \"fewest_observed\": 20");
    const std::string path = write_package(folder, "toy", m, gauss + "," + gmm_member);
    CHECK_EQUAL(load_scheme(path)->info().fewest_observed, 20);
    CHECK_EQUAL(load_scheme(path + "/gmm")->info().fewest_observed, 0);
    CHECK_EQUAL(load_scheme(path + ":guard=off")->info().fallback, "gmm");
    CHECK_EQUAL(load_scheme(path + ":guard=off,fewest_observed=0")->info().fallback, "");

    constexpr std::size_t items = 150; // more than a batch
    const Trials t = trials(m, items, 0.1, 9);
    std::vector<float> noise(items * size, 0.1f);
    for (std::size_t b = 0; b < items; b++) // 19 or 20 are left
        if (b % 3)
            std::fill_n(
                &noise[b * size], size - 18 - b % 3, std::numeric_limits<float>::infinity());
    std::vector<cfloat> mean[3];
    std::vector<ItemInfo> info[3];
    const std::string specs[] = {
        path + ":guard=off", path + "/gmm:guard=off", path + ":guard=off,fewest_observed=0"};
    for (int i = 0; i < 3; i++) {
        Estimator e(load_scheme(specs[i]), {});
        mean[i].resize(items * size);
        info[i].resize(items);
        e.run(t.y.data(), items, noise.data(), size, 0, mean[i].data(), nullptr, info[i].data());
        const long before = allocations;
        e.run(t.y.data(), items, noise.data(), size, 0, mean[i].data(), nullptr, info[i].data());
        CHECK_EQUAL(allocations - before, 0);
    }
    double apart = 0;
    for (std::size_t b = 0; b < items; b++) {
        const bool few = b % 3 == 1;
        CHECK_EQUAL(info[0][b].few_observed, few);
        CHECK(!info[0][b].guarded && !info[0][b].bypassed && !info[2][b].few_observed);
        CHECK_EQUAL(info[0][b].steps, 1);
        for (std::size_t i = size * b; i < size * (b + 1); i++) {
            CHECK(std::abs(mean[0][i] - mean[few ? 1 : 2][i]) < 1e-5f);
            apart += few ? double(std::abs(mean[1][i] - mean[2][i])) : 0;
        }
    }
    CHECK(apart > 1); // the members do differ

    EstimatorOptions options;
    options.observed.assign(size, 0);
    std::fill_n(options.observed.begin(), 19, 1);
    for (const bool now : {true, false}) {
        options.fallback_now = now;
        options.max_batch = now ? 64 : 1;
        Estimator e(load_scheme(path), options), other(load_scheme(path + "/gmm"), options);
        const Result r = run(e, t), its = run(other, t);
        CHECK(r.mean == its.mean && r.variance == its.variance);
        for (const ItemInfo& i : r.info)
            CHECK(i.few_observed && i.steps == 1);
        RunLimit limit; // of evaluations the other member has them all
        limit.evaluations = 1;
        CHECK(run(e, t, limit).mean == its.mean);
        limit.evaluations = 0;
        CHECK(run(e, t, limit).info[3].bypassed);
        Trials same = t;
        e.run(same.y.data(), items, same.told.data(), 1, 0, same.y.data(), nullptr, nullptr);
        CHECK(same.y == its.mean);
        std::fill_n(options.observed.begin(), 20, 1);
        e.set_observed(options.observed);
        CHECK(!run(e, t).info[0].few_observed);
        std::fill_n(options.observed.begin() + 19, 1, 0);
    }
    // What the other member answers may be refuted, and it may ask for more in its turn.
    Trials alien = t;
    for (auto& y : alien.y)
        y *= 1000;
    Estimator e(load_scheme(path), options);
    const Result refuted = run(e, alien);
    CHECK(refuted.info[5].few_observed && refuted.info[5].guarded && refuted.info[5].bypassed);
    const std::string third = write_package(
        folder,
        "chain",
        m,
        with(gaussian_member, "\"fallback\": \"next\", \"fewest_observed\": 30") + "," +
            renamed(with(gaussian_member, "\"fallback\": \"gmm\", \"fewest_observed\": 20"),
                    "next") +
            "," + gmm_member);
    Estimator chain(load_scheme(third), options), last(load_scheme(third + "/gmm"), options);
    CHECK(run(chain, t).mean == run(last, t).mean);
}

void no_allocation()
{
    Folder folder;
    const std::string members = with(gaussian_member, "\"fallback\": \"gmm\"") + "," + gmm_member;
    const std::string path = write_package(folder, "toy", channels(size), members);
    Estimator e(load_scheme(path), {});
    Trials t = trials(channels(size), 100, 1e-4, 9);
    for (std::size_t i = 0; i < t.y.size() / 2; i++)
        t.y[i] *= 1000;
    Result r = run(e, t); // the mixture factors what it meets
    const long before = allocations;
    e.run(t.y.data(), 100, t.told.data(), 1, 0, r.mean.data(), r.variance.data(), r.info.data());
    CHECK_EQUAL(allocations - before, 0);
    CHECK(r.info[0].guarded && r.info[0].bypassed);
}

void errors()
{
    Folder folder;
    const auto load = [&](const std::string& members, const std::string& keys = "") {
        return load_scheme(write_package(folder, "toy", channels(size), members) + keys);
    };
    const std::string gmm = gmm_member, gauss = gaussian_member;
    CHECK_THROWS(load(with(gaussian_member, "\"fallback\": \"gm\"") + "," + gmm),
                 {"members.gaussian.fallback", "'gm'", "did you mean 'gmm'?", "leave it out"});
    CHECK_THROWS(load(with(gaussian_member, "\"fallback\": 3")),
                 {"members.gaussian.fallback is 3", "name of a member"});
    CHECK_THROWS(load(with(gaussian_member, "\"fallback\": \"gaussian\"")),
                 {"members.gaussian.fallback", "circle, gaussian -> gaussian"});
    CHECK_THROWS(load(with(gaussian_member, "\"fallback\": \"gmm\"") + "," +
                      with(gmm_member, "\"fallback\": \"gaussian\"")),
                 {"members.gmm.fallback", "circle, gaussian -> gmm -> gaussian"});
    CHECK_THROWS(load(with(gaussian_member, "\"guard\": \"yes\"")),
                 {"guard is \"yes\"", "true or false"});
    CHECK_THROWS(load(gauss, ":guard=maybe"), {"guard = 'maybe'", "'on' nor 'off'"});
    CHECK_THROWS(load(gauss, ":guard=on,start=level,sigma_max=1"),
                 {"the start 'level'", "leave 'guard' out"});
    CHECK_THROWS(load(gauss, ":guard=on,noise_updates=1"), {"noise_updates", "leave 'guard' out"});
    CHECK_THROWS(load_scheme("ls:guard=on"), {"takes no key but seed"});
    CHECK(load(gauss)->info().guard && load(gauss, ":guard=on")->info().guard);
    CHECK(!load(gauss, ":start=level,sigma_max=1")->info().guard);
    CHECK(!load(gauss, ":noise_updates=1")->info().guard);
    CHECK(!load(with(gaussian_member, "\"guard\": false"))->info().guard);
    CHECK(load(with(gaussian_member, "\"guard\": false"), ":guard=on")->info().guard);
    for (const char* said : {"-1", "2.5", "33", "\"ten\"", "true"})
        CHECK_THROWS(load(with(gaussian_member,
                               std::string("\"fallback\": \"gmm\", \"fewest_observed\": ") + said) +
                          "," + gmm),
                     {"fewest_observed is ", said, "whole number of 0 .. 32"});
    CHECK_THROWS(load(gauss, ":fewest_observed=9"), {"fewest_observed = 9", "no fallback"});
    CHECK_THROWS(load(gauss, ":fewest_observed=many"), {"fewest_observed", "many"});
    EstimatorOptions options;
    options.noise_freedom = -1;
    CHECK_THROWS(Estimator(load(gauss), options), {"noise_freedom = -1"});
}

} // namespace

int main()
{
    tails();
    false_alarms();
    draws();
    wrong_priors();
    fallbacks();
    elements();
    few_elements();
    no_allocation();
    errors();
    return check::result("guard");
}

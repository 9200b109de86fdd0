/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The estimator: units, gain, masks, noise maps, bypass, batches, and no allocation once it is made.
 */
#include "allocations.h"
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/scheme/load_scheme.h>
#include <limits>
#include <vector>

using namespace fixtures;

namespace {

const char* more_members =
    ", \"matrix\": {\"prior\": {\"type\": \"gmm\", \"weights\": \"weights.npy\", \"means\": "
    "\"means.npy\", "
    "\"covariances\": \"covariances.npy\"}, \"operator\": \"matrix\", \"start\": \"noise\"}";

struct Result {
    std::vector<cfloat> mean;
    std::vector<float> variance;
    std::vector<ItemInfo> info;
};

Result run(Estimator& e,
           const std::vector<cfloat>& y,
           const std::vector<float>& noise,
           bool per_element = false,
           std::uint64_t first = 0)
{
    const std::size_t items = y.size() / e.input_size();
    Result r;
    r.mean.assign(items * e.output_size(), cfloat(-99, -99));
    r.variance.assign(items * e.output_size(), -99);
    r.info.resize(items);
    std::vector<float> nv = noise;
    if (nv.size() == 1 && !per_element)
        nv.assign(items, noise[0]);
    e.run(y.data(),
          items,
          nv.data(),
          per_element ? e.input_size() : 1,
          first,
          r.mean.data(),
          r.variance.data(),
          r.info.data());
    return r;
}

std::vector<cfloat>
measurements(const Mixture& m, std::size_t items, double sigma, unsigned seed, double gain = 1)
{
    Random r(seed);
    std::vector<cfloat> y;
    for (std::size_t b = 0; b < items; b++) {
        const Vector v = gain * (m.draw(r) + sigma * r.cvector(m.n()));
        for (const auto& e : v)
            y.push_back(cfloat(e));
    }
    return y;
}

struct Toy {
    Folder folder;
    Mixture model = mixture();
    std::string unit, measured;
    Toy()
    {
        const std::string members = std::string(gaussian_member) + "," + gmm_member + more_members;
        unit = write_package(folder, "unit", model, members);
        measured = write_package(folder, "measured", model, members, "measured");
    }
    std::unique_ptr<Estimator> make(const std::string& spec, EstimatorOptions o = {}) const
    {
        return std::make_unique<Estimator>(load_scheme(spec), o);
    }
};

void exact_answers(const Toy& t)
{
    // Everything measured, equal noise: the posterior mean and variance.
    auto e = t.make(t.unit + "/gmm");
    const auto y = measurements(t.model, 5, 0.5, 1);
    auto r = run(*e, y, {0.25f});
    for (std::size_t b = 0; b < 5; b++) {
        const Posterior p = posterior(t.model, to_vector(&y[6 * b], 6), 0.25);
        CHECK_BELOW((to_vector(&r.mean[6 * b], 6) - p.mean).norm(), 1e-5);
        double residual = 0;
        for (int i = 0; i < 6; i++) {
            CHECK_NEAR(r.variance[6 * b + std::size_t(i)], p.covariance(i, i).real(), 1e-5);
            residual += std::norm(cdouble(y[6 * b + std::size_t(i)]) - p.mean(i)) / 6 / 0.25;
        }
        CHECK_EQUAL(r.info[b].steps, 1);
        CHECK(!r.info[b].bypassed);
        CHECK_EQUAL(std::string(r.info[b].reason), "");
        CHECK_EQUAL(r.info[b].gain, 1.0f);
        CHECK_EQUAL(r.info[b].noise_var, 0.25f);
        CHECK_NEAR(r.info[b].residual, residual, 1e-4);
    }

    // A mask and a noise map. What is given for unmeasured elements may be anything.
    EstimatorOptions o;
    o.observed = {1, 0, 1, 1, 0, 1};
    const std::vector<int> rows = {0, 2, 3, 5};
    const Matrix all = Matrix::Identity(6, 6);
    e = t.make(t.unit + "/gmm", o);
    auto holes = y;
    std::vector<float> noise;
    for (std::size_t i = 0; i < y.size(); i++) {
        noise.push_back(0.05f * float(1 + i % 5));
        if (!o.observed[i % 6])
            holes[i] = noise[i] = std::nanf("");
    }
    r = run(*e, holes, noise, true);
    auto equal = run(*e, holes, {0.25f});
    for (std::size_t b = 0; b < 5; b++) {
        Vector z(4);
        Eigen::VectorXd nv(4);
        for (int i = 0; i < 4; i++) {
            z(i) = cdouble(y[6 * b + std::size_t(rows[std::size_t(i)])]);
            nv(i) = noise[6 * b + std::size_t(rows[std::size_t(i)])];
        }
        const Matrix seen = all(rows, Eigen::all);
        CHECK_BELOW((to_vector(&r.mean[6 * b], 6) - posterior(t.model, seen, z, nv).mean).norm(),
                    1e-5);
        CHECK_BELOW((to_vector(&equal.mean[6 * b], 6) -
                     posterior(t.model, seen, z, Eigen::VectorXd::Constant(4, 0.25)).mean)
                        .norm(),
                    1e-5);
    }
    e->set_observed({});
    r = run(*e, y, {0.25f});
    CHECK_BELOW(
        (to_vector(&r.mean[0], 6) - posterior(t.model, to_vector(&y[0], 6), 0.25).mean).norm(),
        1e-5);

    // A matrix: y = A x + n with fewer rows than unknowns.
    Random random(3);
    const Matrix a = random.cmatrix(4, 6);
    EstimatorOptions om;
    om.matrix_rows = 4;
    for (Eigen::Index i = 0; i < 4; i++)
        for (Eigen::Index j = 0; j < 6; j++)
            om.matrix.push_back(cfloat(a(i, j)));
    e = t.make(t.unit + "/matrix", om);
    CHECK_EQUAL(e->input_size(), 4u);
    CHECK_EQUAL(e->output_size(), 6u);
    const Vector z = a * t.model.draw(random) + 0.3 * random.cvector(4);
    std::vector<cfloat> zs;
    for (const auto& v : z)
        zs.push_back(cfloat(v));
    const Posterior p =
        posterior(t.model, a, to_vector(zs.data(), 4), Eigen::VectorXd::Constant(4, 0.09));
    r = run(*e, zs, {0.09f});
    CHECK_BELOW((to_vector(&r.mean[0], 6) - p.mean).norm(), 1e-4);
    for (int i = 0; i < 6; i++)
        CHECK_NEAR(r.variance[std::size_t(i)], p.covariance(i, i).real(), 1e-4);
    r = run(*e, {cfloat(NAN), cfloat(2), cfloat(0), cfloat(0)}, {0.09f});
    CHECK(r.info[0].bypassed && r.variance[0] != r.variance[0]);
}

// Scale invariance: y and its noise times g^2 give the estimate times g, whatever g.
void gain(const Toy& t)
{
    auto e = t.make(t.measured + "/gmm");
    const auto y = measurements(t.model, 4, 0.3, 5);
    const auto plain = run(*e, y, {0.09f});
    for (double g : {1e-6, 0.01, 300.0, 1e6}) {
        auto scaled = y;
        for (auto& v : scaled)
            v *= float(g);
        const auto r = run(*e, scaled, {float(0.09 * g * g)});
        for (std::size_t i = 0; i < y.size(); i++) {
            CHECK_NEAR(std::abs(r.mean[i] / float(g) - plain.mean[i]), 0.0, 1e-4);
            CHECK_NEAR(r.variance[i] / (g * g), plain.variance[i], 1e-4);
        }
        CHECK_NEAR(r.info[0].gain / g, plain.info[0].gain, 1e-4);
    }
    // The rule of docs/model_contract.md, and its floor.
    double power = 0;
    for (std::size_t i = 0; i < 6; i++)
        power += std::norm(y[i]) / 6;
    CHECK_NEAR(plain.info[0].gain, std::sqrt(std::max(power - 0.09, 0.09 / std::sqrt(6.0))), 1e-5);
    CHECK_NEAR(run(*e, y, {1e4f}).info[0].gain, std::sqrt(1e4 / std::sqrt(6.0)), 1e-2);
    const auto zero = run(*e, std::vector<cfloat>(6), {1e-3f});
    CHECK(!zero.info[0].bypassed && std::isfinite(zero.mean[0].real()));
}

void least_squares()
{
    EstimatorOptions o;
    o.item_size = 4;
    Estimator e(load_scheme("ls"), o);
    const std::vector<cfloat> y = {{1, 2}, {3, 4}, {1e-20f, -0.0f}, {5e8f, 6}};
    auto r = run(e, y, {0.5f});
    CHECK(r.mean == y); // to the bit
    CHECK_EQUAL(r.variance[2], 0.5f);
    CHECK_EQUAL(r.info[0].steps, 0);
    CHECK(!r.info[0].bypassed);
    e.set_observed({1, 1, 0, 1});
    r = run(e, y, {0.1f, 0.2f, NAN, 0.4f}, true);
    CHECK_EQUAL(r.mean[2], cfloat(0, 0));
    CHECK(std::isnan(r.variance[2]));
    CHECK_EQUAL(r.variance[3], 0.4f);
    CHECK(!r.info[0].bypassed);
}

// Bad items are bypassed and marked; their neighbours in the batch are not touched. (The items are of the mixture, which the
// guard would hold against the Gaussian.)
void bypass(const Toy& t)
{
    const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
    for (const char* member : {"/gmm", "/gaussian:sampler=ddpm,steps=4,guard=off"}) {
        auto e = t.make(t.measured + member);
        const auto y = measurements(t.model, 8, 0.3, 7);
        const auto good = run(*e, y, {0.09f});
        auto bad = y;
        bad[6 * 1 + 2] = cfloat(nan, 0);
        bad[6 * 3] = cfloat(0, inf);
        bad[6 * 7 + 5] = cfloat(-inf, nan);
        std::vector<float> noise(8, 0.09f);
        noise[2] = 0;
        noise[4] = -1;
        noise[5] = nan;
        auto r = run(*e, bad, noise);
        for (std::size_t b = 0; b < 8; b++) {
            const bool touched = b != 0 && b != 6;
            CHECK_EQUAL(r.info[b].bypassed, touched);
            CHECK_EQUAL(std::string(r.info[b].reason),
                        !touched                     ? ""
                        : b == 1 || b == 3 || b == 7 ? "nan"
                                                     : "noise");
            CHECK_EQUAL(r.info[b].steps > 0, !touched);
            for (std::size_t i = 6 * b; i < 6 * b + 6; i++)
                if (!touched)
                    CHECK_NEAR(std::abs(r.mean[i] - good.mean[i]), 0.0, 1e-5);
                else if (std::isfinite(bad[i].real()) && std::isfinite(bad[i].imag()))
                    CHECK_EQUAL(r.mean[i], bad[i]);
        }
        for (float absurd : {inf, 1e31f, 3e38f, 1e-42f})
            CHECK_EQUAL(std::string(run(*e, y, {absurd}).info[0].reason), "noise");
        for (float extreme : {1e-30f, 1e-12f, 1e12f, 1e30f}) {
            r = run(*e, y, {extreme});
            for (const auto& v : r.mean)
                CHECK(std::isfinite(v.real()) && std::isfinite(v.imag()));
        }
        for (float scale : {1e-30f, 1e-19f, 1e15f, 1e38f}) { // powers that leave the range of float
            auto scaled = y;
            for (auto& v : scaled)
                v *= scale;
            r = run(*e, scaled, {0.09f});
            for (const auto& v : r.mean)
                CHECK(std::isfinite(v.real()) && std::isfinite(v.imag()));
        }
    }
}

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

void errors(const Toy& t)
{
    EstimatorOptions o;
    CHECK_THROWS(Estimator(load_scheme("ls"), o), {"give the vector length"});
    CHECK_THROWS(Estimator(nullptr, o), {"no scheme"});
    o.item_size = 5;
    CHECK_THROWS(t.make(t.unit, o), {"vector length = 5", "vectors of 6"});
    o = {};
    o.observed = {1, 0};
    CHECK_THROWS(t.make(t.unit, o), {"observed has 2 elements, the vectors have 6"});
    o.observed.assign(6, 0);
    CHECK_THROWS(t.make(t.unit, o), {"observes no element"});
    o = {};
    o.max_batch = 0;
    CHECK_THROWS(t.make(t.unit, o), {"max_batch = 0"});
    o = {};
    o.eta = 2;
    CHECK_THROWS(t.make(t.unit, o), {"eta = 2"});
    o = {};
    o.matrix.resize(6);
    o.matrix_rows = 1;
    CHECK_THROWS(t.make(t.unit, o), {"operator 'mask'", "leave the matrix out"});
    CHECK_THROWS(t.make(t.unit + "/matrix", o), {"matrix is zero"});
    o.matrix[0] = 1;
    o.matrix_rows = 2;
    CHECK_THROWS(t.make(t.unit + "/matrix", o), {"6 elements, not 2 x 6"});
    o = {};
    CHECK_THROWS(t.make(t.unit + "/matrix", o), {"needs a measurement matrix of M x 6"});
    auto e = t.make(t.unit + "/gmm");
    CHECK_THROWS(e->set_observed({1}), {"observed has 1 elements"});
    const auto y = measurements(t.model, 1, 0.4, 1);
    CHECK(!run(*e, y, {0.16f}).info[0].bypassed); // and it still works
}

} // namespace

int main()
{
    const Toy toy;
    exact_answers(toy);
    gain(toy);
    least_squares();
    bypass(toy);
    batches(toy);
    draws(toy);
    registries(toy);
    steps(toy);
    no_allocation(toy);
    errors(toy);
    return check::result("estimator");
}

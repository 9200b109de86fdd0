/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Several unknowns: the QAM prior against sums written out, looks through blocks against dense matrices, and Y = H X + N by
 * the alternating driver.
 */
#include "allocations.h"
#include "check.h"
#include "fixtures.h"

#include "operators/block_operator.h"

#include <gnuradio/diffsem/core/infer/condition.h>
#include <gnuradio/diffsem/core/infer/joint_estimator.h>
#include <gnuradio/diffsem/core/realtime/realtime.h>
#include <gnuradio/diffsem/core/scheme/load_scheme.h>

#include <limits>
#include <vector>

using namespace fixtures;

namespace {

const double inf = std::numeric_limits<double>::infinity();

std::shared_ptr<const Prior> qam(int order, std::vector<std::int64_t> shape)
{
    const Json keys = Json::parse("{\"type\": \"qam\", \"order\": " + std::to_string(order) + "}");
    const PriorEntry& entry = find_entry(priors(), "prior", "qam");
    return entry.read(
        Fields(keys, "prior", key_names(entry)), {Domain::complex, std::move(shape)}, {});
}

std::vector<cdouble> points(int order)
{
    const int side = int(std::lround(std::sqrt(double(order))));
    std::vector<cdouble> all;
    double power = 0;
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            all.emplace_back(2 * i - side + 1, 2 * j - side + 1);
            power += std::norm(all.back()) / order;
        }
    for (auto& p : all)
        p /= std::sqrt(power);
    return all;
}

// E[x0 | x] and the variance, over all points at once, in long double.
void element(const std::vector<cdouble>& all,
             cdouble x,
             double sigma,
             cdouble& mean,
             double& variance)
{
    double nearest = inf;
    for (const auto& p : all)
        nearest = std::min(nearest, std::norm(x - p));
    long double sum = 0, square = 0;
    std::complex<long double> first = 0;
    const auto weight = [&](cdouble p) {
        return std::exp(-(long double)(std::norm(x - p) - nearest) / (sigma * sigma));
    };
    for (const auto& p : all) {
        sum += weight(p);
        first += weight(p) * std::complex<long double>(p);
    }
    mean = cdouble(first / sum);
    for (const auto& p : all)
        square += weight(p) * std::norm(p - mean);
    variance = double(square / sum);
}

void qam_elements()
{
    Random r(41);
    for (int order : {4, 16, 64, 256, 1024}) {
        const auto all = points(order);
        const auto prior = qam(order, {200});
        for (double sigma : {1e-3, 1e-2, 0.1, 0.5, 2.0, 1e3}) {
            Vector x(200);
            for (auto& v : x)
                v = all[std::size_t(r.uniform() * order)] + sigma * r.cnormal();
            const Tensor given = to_tensor({x}); // as floats have it
            Estimate out(Domain::complex, {200}, 1);
            auto workspace = prior->make_workspace(1);
            prior->denoise(given, Sigma(float(sigma)), *workspace, out);
            double worst = 0, worst_variance = 0;
            for (std::size_t i = 0; i < 200; i++) {
                cdouble mean;
                double variance;
                element(all, cdouble(given.citem(0)[i]), double(float(sigma)), mean, variance);
                worst = std::max(worst, std::abs(cdouble(out.mean.citem(0)[i]) - mean));
                worst_variance =
                    std::max(worst_variance, std::abs(double(out.variance[i]) - variance));
            }
            CHECK_BELOW(worst, 2e-6);
            CHECK_BELOW(worst_variance, 2e-6);
        }
        // Nothing known: the prior's moments. What stands beside an infinite level is not read.
        Tensor nothing(Domain::complex, {200}, 1);
        nothing.citem(0)[0] = cfloat(std::nanf(""), 0);
        Estimate out(Domain::complex, {200}, 1);
        auto workspace = prior->make_workspace(1);
        prior->denoise(nothing, Sigma(Sigma::unobserved()), *workspace, out);
        CHECK_BELOW(std::abs(out.mean.citem(0)[0]), 1e-6);
        CHECK_NEAR(out.variance[0], 1, 1e-6);
    }
    CHECK_THROWS(qam(8, {4}), {"order = 8", "4, 16, 64, 256 or 1024"});
    const Json keys = Json::parse("{\"type\": \"qam\"}");
    const PriorEntry& entry = find_entry(priors(), "prior", "qam");
    CHECK_THROWS(entry.read(Fields(keys, "m.prior", key_names(entry)), {Domain::real, {4}}, {}),
                 {"m.prior", "complex"});
}

// Behind a block-diagonal matrix, against every vector of symbols; lost elements, and looks at x itself.
void qam_blocks()
{
    Random r(42);
    for (int order : {4, 16})
        for (double noise : {0.003, 0.3, 3.0}) {
            const std::size_t count = 5, rows = 4, cols = order == 4 ? 3 : 2;
            const auto all = points(order);
            std::vector<cfloat> values(count * rows * cols);
            for (auto& v : values)
                v = cfloat(r.cnormal());
            const auto op =
                std::make_shared<BlockOperator>(Blocks{values.data(), count, rows, cols, 1, count});
            const std::size_t n = count * cols, m = count * rows;
            Vector x(n), y(m), look(n);
            for (auto& v : x)
                v = all[std::size_t(r.uniform() * order)];
            Tensor applied(Domain::complex, {std::int64_t(m)}, 1);
            op->apply(to_tensor({x}), applied);
            Sigma level(1, n, Sigma::unobserved()), deviation(1, m, float(noise));
            for (std::size_t i = 0; i < m; i++)
                y(Eigen::Index(i)) = cdouble(applied.citem(0)[i]) + noise * r.cnormal();
            deviation.item(0)[1] = Sigma::unobserved();
            y(1) = cdouble(std::nan(""), 0);
            for (std::size_t i = 0; i < n; i += 2) {
                level.item(0)[i] = 0.7f;
                look(Eigen::Index(i)) = x(Eigen::Index(i)) + 0.7 * r.cnormal();
            }
            const Tensor y_given = to_tensor({y}), x_given = to_tensor({look});
            const auto denoiser = condition(qam(order, {std::int64_t(n)}), op, y_given, deviation);
            auto workspace = denoiser->make_workspace(1);
            Estimate out(Domain::complex, {std::int64_t(n)}, 1);
            denoiser->denoise(x_given, level, *workspace, out);
            double worst = 0, worst_variance = 0;
            for (std::size_t b = 0; b < count; b++) {
                const std::size_t every = std::size_t(std::lround(std::pow(order, cols)));
                std::vector<double> exponent(every);
                std::vector<std::vector<cdouble>> symbols(every);
                for (std::size_t c = 0; c < every; c++) {
                    std::size_t rest = c;
                    for (std::size_t j = 0; j < cols; j++, rest /= std::size_t(order)) {
                        symbols[c].push_back(all[rest % std::size_t(order)]);
                        const std::size_t i = j * count + b;
                        if (std::isfinite(level.at(0, i)))
                            exponent[c] -=
                                std::norm(cdouble(x_given.citem(0)[i]) - symbols[c][j]) / 0.49;
                    }
                    for (std::size_t i = 0; i < rows; i++) {
                        if (!std::isfinite(deviation.at(0, b * rows + i)))
                            continue;
                        cdouble d(y_given.citem(0)[b * rows + i]);
                        for (std::size_t j = 0; j < cols; j++)
                            d -= cdouble(values[(b * rows + i) * cols + j]) * symbols[c][j];
                        exponent[c] -= std::norm(d) / (noise * noise);
                    }
                }
                const double top = *std::max_element(exponent.begin(), exponent.end());
                double sum = 0;
                for (auto& e : exponent)
                    sum += e = std::exp(e - top);
                for (std::size_t j = 0; j < cols; j++) {
                    cdouble mean = 0;
                    double variance = 0;
                    for (std::size_t c = 0; c < every; c++)
                        mean += exponent[c] / sum * symbols[c][j];
                    for (std::size_t c = 0; c < every; c++)
                        variance += exponent[c] / sum * std::norm(symbols[c][j] - mean);
                    const std::size_t i = j * count + b;
                    worst = std::max(worst, std::abs(cdouble(out.mean.citem(0)[i]) - mean));
                    worst_variance = std::max(worst_variance, std::abs(out.variance[i] - variance));
                }
            }
            CHECK_BELOW(worst, 1e-4); // float measurements, squared, over a small variance
            CHECK_BELOW(worst_variance, 1e-4);
        }
    // 16^5 vectors of symbols are too many to be tried: the proximal step answers.
    std::vector<cfloat> values(25, cfloat(1));
    CHECK(!qam(16, {5})->joint(BlockOperator({values.data(), 1, 5, 5, 5, 1})));
    CHECK(qam(16, {4})->joint(BlockOperator({values.data(), 1, 4, 4, 4, 1})) != nullptr);
}

// Blocks are a matrix like any other: the same answers through both, for a mixture in closed form and for proximal steps.
void blocks_are_a_matrix()
{
    Random r(43);
    const Mixture m = mixture(6);
    const auto prior = make_mixture_prior(m.parameters());
    const std::size_t count = 3, rows = 4, cols = 2, n = 6, rows_in_all = 12;
    std::vector<cfloat> values(count * rows * cols), dense(rows_in_all * n);
    const auto fill = [&] {
        std::fill(dense.begin(), dense.end(), cfloat(0));
        for (std::size_t b = 0; b < count; b++)
            for (std::size_t i = 0; i < rows; i++)
                for (std::size_t j = 0; j < cols; j++) {
                    const cfloat v(r.cnormal());
                    values[(b * rows + i) * cols + j] = v;
                    dense[(b * rows + i) * n + j * count + b] = v;
                }
    };
    fill();
    const auto blocks =
        std::make_shared<BlockOperator>(Blocks{values.data(), count, rows, cols, 1, count});
    const Tensor y = to_tensor({r.cvector(12)}), z = to_tensor({r.cvector(6)});
    Sigma noise(1, rows_in_all, 0.3f), level(1, n, 0.8f);
    noise.item(0)[4] = Sigma::unobserved();
    PosteriorDenoiser through(prior, blocks);
    through.measure(y, noise);
    auto space = through.make_workspace(1);
    for (int round = 0; round < 3; round++) { // other numbers in the same operator
        const auto matrix = make_matrix_operator(dense, rows_in_all, n);
        const auto direct = condition(prior, matrix, y, noise);
        auto its_space = direct->make_workspace(1);
        Estimate a(Domain::complex, {6}, 1), b(Domain::complex, {6}, 1);
        for (const Sigma& s : {level, Sigma(Sigma::unobserved())}) {
            through.denoise(z, s, *space, a);
            direct->denoise(z, s, *its_space, b);
            for (std::size_t i = 0; i < n; i++) {
                CHECK_BELOW(std::abs(a.mean.citem(0)[i] - b.mean.citem(0)[i]), 3e-5);
                CHECK_NEAR(a.variance[i], b.variance[i], 3e-5);
            }
        }
        Tensor one(Domain::complex, {6}, 1), other(Domain::complex, {6}, 1);
        std::vector<cdouble> scratch(matrix->scratch_size());
        blocks->proximal(y, noise, z, level, one, scratch.data());
        matrix->proximal(y, noise, z, Sigma(0.8f), other, scratch.data());
        for (std::size_t i = 0; i < n; i++)
            CHECK_BELOW(std::abs(one.citem(0)[i] - other.citem(0)[i]), 3e-5);
        CHECK_NEAR(blocks->power(), matrix->power(), 1e-5);
        fill();
        for (std::size_t b2 = 0; b2 < count; b2++)
            std::copy_n(
                values.begin() + std::ptrdiff_t(b2 * rows * cols), rows * cols, blocks->block(b2));
        const long before = allocations;
        const bool replaced = through.replace(blocks);
        const long taken = allocations - before;
        CHECK(replaced);
#ifdef COUNTS_ALLOCATIONS
        CHECK_EQUAL(taken, 0);
#endif
        (void)taken;
    }
    // Independent Gaussians need no closed form of all elements: a proximal step for each block is exact, at any level of x.
    MixtureParameters apart;
    apart.shape = {6};
    for (std::size_t i = 0; i < n; i++) {
        apart.variances.push_back(0.2 + 0.3 * double(i));
        apart.means.push_back(r.cnormal());
    }
    const auto independent = make_mixture_prior(apart);
    CHECK(!independent->joint(*blocks));
    const auto stepped = condition(independent, blocks, y, noise);
    const auto closed =
        condition(independent, make_matrix_operator(dense, rows_in_all, n), y, noise);
    auto of_stepped = stepped->make_workspace(1), of_closed = closed->make_workspace(1);
    Estimate a(Domain::complex, {6}, 1), b(Domain::complex, {6}, 1);
    for (const Sigma& s : {level, Sigma(Sigma::unobserved())}) {
        stepped->denoise(z, s, *of_stepped, a);
        closed->denoise(z, s, *of_closed, b);
        CHECK(a.has_variance);
        for (std::size_t i = 0; i < n; i++) {
            CHECK_BELOW(std::abs(a.mean.citem(0)[i] - b.mean.citem(0)[i]), 3e-5);
            CHECK_NEAR(a.variance[i], b.variance[i], 3e-6);
        }
    }
}

constexpr std::size_t receive = 4, transmit = 2, columns = 14, pilots = 2;

std::string member(const std::string& plan, const std::string& more = "")
{
    return "{\"operator\": {\"type\": \"mimo\", \"receive\": 4, \"transmit\": 2, \"time\": 14, "
           "\"pilots\": \"pilots.npy\"}, \"unknowns\": {\"H\": {\"prior\": {\"type\": "
           "\"gaussian\", \"covariance\": \"covariance.npy\"}}, \"X\": {\"prior\": {\"type\": "
           "\"qam\", \"order\": 4}}}, \"plan\": " +
           plan + more + "}";
}

// The package: H of 8 elements (4 x 2), correlated.
std::string package(const Folder& folder, const std::string& members)
{
    const Mixture h = gaussian(receive * transmit, 1.5);
    std::string files;
    const auto add = [&](const std::string& name, const std::string& bytes) {
        files += (files.empty() ? "\"" : ", \"") + name + "\": \"" + sha256_hex(bytes) + "\"";
        folder.write("mimo/" + name, bytes);
    };
    std::vector<cdouble> covariance;
    for (Eigen::Index i = 0; i < 8; i++)
        for (Eigen::Index j = 0; j < 8; j++)
            covariance.push_back(h.covariances[0](i, j));
    add("covariance.npy", npy({8, 8}, covariance));
    const double s = std::sqrt(0.5);
    add("pilots.npy",
        npy({transmit, pilots},
            std::vector<cdouble>{cdouble(s, s), cdouble(s, s), cdouble(s, s), cdouble(-s, -s)}));
    folder.write("mimo/manifest.json",
                 "{\"diffsem.contract\": 1, \"name\": \"mimo\", \"signal\": {\"domain\": "
                 "\"complex\", \"shape\": [4, 14], \"gain\": \"unit\"}, \"members\": {" +
                     members + "}, \"files\": {" + files + "}}");
    return folder.path("mimo");
}

struct Frame {
    Vector h, x;
    std::vector<cfloat> y;
};

Frame frame(Random& r, double noise_var)
{
    const Mixture model = gaussian(receive * transmit, 1.5);
    const auto qpsk = points(4);
    Frame f{model.draw(r), Vector(transmit * columns), {}};
    for (auto& v : f.x)
        v = qpsk[std::size_t(r.uniform() * 4)];
    const double s = std::sqrt(0.5);
    f.x(0) = f.x(1) = f.x(columns) = cdouble(s, s);
    f.x(columns + 1) = cdouble(-s, -s);
    for (std::size_t i = 0; i < receive; i++)
        for (std::size_t t = 0; t < columns; t++) {
            cdouble sum = std::sqrt(noise_var) * r.cnormal();
            for (std::size_t k = 0; k < transmit; k++)
                sum += f.h(Eigen::Index(i * transmit + k)) * f.x(Eigen::Index(k * columns + t));
            f.y.push_back(cfloat(sum));
        }
    return f;
}

struct Answer {
    std::vector<cfloat> h = std::vector<cfloat>(8), x = std::vector<cfloat>(28);
    std::vector<float> vh = std::vector<float>(8), vx = std::vector<float>(28);
    ItemInfo info;
};

Answer
run(JointEstimator& e, const Frame& f, const std::vector<float>& noise, const RunLimit& limit = {})
{
    Answer a;
    cfloat* means[] = {a.h.data(), a.x.data()};
    float* variances[] = {a.vh.data(), a.vx.data()};
    e.run(f.y.data(), 1, noise.data(), noise.size(), 0, means, variances, &a.info, limit);
    return a;
}

double error(const std::vector<cfloat>& a, const Vector& truth)
{
    return (to_vector(a.data(), truth.size()) - truth).squaredNorm();
}

void alternating()
{
    const Folder folder;
    const std::string path = package(
        folder,
        "\"joint\": " + member("{\"type\": \"alternate\", \"rounds\": 8}") + ", \"pilots\": " +
            member("{\"type\": \"alternate\", \"rounds\": 1, \"order\": [\"H\", \"X\"]}"));
    const auto scheme = load_scheme(path);
    CHECK_EQUAL(scheme->info().unknowns.size(), 2u);
    CHECK_EQUAL(scheme->info().op, "mimo");
    CHECK_EQUAL(scheme->info().prior, "H: gaussian, X: qam");
    JointEstimator joint(scheme, {}), alone(load_scheme(path + "/pilots"), {});
    CHECK_EQUAL(joint.input_size(), receive * columns);
    CHECK_EQUAL(joint.max_evaluations(), 16);
    CHECK_EQUAL(joint.name(1), "X");
    CHECK_EQUAL(joint.output_size(1), 28u);
    CHECK(joint.trial_cost().seconds() > 0);

    Random r(44);
    const double nv = 0.1;
    double ours = 0, theirs = 0, genie = 0, power = 0;
    for (int trial = 0; trial < 40; trial++) {
        const Frame f = frame(r, nv);
        const Answer a = run(joint, f, {float(nv)}), p = run(alone, f, {float(nv)});
        CHECK(!a.info.bypassed && !p.info.bypassed);
        CHECK_EQUAL(a.info.steps, 16);
        ours += error(a.h, f.h);
        theirs += error(p.h, f.h);
        power += f.h.squaredNorm();
        for (std::size_t i = 0; i < pilots; i++) { // known elements come out as they are
            CHECK(std::abs(a.x[i] - cfloat(f.x(Eigen::Index(i)))) < 1e-6f);
            CHECK_EQUAL(a.vx[i], 0.0f);
        }
        // Pilots alone are linear MMSE with a known matrix; the whole frame, were it known, likewise.
        const auto known = [&](std::size_t used) {
            Matrix b = Matrix::Zero(Eigen::Index(receive * used), 8);
            Vector z(Eigen::Index(receive * used));
            for (std::size_t i = 0; i < receive; i++)
                for (std::size_t t = 0; t < used; t++) {
                    const auto row = Eigen::Index(i * used + t);
                    z(row) = cdouble(f.y[i * columns + t]);
                    for (std::size_t k = 0; k < transmit; k++)
                        b(row, Eigen::Index(i * transmit + k)) = f.x(Eigen::Index(k * columns + t));
                }
            return posterior(gaussian(8, 1.5), b, z, Eigen::VectorXd::Constant(z.size(), nv));
        };
        const Posterior exact = known(pilots);
        CHECK_BELOW(std::sqrt(error(p.h, exact.mean)), 1e-4);
        for (std::size_t i = 0; i < 8; i++)
            CHECK_NEAR(p.vh[i], exact.covariance(Eigen::Index(i), Eigen::Index(i)).real(), 1e-4);
        genie += (known(columns).mean - f.h).squaredNorm();
    }
    std::printf("NMSE of H: pilots %.2f dB, joint %.2f dB, all symbols known %.2f dB\n",
                db(theirs / power),
                db(ours / power),
                db(genie / power));
    CHECK_BELOW(db(ours / theirs), -3);
    CHECK_BELOW(db(ours / genie), 1.5);
}

void what_can_come()
{
    const Folder folder;
    const std::string path = package(folder, "\"joint\": " + member("\"alternate\""));
    JointEstimator joint(load_scheme(path + ":rounds=4"), {});
    CHECK_EQUAL(joint.max_evaluations(), 8);
    Random r(45);
    const Frame f = frame(r, 0.01);
    const Answer whole = run(joint, f, {0.01f});

    // A lost column and a lost element: y is not read there, the rest is as good as before.
    std::vector<float> noise(receive * columns, 0.01f);
    Frame lossy = f;
    for (std::size_t i = 0; i < receive; i++) {
        noise[i * columns + 5] = Sigma::unobserved();
        lossy.y[i * columns + 5] = cfloat(std::nanf(""), 0);
    }
    noise[9] = Sigma::unobserved();
    lossy.y[9] = cfloat(std::numeric_limits<float>::infinity(), 0);
    const Answer rest = run(joint, lossy, noise);
    CHECK(!rest.info.bypassed);
    CHECK_BELOW(error(rest.h, f.h) / f.h.squaredNorm(), 0.01);
    CHECK_NEAR(rest.vx[5], 1, 1e-5); // nothing is known of what was lost
    CHECK_NEAR(rest.vx[columns + 5], 1, 1e-5);
    CHECK_BELOW(rest.vx[6], 0.01);

    // The same noise for each element is the same as one for all.
    const Answer each = run(joint, f, std::vector<float>(receive * columns, 0.01f));
    for (std::size_t i = 0; i < 8; i++)
        CHECK_BELOW(std::abs(each.h[i] - whole.h[i]), 1e-6);

    // Nonsense is bypassed and marked; least squares by the pilots where y can be read.
    Frame broken = f;
    broken.y[3] = cfloat(std::nanf(""), 0);
    const Answer nan = run(joint, broken, {0.01f});
    CHECK(nan.info.bypassed && std::string(nan.info.reason) == "nan");
    CHECK(nan.h[0] == cfloat(0) && std::isnan(nan.vh[0]));
    const Answer negative = run(joint, f, {-1.0f});
    CHECK(negative.info.bypassed && std::string(negative.info.reason) == "noise");
    CHECK_BELOW(error(negative.h, f.h) / f.h.squaredNorm(), 0.05);
    CHECK_BELOW(error(negative.x, f.x) / f.x.squaredNorm(), 0.1);

    // Fewer evaluations are fewer rounds; not one round is the classical answer.
    CHECK_EQUAL(run(joint, f, {0.01f}, {5, "deadline"}).info.steps, 4);
    const Answer none = run(joint, f, {0.01f}, {1, "deadline"});
    CHECK(none.info.bypassed && std::string(none.info.reason) == "deadline");
    CHECK_BELOW(std::sqrt(error(none.h, to_vector(negative.h.data(), 8))), 1e-6);

#ifdef COUNTS_ALLOCATIONS
    Answer a;
    cfloat* means[] = {a.h.data(), a.x.data()};
    float* variances[] = {a.vh.data(), a.vx.data()};
    const float nv = 0.01f;
    const long before = allocations;
    joint.run(f.y.data(), 1, &nv, 1, 0, means, variances, &a.info);
    const long taken = allocations - before;
    CHECK_EQUAL(taken, 0);
#endif
}

void refusals()
{
    const auto fails = [](const std::string& text, std::initializer_list<const char*> parts) {
        const Folder folder;
        const std::string path = package(folder, "\"joint\": " + text);
        check::throws([&] { JointEstimator(load_scheme(path), {}); }, parts, __FILE__, __LINE__);
    };
    const auto changed = [](std::string from, const std::string& old, const std::string& with) {
        const auto at = from.find(old);
        CHECK(at != std::string::npos);
        return from.replace(at, old.size(), with);
    };
    const std::string good = member("\"alternate\"");
    fails(changed(good, "\"prior\": {\"type\": \"qam\", \"order\": 4}", ""),
          {"unknowns.X has no prior"});
    fails(changed(good, "\"X\": {\"prior\"", "\"Z\": {\"prior\""), {"no unknown 'Z'", "H, X"});
    fails(changed(good, "{\"type\": \"qam\", \"order\": 4}", "{\"type\": \"none\"}"),
          {"unknowns.X", "needs a prior"});
    fails(member("{\"type\": \"alternate\", \"order\": [\"H\", \"Q\"]}"),
          {"plan.order", "'Q' is no unknown"});
    fails(member("{\"type\": \"alternate\", \"order\": [\"H\"]}"),
          {"plan.order", "'X' is never updated"});
    fails(member("{\"type\": \"alternate\", \"rounds\": 0}"), {"rounds = 0", "1 .. 1000"});
    fails(member("{\"type\": \"alternate\", \"rounds\": 3, \"settle\": 4}"),
          {"settle = 4", "0 .. rounds = 3"});
    fails(member("\"turns\""), {"driver 'turns' is unknown", "alternate"});
    fails(changed(good, "\"type\": \"mimo\", ", "\"type\": \"mime\", "),
          {"bilinear operator 'mime' is unknown", "did you mean 'mimo'"});
    fails("{\"unknowns\": {\"H\": {}}}", {"unknowns but no operator", "mimo"});
    fails(changed(good, "\"time\": 14", "\"time\": 15"), {"signal.shape = [4, 14]", "[4, 15]"});
    fails(changed(good, "\"transmit\": 2", "\"transmit\": 3"), {"operator.pilots", "3 x any"});
    fails(changed(good, "\"receive\": 4, ", ""), {"operator.receive", "missing"});
    fails("{\"operator\": {\"type\": \"mimo\", \"receive\": 256, \"transmit\": 256, \"time\": "
          "65536}, "
          "\"unknowns\": {}}",
          {"256 x 256 x 65536", "smaller"});
    fails(changed(good, "\"pilots\": \"pilots.npy\"", "\"pilot_columns\": [0, 1]"),
          {"pilot_columns", "'pilots' too"});
    fails(changed(good,
                  "\"pilots\": \"pilots.npy\"",
                  "\"pilots\": \"pilots.npy\", \"pilot_columns\": [0, 14]"),
          {"pilot_columns", "0 to 13"});
    fails(changed(good,
                  "\"pilots\": \"pilots.npy\"",
                  "\"pilots\": \"pilots.npy\", \"pilot_columns\": [3, 3]"),
          {"column 3 stands twice"});
    fails(changed(good, ", \"pilots\": \"pilots.npy\"", ""),
          {"H and X both have mean 0", "give pilots"});
    fails(member("\"alternate\"", ", \"guard\": true"), {"guard", "several unknowns"});

    const Folder folder;
    const std::string path = package(folder, "\"joint\": " + good);
    CHECK_THROWS(load_scheme(path + ":sampler=ddim"),
                 {"'sampler' is of schemes of one unknown", "rounds, settle and seed"});
    CHECK_THROWS(Estimator(load_scheme(path), {}), {"several unknowns", "estimate_joint"});
    CHECK_THROWS(JointEstimator(load_scheme("ls"), {}), {"'ls' has one unknown"});
    EstimatorOptions options;
    options.item_size = 7;
    CHECK_THROWS(JointEstimator(load_scheme(path), options), {"item_size = 7", "56"});
    options = {};
    options.observed = {1};
    CHECK_THROWS(JointEstimator(load_scheme(path), options), {"neither a matrix", "infinite"});
    const std::string one = write_package(folder, "one", gaussian(), gaussian_member);
    CHECK_THROWS(load_scheme(one + ":rounds=3"), {"'rounds' is of schemes of several unknowns"});
}

} // namespace

int main()
{
    qam_elements();
    qam_blocks();
    blocks_are_a_matrix();
    alternating();
    what_can_come();
    refusals();
    return check::result("joint");
}

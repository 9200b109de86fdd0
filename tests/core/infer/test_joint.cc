/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Several unknowns: Y = H X + N by the alternating driver, what can come, and what is refused.
 */
#include "allocations.h"
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/infer/joint_estimator.h>
#include <gnuradio/diffsem/core/realtime/realtime.h>
#include <gnuradio/diffsem/core/scheme/load_scheme.h>

#include <limits>
#include <vector>

using namespace fixtures;

namespace {

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
    const auto qpsk = qam_points(4);
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
    options = {};
    options.noise_freedom = 15;
    CHECK_THROWS(JointEstimator(load_scheme(path), options),
                 {"noise_freedom = 15", "no guard", "leave it 0"});
    options = {};
    options.max_batch = 0;
    CHECK_THROWS(JointEstimator(load_scheme(path), options), {"max_batch = 0", "1 .. 65536"});
    options = {};
    options.conditions["class"] = {3};
    CHECK_THROWS(JointEstimator(load_scheme(path), options),
                 {"no condition 'class'", "takes none"});
    const std::string one = write_package(folder, "one", gaussian(), gaussian_member);
    CHECK_THROWS(load_scheme(one + ":rounds=3"), {"'rounds' is of schemes of several unknowns"});
}

} // namespace

int main()
{
    alternating();
    what_can_come();
    refusals();
    return check::result("joint");
}

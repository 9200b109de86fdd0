/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One estimator for every domain: real numbers as they lie in memory, elements that are lost, operators that are
 * exchanged.
 */
#include "check.h"
#include "fixtures.h"

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/scheme/load_scheme.h>

#include <limits>
#include <vector>

using namespace fixtures;

namespace {

const char* matrix_member =
    ", \"matrix\": {\"prior\": {\"type\": \"gmm\", \"weights\": \"weights.npy\", \"means\": "
    "\"means.npy\", "
    "\"covariances\": \"covariances.npy\"}, \"operator\": \"matrix\", \"start\": \"noise\"}";
constexpr float lost = std::numeric_limits<float>::infinity();

// A scheme made of parts, as load_scheme makes it of a package.
std::shared_ptr<const Scheme> real_scheme(std::shared_ptr<const Prior> prior, std::size_t n)
{
    SchemeInfo info;
    info.spec = "real";
    info.shape = {std::int64_t(n)};
    info.complex_domain = false;
    info.op = "identity";
    info.start = "matched";
    info.sampler = "one_step";
    SchemeParts parts;
    parts.prior = std::move(prior);
    parts.op = &find_entry(operators(), "operator", "identity");
    const Json none = Json::object();
    parts.make_operator = parts.op->read(Fields(none, "op", {}), {Domain::real, info.shape});
    parts.start = &find_entry(starts(), "start", "matched");
    parts.sampler = &find_entry(samplers(), "sampler", "one_step");
    return std::make_shared<Scheme>(info, parts);
}

// Independent real Gaussians: v / (v + nv) y, in floats and in complex numbers whose imaginary part is nobody's.
void real_numbers()
{
    const std::vector<double> v = {2.0, 0.5, 1.0, 0.1};
    MixtureParameters p;
    p.domain = Domain::real;
    p.shape = {4};
    p.variances = v;
    const auto scheme = real_scheme(make_mixture_prior(p), 4);
    Estimator e(scheme, {});
    const std::vector<float> y = {1, -2, 0.3f, 4, 0.1f, 0.2f, -0.3f, 0.4f}, noise = {0.2f, 1.0f};
    std::vector<float> mean(8), variance(8);
    std::vector<ItemInfo> info(2);
    e.run(y.data(), 2, noise.data(), 1, 0, mean.data(), variance.data(), info.data());
    std::vector<cfloat> cy, cmean(8);
    for (float value : y)
        cy.push_back({value, 0.5f});
    e.run(cy.data(), 2, noise.data(), 1, 0, cmean.data(), nullptr, nullptr);
    for (std::size_t i = 0; i < 8; i++) {
        const double nv = noise[i / 4], vi = v[i % 4];
        CHECK_NEAR(mean[i], vi / (vi + nv) * y[i], 1e-6);
        CHECK_NEAR(variance[i], vi * nv / (vi + nv), 1e-6);
        CHECK_EQUAL(cmean[i], cfloat(mean[i], 0.0f));
    }
    CHECK(!info[1].bypassed && info[1].noise_var == 1.0f && info[0].steps == 1);
    std::vector<float> bad = y;
    bad[2] = std::nanf("");
    e.run(bad.data(), 2, noise.data(), 1, 0, mean.data(), nullptr, info.data());
    CHECK(info[0].bypassed && info[0].reason == std::string("nan") && !info[1].bypassed);
    CHECK(std::isnan(mean[2]) && mean[0] == 1.0f);
}

// An element of infinite noise is one that is not observed, whatever y says there.
void lost_elements()
{
    Folder folder;
    const Mixture m = mixture();
    const std::string path = write_package(
        folder, "toy", m, std::string(gaussian_member) + "," + gmm_member, "measured");
    Random r(5);
    for (const char* spec : {"/gmm",
                             "/gaussian:guard=off", // the draws are of the mixture
                             "/gmm:sampler=ddpm,steps=4",
                             "/gmm:start=noise,sampler=posterior_mean"}) {
        EstimatorOptions masked;
        masked.observed = {1, 0, 1, 1, 0, 1};
        const auto scheme = load_scheme(path + spec);
        Estimator whole(scheme, {}), part(scheme, masked);
        std::vector<cfloat> y, a(6), b(6);
        for (const auto& value : Vector(m.draw(r) + 0.3 * r.cvector(6)))
            y.push_back(cfloat(value));
        y[1] = {std::nanf(""), lost};
        const std::vector<float> noise = {0.09f, lost, 0.05f, 0.2f, lost, 0.09f};
        const std::vector<float> told = {0.09f, 1.0f, 0.05f, 0.2f, 1.0f, 0.09f};
        std::vector<float> va(6), vb(6);
        ItemInfo ia, ib;
        whole.run(y.data(), 1, noise.data(), 6, 3, a.data(), va.data(), &ia);
        part.run(y.data(), 1, told.data(), 6, 3, b.data(), vb.data(), &ib);
        CHECK(!ia.bypassed && !ib.bypassed);
        CHECK_NEAR(ia.gain, ib.gain, 1e-6);
        CHECK_NEAR(ia.noise_var, ib.noise_var, 1e-7);
        CHECK_NEAR(ia.residual, ib.residual, 1e-4);
        for (std::size_t i = 0; i < 6; i++) {
            CHECK_BELOW(std::abs(a[i] - b[i]), 2e-5);
            CHECK_NEAR(va[i], vb[i], 2e-5);
        }
    }
    // Nothing at all: no power to be measured.
    Estimator e(load_scheme(path + "/gmm"), {});
    const std::vector<float> nothing(6, lost);
    std::vector<cfloat> y(6, cfloat(1.0f)), mean(6);
    ItemInfo info;
    e.run(y.data(), 1, nothing.data(), 6, 0, mean.data(), nullptr, &info);
    CHECK(info.bypassed && info.reason == std::string("noise") && mean[0] == cfloat(0.0f));
}

void other_operators()
{
    Folder folder;
    const Mixture m = mixture();
    const std::string path = write_package(
        folder, "toy", m, std::string(gaussian_member) + "," + gmm_member + matrix_member);
    Estimator e(load_scheme(path + "/gmm"), {});
    CHECK_THROWS(e.set_operator(make_identity_operator(5)), {"operator 'mask'", "another size"});
    CHECK_THROWS(e.set_operator(make_matrix_operator(std::vector<cfloat>(36, 1.0f), 6, 6)),
                 {"another one was given"});
    CHECK_THROWS(e.set_operator(nullptr), {"another one was given"});
    e.set_operator(make_mask_operator({1, 1, 1, 0, 1, 1}));
    std::vector<cfloat> y(6, cfloat(0.5f)), mean(6), fresh(6);
    const float noise = 0.1f;
    ItemInfo info;
    e.run(y.data(), 1, &noise, 1, 0, mean.data(), nullptr, &info);
    CHECK(!info.bypassed && mean[3] != y[3]);
    // Another matrix of the same size is the one that is inferred through, also by a prior in closed form.
    const auto through = load_scheme(path + "/matrix");
    const auto matrix = [](float scale) {
        std::vector<cfloat> a(36, cfloat(0.0f));
        for (std::size_t i = 0; i < 6; i++)
            a[7 * i] = scale;
        return a;
    };
    EstimatorOptions one, two;
    one.matrix = matrix(1);
    two.matrix = matrix(2);
    one.matrix_rows = two.matrix_rows = 6;
    Estimator changed(through, one), made(through, two);
    changed.set_operator(make_matrix_operator(two.matrix, 6, 6));
    changed.run(y.data(), 1, &noise, 1, 0, mean.data(), nullptr, nullptr);
    made.run(y.data(), 1, &noise, 1, 0, fresh.data(), nullptr, nullptr);
    for (std::size_t i = 0; i < 6; i++)
        CHECK_BELOW(std::abs(mean[i] - fresh[i]), 1e-6);
}

} // namespace

int main()
{
    real_numbers();
    lost_elements();
    other_operators();
    return check::result("domains");
}

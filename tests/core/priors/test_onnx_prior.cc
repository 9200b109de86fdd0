/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every parametrisation of one Gaussian denoiser gives the same D. The files are written by
 * tests/data/make_onnx_priors.py; the truth is D = v / (v + sigma^2) x in closed form.
 */
#include "onnx_test.h"
#include "priors/denoiser_spec.h"

#include <gnuradio/diffsem/core/priors/prior.h>

#include <cmath>
#include <random>
#include <vector>

using namespace gr::diffsem::core;

namespace {

const float variances[] = {0.2f, 0.8f, 1.2f, 1.8f};
constexpr std::size_t n = 4;

struct Case {
    const char* name;
    double tolerance; // of |error| over the RMS of D; float32 loses digits where sigma is small
};

const Case cases[] = {
    {"x0_ve", 1e-5},       {"x0_vp", 1e-5},       {"x0_flow", 2e-5},
    {"eps_ve", 1e-4},      {"eps_vp", 1e-4},      {"eps_flow", 1e-4},
    {"v_ve", 1e-4},        {"v_vp", 1e-4},        {"v_flow", 1e-4},
    {"score_ve", 1e-4},    {"score_vp", 1e-4},    {"score_flow", 1e-4},
    {"flow_ve", 1e-4},     {"flow_vp", 1e-4},     {"flow_flow", 1e-4},
    {"timestep", 2e-4},    {"interleaved", 1e-4}, {"magnitude_phase", 1e-4},
    {"real", 1e-4},        {"per_element", 1e-4}, {"per_element_interleaved", 1e-5},
    {"fixed_batch", 1e-4}, {"half_std", 1e-4},    {"graph_normalised", 1e-5},
    {"variance", 1e-4}};

std::shared_ptr<const Prior> load(const std::string& name)
{
    return make_onnx_prior(data_file("priors/" + name + ".onnx"), LoadOptions());
}

struct Answer {
    double error = 0;          // worst of all elements, against the RMS of D
    double variance_error = 0; // relative
};

//! Runs a batch at these levels and compares it with the closed form told `factor` times the level.
Answer
compare(const Prior& prior, Workspace& workspace, const Sigma& sigma, unsigned seed, double factor)
{
    const bool is_complex = prior.traits().domain == Domain::complex;
    const std::size_t batch = sigma.batch(), components = is_complex ? 2 : 1;
    Tensor x(prior.traits().domain, {n}, batch);
    Estimate out(prior.traits().domain, {n}, batch);
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    double power = 0;
    std::vector<double> truth;
    for (std::size_t b = 0; b < batch; ++b)
        for (std::size_t e = 0; e < n; ++e)
            for (std::size_t c = 0; c < components; ++c) {
                const double s = sigma.at(b, e), v = variances[e];
                const double value = normal(random) * std::sqrt((v + s * s) / double(components));
                x.item(b)[e * components + c] = static_cast<float>(value);
                const double told = s * factor;
                truth.push_back(std::isinf(s) ? 0 : v / (v + told * told) * value);
                if (std::isinf(s))
                    x.item(b)[e * components + c] = NAN; // must not be looked at
                power += truth.back() * truth.back();
            }
    prior.denoise(x, sigma, workspace, out);
    const double rms = std::sqrt(power / double(truth.size()));
    Answer answer;
    for (std::size_t i = 0; i < truth.size(); ++i) {
        const double error = std::fabs(out.mean.data()[i] - truth[i]) / rms;
        answer.error = error <= answer.error ? answer.error : error; // lets NaN through
    }
    if (out.has_variance)
        for (std::size_t b = 0; b < batch; ++b)
            for (std::size_t e = 0; e < n; ++e) {
                const double s = sigma.at(b, e), v = variances[e];
                const double expected = std::isinf(s) ? v : v * s * s / (v + s * s);
                answer.variance_error =
                    std::max(answer.variance_error,
                             std::fabs(out.variance[b * n + e] - expected) / expected);
            }
    return answer;
}

void same_d_everywhere()
{
    for (const auto& c : cases) {
        const auto prior = load(c.name);
        const auto workspace = prior->make_workspace(4);
        for (const float level : {0.1f, 0.5f, 1.0f, 3.0f})
            for (const std::size_t batch : {1, 4, 7}) { // 7: more than the workspace was made for
                const Sigma sigma(batch, 1, level);
                const Answer right = compare(*prior, *workspace, sigma, 1, 1.0);
                CHECK_MSG(right.error < c.tolerance,
                          std::string(c.name) + " at sigma " + std::to_string(level) + ": error " +
                              std::to_string(right.error));
                CHECK_MSG(right.variance_error < 1e-3, std::string(c.name) + ": variance");
            }
        // Twice the noise power is told apart by far.
        const Sigma sigma(4, 1, 1.0f);
        CHECK_MSG(compare(*prior, *workspace, sigma, 2, std::sqrt(2.0)).error > 100 * c.tolerance,
                  std::string(c.name) + ": a 3 dB mistake passes");
    }
}

void levels_of_each_element()
{
    const auto prior = load("per_element");
    CHECK(prior->traits().tensor_sigma);
    CHECK(prior->traits().variance);
    const auto workspace = prior->make_workspace(3);
    Sigma sigma(3, n);
    for (std::size_t b = 0; b < 3; ++b)
        for (std::size_t e = 0; e < n; ++e)
            sigma.item(b)[e] = 0.1f * float(1 + 2 * e + b);
    CHECK(compare(*prior, *workspace, sigma, 3, 1.0).error < 1e-4);

    // An element that was not observed: what the prior says of it, 0, and all of its variance.
    sigma.item(1)[2] = Sigma::unobserved();
    const Answer answer = compare(*prior, *workspace, sigma, 4, 1.0);
    CHECK(answer.error < 1e-4);
    CHECK(answer.variance_error < 0.01); // the level stands at the maximum, 20, not at infinity
}

void levels_out_of_range()
{
    const auto prior = load("eps_vp");
    CHECK(prior->traits().sigma_min == 0.02f && prior->traits().sigma_max == 20.0f);
    const auto workspace = prior->make_workspace(1);
    for (const float level : {25.0f, 200.0f, 1e6f}) {
        const Answer answer = compare(*prior, *workspace, Sigma(1, 1, level), 5, 1.0);
        CHECK_MSG(answer.error < 0.02, "beyond the maximum: " + std::to_string(answer.error));
    }
    CHECK(compare(*prior, *workspace, Sigma(1, 1, 1e-4f), 6, 1.0).error < 0.01);
}

void without_time()
{
    const auto prior = load("no_time");
    const auto workspace = prior->make_workspace(2);
    CHECK(compare(*prior, *workspace, Sigma(2, 1, 1.0f), 7, 1.0).error < 1e-5);
}

void whole_timesteps()
{
    // Told the nearest of 100 steps only: right to that step's width, and wrong by no more.
    const auto prior = load("timestep_int");
    const auto workspace = prior->make_workspace(2);
    CHECK(compare(*prior, *workspace, Sigma(2, 1, 1.0f), 8, 1.0).error < 0.1);
}

void buffers_are_not_reused()
{
    const auto prior = load("v_vp");
    const auto workspace = prior->make_workspace(4);
    for (unsigned seed = 20; seed < 24; ++seed)
        CHECK(compare(*prior, *workspace, Sigma(4, 1, 0.7f), seed, 1.0).error < 1e-4);
}

//! Metadata altered in memory, refused with the key, the value and the remedy.
void contradictions()
{
    struct Wrong {
        const char *file, *key, *value, *in_message;
    };
    const Wrong all[] = {
        {"eps_vp", "diffsem.contract", "9", "diffsem.contract is '9'"},
        {"eps_vp", "diffsem.contract", "", "diffsem.contract"},
        {"eps_vp", "diffsem.role", "classifier", "onnx_inference"},
        {"eps_vp", "diffsem.prediction", "noise", "x0, eps, v, score, flow"},
        {"eps_vp", "diffsem.input_scaling", "edm", "ve, vp, flow"},
        {"eps_vp", "diffsem.time_embedding", "none", "2"},
        {"no_time", "diffsem.time_embedding", "sigma", "inputs"},
        {"eps_vp", "diffsem.time_embedding", "timestep", "diffsem.schedule"},
        {"timestep", "diffsem.schedule", "{\"type\":\"linear_vp\",\"steps\":1e9}", "steps"},
        {"timestep", "diffsem.schedule", "{\"type\":", "diffsem.schedule"},
        {"eps_vp", "diffsem.shape", "[5]", "x: float32 [batch, 2, 4]"},
        {"eps_vp", "diffsem.shape", "[-4]", "positive"},
        {"eps_vp", "diffsem.shape", "[1e30]", "positive"},
        {"eps_vp", "diffsem.shape", "", "diffsem.shape"},
        {"eps_vp", "diffsem.layout", "interleaved", "[batch, 4, 2]"},
        {"eps_vp", "diffsem.domain", "real", "diffsem.domain"},
        {"eps_vp", "diffsem.learned_variance", "log_variance", "second output"},
        {"eps_vp", "diffsem.sigma_range", "[3, 1]", "0 < min < max"},
        {"eps_vp", "diffsem.normalisation", "{\"component_std\": 0}", "component_std"},
        {"eps_vp", "diffsem.normalisation", "{\"applied_by\": \"graph\"}", "predict x0"},
    };
    for (const auto& w : all) {
        OnnxFile file = read_onnx_file(data_file(std::string("priors/") + w.file + ".onnx"));
        if (*w.value)
            file.metadata[w.key] = w.value;
        else
            file.metadata.erase(w.key);
        CHECK_THROWS(read_denoiser_spec(file), w.in_message);
    }
}

std::shared_ptr<const Prior> with_vjp(const std::string& name, const std::string& vjp)
{
    return make_onnx_prior(data_file("priors/" + name + ".onnx"),
                           LoadOptions(),
                           Json(),
                           data_file("priors/" + vjp + "_vjp.onnx"));
}

// J^H v = var / (var + sigma^2) v whatever the net was trained for; beyond the largest level it falls off, and what is not
// observed does not enter.
void derivatives()
{
    for (const char* name : {"x0_ve",
                             "eps_vp",
                             "v_flow",
                             "score_vp",
                             "flow_flow",
                             "timestep",
                             "interleaved",
                             "real",
                             "per_element",
                             "fixed_batch",
                             "half_std",
                             "graph_normalised",
                             "variance",
                             "no_time"}) {
        const bool one_level = std::string(name) == "no_time";
        CHECK(!load(name)->has_vjp());
        const auto prior = with_vjp(name, name);
        CHECK(prior->has_vjp());
        const auto workspace = prior->make_workspace(4);
        const Traits& t = prior->traits();
        const std::size_t batch = 7, parts = t.domain == Domain::complex ? 2 : 1;
        Sigma sigma(batch, t.tensor_sigma ? n : 1);
        for (std::size_t i = 0; i < batch * sigma.stride(); i++)
            sigma.item(0)[i] = one_level ? 1.0f : 0.1f * float(1 + i % 11);
        if (t.tensor_sigma)
            sigma.item(2)[1] = Sigma::unobserved();
        Tensor x(t.domain, {n}, batch), v = x, out = x;
        std::mt19937 random(3);
        std::normal_distribution<float> normal;
        for (std::size_t i = 0; i < x.size(); i++) {
            x.data()[i] = normal(random);
            v.data()[i] = normal(random);
        }
        if (t.tensor_sigma)
            x.item(2)[parts] = NAN;
        prior->vjp(x, sigma, v, *workspace, out);
        double error = 0, power = 0;
        for (std::size_t b = 0; b < batch; b++)
            for (std::size_t e = 0; e < n; e++)
                for (std::size_t c = 0; c < parts; c++) {
                    const double s = sigma.at(b, e), gain = variances[e] / (variances[e] + s * s);
                    const double d = out.item(b)[e * parts + c] - gain * v.item(b)[e * parts + c];
                    error = d * d <= error ? error : d * d; // lets NaN through
                    power += std::pow(v.item(b)[e * parts + c], 2) / double(batch * n * parts);
                }
        CHECK_MSG(std::sqrt(error / power) < 3e-4,
                  std::string(name) + ": derivative off by " + std::to_string(std::sqrt(error)));
        // The denoiser itself answers as before.
        if (!t.tensor_sigma && !one_level)
            CHECK(compare(*prior, *workspace, Sigma(4, 1, 0.5f), 1, 1.0).error < 1e-3);
    }
    const auto prior = with_vjp("eps_vp", "eps_vp");
    const auto workspace = prior->make_workspace(1);
    Tensor x(Domain::complex, {n}, 1), v = x, out = x;
    std::fill(v.data(), v.data() + v.size(), 1.0f);
    prior->vjp(x, Sigma(1, 1, 200.0f), v, *workspace, out); // its largest level is 20
    CHECK(std::fabs(out.data()[0] - 0.2 / (0.2 + 400) / 100) < 1e-6);

    CHECK_THROWS(with_vjp("eps_vp", "half_std"), "is not the derivative of the denoiser");
    CHECK_THROWS(with_vjp("eps_vp", "interleaved"), "exported together");
    CHECK_THROWS(with_vjp("eps_vp", "no_time"), "has 2 inputs");
    CHECK_THROWS(with_vjp("magnitude_phase", "eps_vp"), "magnitude_phase");
    CHECK_THROWS(make_onnx_prior(data_file("priors/eps_vp.onnx"),
                                 LoadOptions(),
                                 Json(),
                                 data_file("priors/eps_vp.onnx")),
                 "denoiser_vjp");
}

} // namespace

int main()
{
    same_d_everywhere();
    levels_of_each_element();
    levels_out_of_range();
    without_time();
    whole_timesteps();
    buffers_are_not_reused();
    contradictions();
    derivatives();
    return report("onnx prior");
}

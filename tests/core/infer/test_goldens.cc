/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The core against what its NumPy twin said (tests/data/make_goldens.py: seed and tolerances are in
 * goldens.json). Every prior, start, sampler and plan, masks, levels per element, unknown gain.
 */
#include <gnuradio/diffsem/core/base/json.h>
#include <gnuradio/diffsem/core/base/npy.h>
#include <gnuradio/diffsem/core/base/philox.h>
#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/scheme/load_scheme.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <vector>

using namespace gr::diffsem::core;

namespace {

const std::string folder = std::string(DIFFSEM_TEST_DATA_DIR) + "/goldens/";
int failures = 0;

std::vector<cfloat> complex_array(const std::string& name)
{
    const NpyArray a = read_npy(folder + name);
    std::vector<cfloat> out;
    for (std::size_t i = 0; i < a.count(); i++)
        out.push_back(cfloat(a.value(i)));
    return out;
}

std::vector<float> real_array(const std::string& name)
{
    const NpyArray a = read_npy(folder + name);
    return {a.data.begin(), a.data.end()};
}

struct Arrays {
    std::vector<cfloat> y = complex_array("y.npy"), mean = complex_array("mean.npy");
    std::vector<float> noise_var = real_array("noise_var.npy"),
                       variance = real_array("variance.npy");
};

void expect(bool good, const std::string& name, const char* what, double found, double limit)
{
    if (!good) {
        std::printf("FAILED %s: %s %g, limit %g\n", name.c_str(), what, found, limit);
        failures++;
    }
}

void check_case(const Json& c, const Arrays& arrays, std::size_t max_batch)
{
    const std::string name = c["name"].as_string();
    const auto count = [&](const char* key) { return std::size_t(c[key].as_int()); };
    const std::size_t items = count("items"), stride = count("noise_stride");
    EstimatorOptions options;
    for (const auto& o : c["observed"].items())
        options.observed.push_back(std::uint8_t(o.as_int()));
    options.seed = count("seed");
    options.stream = count("stream");
    options.max_batch = max_batch;
    Estimator estimator(load_scheme(folder + "toy/" + c["spec"].as_string()), options);

    const std::size_t n = estimator.output_size();
    std::vector<cfloat> mean(items * n);
    std::vector<float> variance(items * n);
    std::vector<ItemInfo> info(items);
    const auto at = [&](const char* key) { return std::size_t(c["at"][key].as_int()); };
    estimator.run(&arrays.y[at("y")],
                  items,
                  &arrays.noise_var[at("noise_var")],
                  stride,
                  count("first"),
                  mean.data(),
                  variance.data(),
                  info.data());

    const double tolerance = c["tolerance"].as_double();
    double mean_off = 0, variance_off = 0; // in units of what is allowed
    for (std::size_t i = 0; i < items * n; i++) {
        const cfloat m = arrays.mean[at("mean") + i];
        const float v = arrays.variance[at("variance") + i];
        mean_off = std::max(mean_off, std::abs(mean[i] - m) / (tolerance + 2e-5 * std::abs(m)));
        variance_off = std::max(variance_off, std::abs(variance[i] - v) / (tolerance + 1e-4 * v));
        if (!std::isfinite(mean[i].real()) || !std::isfinite(variance[i]))
            mean_off = INFINITY;
    }
    expect(mean_off <= 1, name, "mean off by (of what is allowed)", mean_off, 1);
    expect(variance_off <= 1, name, "variance off by (of what is allowed)", variance_off, 1);
    for (std::size_t b = 0; b < items; b++) {
        expect(!info[b].bypassed, name, info[b].reason, double(b), 0);
        const double steps = c["steps"].items()[b].as_double();
        expect(info[b].steps == steps, name, "evaluations", info[b].steps, steps);
    }
}

void check_noise(const Json& p)
{
    const auto expected = complex_array("philox.npy");
    const std::uint64_t seed =
        (std::uint64_t(1) << 63) + std::uint64_t(p["seed_minus_2_to_63"].as_int());
    const Rng rng(seed, std::uint64_t(p["stream"].as_int()));
    const std::size_t items = p["items_low"].size(), n = expected.size() / items;
    double off = 0;
    for (std::size_t k = 0; k < items; k++) {
        const auto item = (std::uint64_t(p["items_high"].items()[k].as_int()) << 32) +
                          std::uint64_t(p["items_low"].items()[k].as_int());
        std::vector<cfloat> draw(n);
        rng.fill(item,
                 std::uint32_t(p["step"].as_int()),
                 Domain::complex,
                 n,
                 reinterpret_cast<float*>(draw.data()));
        for (std::size_t i = 0; i < n; i++)
            off = std::max(off, double(std::abs(draw[i] - expected[k * n + i])));
    }
    expect(off < 1e-6, "philox", "off by", off, 1e-6);
}

} // namespace

int main()
{
    std::ifstream file(folder + "goldens.json");
    std::stringstream text;
    text << file.rdbuf();
    const Json goldens = Json::parse(text.str(), "goldens.json");
    const Arrays arrays;
    check_noise(goldens["philox"]);
    for (const auto& c : goldens["cases"].items())
        for (std::size_t max_batch : {64, 4, 1}) // the answer must not depend on it
            try {
                check_case(c, arrays, max_batch);
            } catch (const std::exception& e) {
                std::printf("FAILED %s: %s\n", c["name"].as_string().c_str(), e.what());
                failures++;
            }
    std::printf("%zu goldens, %d failures\n", goldens["cases"].size(), failures);
    return failures != 0;
}

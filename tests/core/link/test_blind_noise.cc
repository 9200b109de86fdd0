/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Blind noise estimates over items: against the estimators they stand on, and the average written out.
 */
#include "check.h"

#include <gnuradio/diffsem/core/base/philox.h>
#include <gnuradio/diffsem/core/link/blind_noise.h>

#include <cmath>
#include <vector>

using namespace gr::diffsem::core;

namespace {

constexpr std::size_t n = 64;
constexpr int items = 12;
using Source = BlindNoise::Source;

std::vector<cfloat> item(int i)
{
    std::vector<cfloat> y(n);
    Rng(1).fill(i, 0, Domain::complex, n, reinterpret_cast<float*>(y.data()));
    return y;
}

BlindNoise::Options options(Source source, float weight = 1)
{
    BlindNoise::Options o;
    o.source = source;
    o.size = n;
    o.null_carriers = {0, 1, 63};
    o.weight = weight;
    return o;
}

void power_and_ratio()
{
    const std::vector<cfloat> y = {{3, 4}, {0, 2}, {1, 0}};
    CHECK_NEAR(observed_power(y.data(), 3, {}), 10, 1e-6);
    CHECK_NEAR(observed_power(y.data(), 3, {0, 1, 1}), 2.5, 1e-6);
    CHECK_NEAR(
        observed_power(y.data(), 3, {0, 1}), 2.5, 1e-6); // what the mask does not reach counts
    CHECK_NEAR(observed_power(y.data(), 3, {0, 0, 0}), 0, 0);
    CHECK_NEAR(noise_at_snr(11, 10), 1, 1e-6); // 10 dB: ten parts signal, one noise
    CHECK_NEAR(noise_at_snr(2, 0), 1, 1e-6);
}

void each_source_is_its_estimator()
{
    BlindNoise nulls(options(Source::null_carriers)), tail(options(Source::delay_tail)),
        pairs(options(Source::repeated));
    auto narrow = options(Source::delay_tail);
    narrow.observed.assign(n, 1);
    narrow.observed[5] = 0;
    narrow.delay_window = 8;
    BlindNoise masked(narrow);
    const DelayTailNoise quarter(std::vector<std::uint8_t>(n, 1), n / 4.0f),
        eight(narrow.observed, 8);
    for (int i = 0; i < items; i++) {
        const auto y = item(i), z = item(100 + i);
        CHECK_NEAR(
            nulls(y.data()), (std::norm(y[0]) + std::norm(y[1]) + std::norm(y[63])) / 3, 1e-6);
        CHECK_EQUAL(tail(y.data()), quarter(y.data()));
        CHECK_EQUAL(masked(y.data()), eight(y.data()));
        std::vector<cfloat> mean(n), expected(n);
        const float two = repeated_noise(y.data(), z.data(), nullptr, n, expected.data());
        CHECK_EQUAL(pairs(y.data(), z.data(), mean.data()), 0.5f * two); // of the mean
        CHECK(mean == expected);
    }
    narrow.delay_window = n;
    CHECK_THROWS(BlindNoise{narrow}, {"delay window", "shorter"});
}

// v_n = (1 - w)^n x_0 + w sum_k (1 - w)^(n - k) x_k, k = 1 .. n, without what is no number
void the_average_is_exponential()
{
    const double w = 0.3;
    BlindNoise alone(options(Source::null_carriers)),
        average(options(Source::null_carriers, float(w)));
    std::vector<double> x;
    for (int i = 0; i < items; i++) {
        auto y = item(i);
        if (i == 4) {
            y[1] = NAN;
            CHECK(std::isnan(average(y.data())));
            continue;
        }
        x.push_back(alone(y.data()));
        double sum = std::pow(1 - w, double(x.size() - 1)) * x[0];
        for (std::size_t k = 1; k < x.size(); k++)
            sum += w * std::pow(1 - w, double(x.size() - 1 - k)) * x[k];
        CHECK_NEAR(average(y.data()), sum, 1e-6);
    }
}

void without_noise_a_little_is_left()
{
    auto o = options(Source::null_carriers);
    o.observed.assign(n, 0);
    o.observed[7] = o.observed[8] = 1;
    BlindNoise noise(o);
    auto y = item(0);
    y[0] = y[1] = y[63] = 0;
    y[7] = {0, 2};
    y[8] = {4, 0};
    CHECK_NEAR(noise(y.data()), 10e-9, 1e-14);
}

// Real elements: the mean power of those that hold nothing, and half the power of a difference.
void real_elements()
{
    BlindNoise::Options o;
    o.size = 3;
    o.parts = 1;
    o.null_carriers = {0, 2};
    const std::vector<float> a = {3, 100, 1}, b = {1, 100, 5};
    CHECK_NEAR(observed_power(a.data(), 1, 3, {1, 0, 1}), 5, 1e-6);
    BlindNoise nulls(o);
    CHECK_NEAR(nulls(a.data()), 5, 1e-6);
    CHECK_NEAR(nulls.freedom(), 2, 0);
    o.source = Source::repeated;
    BlindNoise pairs(o);
    std::vector<float> mean(3);
    CHECK_NEAR(pairs(a.data(), b.data(), mean.data()), (4 + 16) / 3.0 / 4, 1e-6);
    CHECK(mean == (std::vector<float>{2, 100, 3}));
    CHECK_NEAR(pairs.freedom(), 3, 0);
}

} // namespace

int main()
{
    real_elements();
    power_and_ratio();
    each_source_is_its_estimator();
    the_average_is_exponential();
    without_noise_a_little_is_left();
    return check::result("blind_noise");
}

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Noise variance from the measurement: unbiased, over SNR and occupancy. Seed 1, 2000 items a case: the
 * tolerances are four standard deviations of the mean.
 */
#include "check.h"

#include <gnuradio/diffsem/core/base/philox.h>
#include <gnuradio/diffsem/core/link/noise_estimate.h>

#include <vector>

using namespace gr::diffsem::core;

namespace {

constexpr std::size_t n = 64;
constexpr int items = 2000;

// Response of a random channel with taps at `count` delays 0, spacing, ...
void channel(const Rng& rng, int item, double spacing, int count, cfloat* h)
{
    std::vector<cfloat> taps(count);
    rng.fill(item, 0, Domain::complex, count, reinterpret_cast<float*>(taps.data()));
    for (std::size_t k = 0; k < n; k++) {
        std::complex<double> sum = 0;
        for (int l = 0; l < count; l++)
            sum += std::complex<double>(taps[l]) *
                   std::polar(1.0 / std::sqrt(count),
                              -2 * M_PI * (double(k) - n / 2) * l * spacing / n);
        h[k] = cfloat(sum);
    }
}

std::vector<std::uint8_t> occupied(const char* layout)
{
    std::vector<std::uint8_t> mask(n, 0);
    for (std::size_t k = 0; k < n; k++)
        mask[k] = *layout == 'a'   ? 1                               // all
                  : *layout == 'w' ? k >= 6 && k <= 58 && k != n / 2 // 802.11
                                   : k % 2;                          // comb
    return mask;
}

void delay_tail(const char* layout, double snr_db, double spacing, int count, float window)
{
    const Rng rng(1);
    const auto mask = occupied(layout);
    const DelayTailNoise noise(mask, window);
    const double truth = std::pow(10.0, -snr_db / 10);
    double sum = 0;
    std::vector<cfloat> y(n), w(n);
    for (int i = 0; i < items; i++) {
        channel(rng, i, spacing, count, y.data());
        rng.fill(i, 1, Domain::complex, n, reinterpret_cast<float*>(w.data()));
        for (std::size_t k = 0; k < n; k++)
            y[k] = mask[k] ? y[k] + float(std::sqrt(truth)) * w[k] : cfloat(NAN, NAN);
        sum += noise(y.data());
    }
    CHECK(noise.freedom() >= 4);
    CHECK_NEAR(sum / items / truth, 1.0, 4 / std::sqrt(double(items) * noise.freedom()) + 1e-3);
}

} // namespace

int main()
{
    for (double snr : {-5.0, 10.0, 30.0}) {
        delay_tail("all", snr, 1.0, 16, 16);
        delay_tail("all", snr, 0.37, 40, 16);
        delay_tail("wlan", snr, 1.0, 16, 16);
        delay_tail("wlan", snr, 0.37, 40, 16);
        delay_tail("comb", snr, 0.5, 12, 8);
    }
    CHECK_THROWS(DelayTailNoise(occupied("all"), 60), {"60", "64 of 64", "shorter window"});
    CHECK_THROWS(DelayTailNoise(std::vector<std::uint8_t>(n, 0), 16), {"0 of 64"});

    // repeated symbols: a common rotation is no noise, and costs no bias
    const Rng rng(1);
    std::vector<cfloat> a(n), b(n), h(n), mean(n);
    for (double snr : {-5.0, 10.0, 30.0})
        for (double turn : {0.0, 1.0, 3.0}) {
            const double truth = std::pow(10.0, -snr / 10);
            double sum = 0, sum_of_some = 0;
            std::vector<std::uint8_t> some(n, 0);
            some[3] = some[17] = some[50] = 1;
            for (int i = 0; i < items; i++) {
                channel(rng, i, 1, 8, h.data());
                rng.fill(i, 1, Domain::complex, n, reinterpret_cast<float*>(a.data()));
                rng.fill(i, 2, Domain::complex, n, reinterpret_cast<float*>(b.data()));
                for (std::size_t k = 0; k < n; k++) {
                    a[k] = h[k] + float(std::sqrt(truth)) * a[k];
                    b[k] = h[k] * cfloat(std::polar(1.0, turn)) + float(std::sqrt(truth)) * b[k];
                }
                sum += repeated_noise(a.data(), b.data(), nullptr, n, mean.data());
                CHECK(mean[5] == 0.5f * (a[5] + b[5]));
                sum_of_some += repeated_noise(a.data(), b.data(), some.data(), n, mean.data());
            }
            // Where a channel fades below the noise the fit of the rotation takes more than it should:
            // 0.06 dB at -5 dB with 64 elements, over 1 dB with three.
            CHECK_NEAR(sum / items / truth, 1.0, snr < 0 ? 0.03 : 4 / std::sqrt(items * double(n)));
            if (snr > 0)
                CHECK_NEAR(sum_of_some / items / truth, 1.0, 0.08);
        }

    std::vector<cfloat> y = {{3, 4}, {100, 0}, {0, 1}};
    CHECK_NEAR(null_carrier_noise(y.data(), {0, 2}), 13.0, 1e-6);

    const auto mask = mask_from_indices({2, 0}, 4, "observed");
    CHECK(mask == std::vector<std::uint8_t>({1, 0, 1, 0}));
    CHECK_THROWS(mask_from_indices({4}, 4, "observed"), {"observed", "4", "0..3"});
    CHECK_THROWS(mask_from_indices({-1}, 4, "observed"), {"observed", "-1"});
    CHECK_THROWS(mask_from_indices({1, 1}, 4, "nulls"), {"nulls", "twice"});
    return check::result("noise_estimate");
}

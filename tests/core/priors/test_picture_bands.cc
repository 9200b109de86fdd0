/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bands of a photograph's frequencies against counting, and what a network's word for a band says of each coefficient
 * against the Gaussian that it is exact for. (Equality with the NumPy twin: tests/python/test_photo_twin.py.)
 */
#include "check.h"

#include "priors/picture_bands.h"

#include <cmath>
#include <random>
#include <vector>

using namespace gr::diffsem::core;

namespace {

const BandShape fine{{0.0625, 0.125, 0.25, 0.5}, 3};

void bands()
{
    const std::size_t rows = 24, columns = 40, plane = rows * columns;
    const PictureBands of(fine, rows, columns);
    CHECK_EQUAL(fine.count(), std::size_t(30));
    CHECK_EQUAL(of.band(0), std::size_t(0));
    CHECK_EQUAL(of.band(columns - 1), std::size_t(12));          // of the columns alone
    CHECK_EQUAL(of.band((rows - 1) * columns), std::size_t(14)); // of the rows alone
    CHECK_EQUAL(of.band(plane - 1), std::size_t(13));            // of both
    CHECK_EQUAL(of.band(plane), std::size_t(15));                // another colour
    std::vector<float> power(3 * plane);
    for (std::size_t k = 0; k < power.size(); k++)
        power[k] = float(1 + of.band(k));
    const auto means = of.means(power.data());
    for (std::size_t k = 0; k < power.size(); k++)
        CHECK_NEAR(means[of.band(k)], 1.0 + double(of.band(k)), 1e-9);

    const PictureBands small(fine, 16, 16); // its lowest ring is the mean alone
    std::vector<float> one(3 * 256, 0.0f);
    one[0] = 7;
    for (std::size_t sector = 0; sector < 3; sector++)
        CHECK_NEAR(small.means(one.data())[sector], 7.0, 1e-9);
}

// Half of the coefficients have a tenth of the error of the others. What the network does is the best that it can where it is
// told the mean only; completed, it is the posterior mean, and as good as it says.
void completion()
{
    const std::size_t rows = 60, columns = 80, n = 3 * rows * columns;
    PictureBands of({{0.25}, 1}, rows, columns);
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> e(n), x(n), m(n), structure(n), far(n), left(n);
    const float s = 0.8f;
    double mean = 0;
    for (std::size_t k = 0; k < n; k++) {
        e[k] = random() % 2 ? 1.0f : 0.1f;
        x[k] = 3 * normal(random);
        m[k] = x[k] + std::sqrt(e[k]) * normal(random);
        structure[k] = x[k] + std::sqrt(s) * normal(random);
        mean += double(e[k]) / double(n);
    }
    const double a = mean / (mean + s);
    of.complete(e.data(), std::vector<double>(4, mean * (1 - a)), 15, far.data(), left.data());
    double raw[2] = {0, 0}, whole[2] = {0, 0}, stated[2] = {0, 0}, number[2] = {0, 0};
    for (std::size_t k = 0; k < n; k++) {
        const double change = a * (structure[k] - m[k]);
        const int i = e[k] > 0.5f;
        raw[i] += std::pow(m[k] + change - x[k], 2);
        whole[i] += std::pow(m[k] + far[k] * change - x[k], 2);
        stated[i] += left[k];
        number[i]++;
    }
    for (int i : {0, 1}) {
        const double error = i ? 1.0 : 0.1, best = error * s / (error + s);
        CHECK_BELOW(whole[i], 0.95 * raw[i]);
        CHECK_NEAR(whole[i] / number[i] / best, 1.0, 0.06);
        CHECK_NEAR(stated[i] / number[i] / best, 1.0, 0.06);
    }
}

void bounds()
{
    const std::size_t rows = 9, columns = 3, n = 3 * rows * columns;
    PictureBands of({{0.25}, 1}, rows, columns);
    std::vector<float> e(n, 2.0f), far(n), left(n);
    const auto complete = [&](double stated) {
        of.complete(e.data(), std::vector<double>(4, stated), 9, far.data(), left.data());
    };
    complete(0.5); // all alike: the network's word
    CHECK_NEAR(far[5], 1.0, 1e-6);
    CHECK_NEAR(left[5], 0.5, 1e-6);
    complete(3.0); // it was told too little
    CHECK_NEAR(far[5], 1.0, 1e-6);
    CHECK_NEAR(left[5], 1.8, 1e-6);
    complete(12.0); // it is out of its depth
    CHECK_NEAR(far[5], 0.5, 1e-6);
    complete(20.0);
    CHECK_EQUAL(far[5], 0.0f);
    CHECK_EQUAL(left[5], 2.0f);
    complete(0.0); // it knows all
    CHECK_EQUAL(far[5], 1.0f);
    CHECK_EQUAL(left[5], 0.0f);
    e.assign(n, 1e-6f); // one among many that are known
    e[4 * columns + 1] = 1;
    complete(0.02);
    CHECK_BELOW(far[4 * columns + 1], 3.2);
    e.assign(n, 0.0f); // nothing was unknown
    complete(0.5);
    CHECK_EQUAL(far[5], 0.0f);
    CHECK_EQUAL(left[5], 0.0f);
}

} // namespace

int main()
{
    bands();
    completion();
    bounds();
    return check::result("picture bands");
}

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The QAM prior against sums written out over all points, element by element and behind blocks.
 */
#include "check.h"
#include "fixtures.h"

#include "operators/block_operator.h"

#include <gnuradio/diffsem/core/infer/condition.h>

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
        const auto all = qam_points(order);
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
            const auto all = qam_points(order);
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

} // namespace

int main()
{
    qam_elements();
    qam_blocks();
    return check::result("qam");
}

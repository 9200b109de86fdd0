/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "infer/line_search.h"

#include <algorithm>
#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr int halvings = 6;

// |r|_R^2 of one item, of rows that were measured.
double misfit(const GuidanceParts& parts, std::size_t item, const Tensor& rows)
{
    const float* r = rows.item(item);
    const std::size_t width = rows.width() / rows.elements();
    double sum = 0;
    for (std::size_t j = 0; j < rows.width(); j++) {
        const double e = parts.noise->at(item, j / width);
        if (std::isfinite(e))
            sum += double(r[j]) * r[j] / (e * e);
    }
    return sum;
}

} // namespace

LineSearch::LineSearch(const Tensor& x, const Tensor& y, std::size_t max_batch)
    : d_pulled(x),
      d_there(y),
      d_objective(max_batch),
      d_open(max_batch),
      d_shortened(max_batch),
      d_ended(max_batch)
{
}

void LineSearch::begin(const GuidanceParts& parts, const Tensor& residual)
{
    const std::size_t batch = residual.batch();
    d_pulled.set_batch(batch);
    d_there.set_batch(batch);
    std::fill(d_pulled.data(), d_pulled.data() + d_pulled.size(), 0.0f);
    std::fill(d_ended.begin(), d_ended.end(), 0);
    for (std::size_t b = 0; b < batch; b++)
        d_objective[b] = misfit(parts, b, residual);
}

void LineSearch::shorten(const GuidanceParts& parts,
                         const Step& step,
                         Tensor& moved,
                         std::vector<float>& length)
{
    const Tensor& at = step.at;
    const std::size_t n = at.width(), batch = at.batch();
    std::size_t left = 0;
    for (std::size_t b = 0; b < batch; b++) {
        d_shortened[b] = 0;
        left += d_open[b] = length[b] > 0;
    }
    for (int half = 0; left && half <= halvings; half++) {
        for (std::size_t b = 0; b < batch; b++)
            for (std::size_t j = 0; j < n; j++)
                moved.item(b)[j] =
                    at.item(b)[j] + step.correction.item(b)[j] + length[b] * step.spread.item(b)[j];
        parts.op->apply(moved, d_there);
        for (std::size_t b = 0; b < batch; b++) {
            if (!d_open[b])
                continue;
            float *u = d_pulled.item(b), *there = d_there.item(b);
            const float* w = step.along.item(b);
            for (std::size_t j = 0; j < d_there.width(); j++)
                there[j] = parts.y->item(b)[j] - there[j];
            double prior = 0;
            for (std::size_t j = 0; j < n; j++)
                prior += (double(moved.item(b)[j]) - at.item(b)[j]) *
                         (double(u[j]) + double(length[b]) * w[j]);
            const double now = misfit(parts, b, d_there) + std::max(prior, 0.0);
            if (!step.first && !(now < d_objective[b])) {
                length[b] *= 0.5f;
                continue;
            }
            d_objective[b] = now;
            for (std::size_t j = 0; j < n; j++)
                u[j] += length[b] * w[j];
            d_shortened[b] = half > 0;
            d_open[b] = 0;
            left--;
        }
    }
    for (std::size_t b = 0; b < batch; b++)
        if (d_open[b]) {
            length[b] = 0;
            d_ended[b] = 1;
        }
}

void LineSearch::end(Tensor& residual, std::vector<double>& product) const
{
    for (std::size_t b = 0; b < residual.batch(); b++) {
        if (d_shortened[b])
            product[b] = 0;
        if (d_ended[b])
            std::fill_n(residual.item(b), residual.width(), 0.0f);
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr

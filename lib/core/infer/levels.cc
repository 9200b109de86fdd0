/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/infer/plan.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

void Levels::reserve(std::size_t max_batch, std::size_t elements, int steps)
{
    d_start.resize(max_batch, std::max<std::size_t>(elements, 1));
    d_count.reserve(max_batch);
    d_planned.reserve(max_batch);
    if (d_table.size() < max_batch * std::size_t(steps + 1)) {
        d_table.resize(max_batch * std::size_t(steps + 1));
        d_landing.reserve(d_table.size());
    }
}

void Levels::prepare(const Plan& plan, const Sigma& start, float fallback, int most)
{
    const std::size_t batch = start.batch();
    d_start.resize(batch, start.stride());
    std::copy(start.item(0), start.item(0) + batch * start.stride(), d_start.item(0));
    d_row = std::size_t(plan.max_steps() + 1);
    if (d_table.size() < batch * d_row)
        d_table.resize(batch * d_row);
    d_count.resize(batch);
    d_planned.resize(batch);
    d_steps = 0;
    d_measured = plan.measured();
    d_unit = plan.parameters().unit;
    d_landing.resize(plan.strides() ? batch * d_row : 0);
    for (std::size_t b = 0; b < batch; b++) {
        float top = 0;
        for (std::size_t i = 0; i < start.stride(); i++)
            if (std::isfinite(start.item(b)[i]))
                top = std::max(top, start.item(b)[i]);
        const float from = top > 0 ? top : fallback;
        d_count[b] = plan.levels(
            from, &d_table[b * d_row], most, d_landing.empty() ? nullptr : &d_landing[b * d_row]);
        d_planned[b] = plan.count(from);
        // An item that is through stays where it ended.
        const auto end = d_table.begin() + std::ptrdiff_t(b * d_row) + d_count[b];
        std::fill(end, d_table.begin() + std::ptrdiff_t((b + 1) * d_row), *end);
        for (std::size_t k = std::size_t(d_count[b]); k < d_row && !d_landing.empty(); k++)
            d_landing[b * d_row + k] = *end;
        d_steps = std::max(d_steps, d_count[b]);
    }
}

void Levels::get(int step, Sigma& out) const
{
    const std::size_t batch = d_start.batch(), stride = d_start.stride();
    out.resize(batch, stride);
    for (std::size_t b = 0; b < batch; b++)
        for (std::size_t i = 0; i < stride; i++) {
            const float start = d_start.item(b)[i];
            out.item(b)[i] =
                step == 0 ? start : std::min(start, d_table[b * d_row + std::size_t(step)]);
        }
}

void Levels::now(int step, Sigma& out) const
{
    get(d_measured ? 0 : step, out);
}

void Levels::next(int step, Sigma& out) const
{
    get(step + 1, out);
    for (std::size_t b = 0; b < out.batch() && !d_landing.empty(); b++)
        for (std::size_t i = 0; i < out.stride(); i++)
            out.item(b)[i] = std::min(d_start.item(b)[i], d_landing[b * d_row + std::size_t(step)]);
}

void Levels::carry(int step, Tensor& x) const
{
    const std::size_t parts = x.elements() ? x.width() / x.elements() : 1;
    for (std::size_t b = 0; b < x.batch() && !d_landing.empty(); b++)
        for (std::size_t i = 0; i < x.elements() && step + 1 < d_count[b]; i++) {
            const float start = d_start.at(b, i);
            const double at = std::min(start, d_landing[b * d_row + std::size_t(step)]),
                         next = std::min(start, d_table[b * d_row + std::size_t(step) + 1]);
            const float factor =
                float(std::sqrt((1 + std::pow(d_unit * next, 2)) / (1 + std::pow(d_unit * at, 2))));
            for (std::size_t j = parts * i; at != next && j < parts * (i + 1); j++)
                x.item(b)[j] *= factor;
        }
}

void Levels::measure(const std::vector<float>& variance)
{
    for (std::size_t i = 0; i < d_start.batch() * d_start.stride(); i++)
        d_start.item(0)[i] = std::sqrt(variance[i]);
}

Levels Levels::list(std::size_t batch, const std::vector<float>& levels)
{
    Levels l;
    l.d_steps = int(levels.size()) - 1;
    l.d_row = levels.size();
    l.d_start = Sigma(batch, 1, levels.front());
    l.d_count.assign(batch, l.d_steps);
    l.d_planned = l.d_count;
    for (std::size_t b = 0; b < batch; b++)
        l.d_table.insert(l.d_table.end(), levels.begin(), levels.end());
    return l;
}

} // namespace core
} // namespace diffsem
} // namespace gr

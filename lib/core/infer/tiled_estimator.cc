/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/infer/tiled_estimator.h>

#include <gnuradio/diffsem/core/realtime/realtime.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace gr {
namespace diffsem {
namespace core {

TileAxis::TileAxis(std::size_t size_, std::size_t tile_, std::size_t overlap)
    : size(size_),
      tile(tile_)
{
    const std::size_t hop = tile - std::min(overlap, tile - 1);
    const std::size_t count = size <= tile ? 1 : 1 + (size - tile + hop - 1) / hop;
    for (std::size_t i = 0; i < count; i++)
        first.push_back(count == 1 ? 0 : i * (size - tile) / (count - 1));
    // Falling from the middle to each end that has a neighbour.
    for (std::size_t i = 0; i < count; i++) {
        weight.emplace_back(tile, 1.0f);
        for (std::size_t j = 0; j < tile; j++) {
            const std::size_t from_end =
                std::min(i > 0 ? j : tile, i + 1 < count ? tile - 1 - j : tile);
            const bool inside = first[i] + j < size;
            weight[i][j] = inside ? std::min(1.0f, 2 * (from_end + 0.5f) / float(tile)) : 0.0f;
        }
    }
}

namespace {

constexpr float nothing_known = std::numeric_limits<float>::quiet_NaN();

std::string sizes(const std::vector<std::size_t>& shape)
{
    std::string text;
    for (const auto n : shape)
        text += (text.empty() ? "" : " x ") + std::to_string(n);
    return text;
}

std::vector<TileAxis> axes(const Scheme& scheme,
                           const std::vector<std::size_t>& grid,
                           const std::vector<std::size_t>& overlap)
{
    const auto& info = scheme.info();
    const std::string who = "scheme '" + info.spec + "'";
    const auto& shape = info.shape;
    if (!info.unknowns.empty() || !info.content.empty() || !info.complex_domain || shape.empty() ||
        shape.size() > 2 || std::any_of(shape.begin(), shape.end(), [](auto n) { return n < 1; }))
        throw Error(
            who +
            " cannot be tiled: take a complex one of fixed shape, [n] or [m, n], one unknown");
    if (!scheme.parts().op->measurement_is_state)
        throw Error(who + " has the operator '" + info.op +
                    "', which mixes elements of several tiles: take one with the operator mask or "
                    "identity");
    if (grid.size() != shape.size() || std::count(grid.begin(), grid.end(), 0u))
        throw Error("grid = " + sizes(grid) + ": " + who + " is made for " +
                    std::to_string(shape.size()) + " axes: give as many sizes, each at least 1");
    if (!overlap.empty() && overlap.size() != shape.size())
        throw Error("overlap has " + std::to_string(overlap.size()) + " numbers, the grid of " +
                    who + " has " + std::to_string(shape.size()) + " axes");
    std::vector<TileAxis> out;
    if (shape.size() == 1)
        out.emplace_back(1, 1, 0);
    for (std::size_t a = 0; a < shape.size(); a++) {
        const auto tile = static_cast<std::size_t>(shape[a]);
        if (!overlap.empty() && overlap[a] >= tile)
            throw Error("overlap = " + sizes(overlap) + ": a tile of " + who + " has " +
                        std::to_string(tile) + " elements along axis " + std::to_string(a) +
                        ": give fewer");
        out.emplace_back(grid[a], tile, overlap.empty() ? tile / 2 : overlap[a]);
    }
    return out;
}

} // namespace

TiledEstimator::TiledEstimator(std::shared_ptr<const Scheme> scheme,
                               const std::vector<std::size_t>& grid,
                               const std::vector<std::size_t>& overlap,
                               const EstimatorOptions& options)
    : TiledEstimator(axes(*scheme, grid, overlap), scheme, options)
{
}

TiledEstimator::TiledEstimator(std::vector<TileAxis> axes,
                               std::shared_ptr<const Scheme> scheme,
                               const EstimatorOptions& options)
    : d_axes(std::move(axes)),
      d_batch(std::max<std::size_t>(options.max_batch, 1)),
      d_estimator(std::move(scheme), options),
      d_total(size())
{
    const std::size_t n = d_axes[0].tile * d_axes[1].tile * d_batch;
    d_y.resize(n);
    d_mean.resize(n);
    d_noise.resize(n);
    d_variance.resize(n);
    d_info.resize(d_batch);
    d_measured.resize(d_batch);
}

double TiledEstimator::trial_seconds() const
{
    const CostModel& cost = d_estimator.trial_cost();
    const double batches = std::ceil(double(tiles()) / double(d_batch));
    return batches * cost.per_batch() + double(tiles()) * cost.per_item();
}

ItemInfo GridInfo::item() const
{
    ItemInfo out;
    out.steps = steps;
    out.planned = planned;
    out.bypassed = bypassed > unmeasured || (tiles && bypassed == tiles);
    out.reason = out.bypassed ? reason : "";
    out.guarded = guarded > 0;
    out.few_observed = few_observed > 0;
    out.seconds = seconds;
    return out;
}

void TiledEstimator::run(const cfloat* y,
                         std::size_t grids,
                         const float* noise_var,
                         std::size_t noise_stride,
                         cfloat* mean,
                         float* variance,
                         GridInfo* info,
                         const RunLimit& limit)
{
    if (d_total.size() < grids * size())
        d_total.resize(grids * size());
    std::fill(mean, mean + grids * size(), cfloat(0));
    std::fill(d_total.begin(), d_total.begin() + static_cast<std::ptrdiff_t>(grids * size()), 0.0f);
    if (variance)
        std::fill(variance, variance + grids * size(), 0.0f);
    for (std::size_t g = 0; g < grids; g++) {
        info[g] = {};
        info[g].tiles = tiles();
    }
    const std::size_t n = d_axes[0].tile * d_axes[1].tile, all = grids * tiles();
    for (std::size_t from = 0; from < all; from += d_batch) {
        const std::size_t count = std::min(d_batch, all - from);
        cut(y, noise_var, noise_stride, from, count);
        const auto began = std::chrono::steady_clock::now();
        d_estimator.run(d_y.data(),
                        count,
                        d_noise.data(),
                        n,
                        d_estimator.count_on(count),
                        d_mean.data(),
                        variance ? d_variance.data() : nullptr,
                        d_info.data(),
                        limit);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
        for (std::size_t k = from; k < from + count; k++)
            info[k / tiles()].seconds += took.count() / double(count);
        join(from, count, mean, variance, info);
    }
    for (std::size_t g = 0; g < grids; g++)
        average(g, mean, variance);
}

void TiledEstimator::average(std::size_t grid, cfloat* mean, float* variance) const
{
    for (std::size_t at = grid * size(); at < (grid + 1) * size(); at++) {
        if (d_total[at] > 0)
            mean[at] /= d_total[at];
        if (variance) // 0: no tile that holds it has measured anything
            variance[at] = d_total[at] > 0 ? variance[at] / d_total[at] : nothing_known;
    }
}

void TiledEstimator::cut(const cfloat* y,
                         const float* noise_var,
                         std::size_t stride,
                         std::size_t from,
                         std::size_t count)
{
    const TileAxis &rows = d_axes[0], &columns = d_axes[1];
    std::size_t to = 0;
    for (std::size_t k = from; k < from + count; k++) {
        const std::size_t grid = k / tiles(), tile = k % tiles();
        const std::size_t top = rows.first[tile / columns.first.size()];
        const std::size_t left = columns.first[tile % columns.first.size()];
        const cfloat* seen = y + grid * size();
        const float* told = noise_var + grid * stride;
        d_measured[k - from] = 0;
        for (std::size_t i = 0; i < rows.tile; i++)
            for (std::size_t j = 0; j < columns.tile; j++, to++) {
                const std::size_t at = (top + i) * columns.size + left + j;
                const bool inside = top + i < rows.size && left + j < columns.size;
                d_y[to] = inside ? seen[at] : cfloat(0);
                d_noise[to] = inside ? told[stride == 1 ? 0 : at] : Sigma::unobserved();
                d_measured[k - from] |= d_noise[to] != Sigma::unobserved();
            }
    }
}

void TiledEstimator::join(std::size_t from,
                          std::size_t count,
                          cfloat* mean,
                          float* variance,
                          GridInfo* infos)
{
    const TileAxis &rows = d_axes[0], &columns = d_axes[1];
    std::size_t at_tile = 0;
    for (std::size_t k = from; k < from + count; k++) {
        const std::size_t grid = k / tiles(), tile = k % tiles();
        const std::size_t r = tile / columns.first.size(), c = tile % columns.first.size();
        const ItemInfo& item = d_info[k - from];
        GridInfo& info = infos[grid];
        info.bypassed += item.bypassed;
        info.guarded += item.guarded;
        info.few_observed += item.few_observed;
        info.evaluations += item.steps;
        info.steps = std::max(info.steps, item.steps);
        info.planned = std::max(info.planned, item.planned);
        // What says more than that there was nothing to measure comes first.
        if (item.bypassed && (d_measured[k - from] || info.bypassed == info.unmeasured + 1))
            info.reason = item.reason;
        info.unmeasured += item.bypassed && !d_measured[k - from];
        for (std::size_t i = 0; i < rows.tile; i++)
            for (std::size_t j = 0; j < columns.tile; j++, at_tile++) {
                const float weight = rows.weight[r][i] * columns.weight[c][j];
                // A tile that measured nothing knows nothing of what its neighbours may know.
                if (weight == 0 || (item.bypassed && d_noise[at_tile] == Sigma::unobserved()))
                    continue;
                const std::size_t at =
                    grid * size() + (rows.first[r] + i) * columns.size + columns.first[c] + j;
                d_total[at] += weight;
                mean[at] += weight * d_mean[at_tile];
                if (variance)
                    variance[at] += weight * d_variance[at_tile];
            }
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr

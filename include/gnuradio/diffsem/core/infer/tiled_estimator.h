/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A grid of any size under a prior of one size: cut into tiles that overlap, each an item, their answers joined.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/estimator.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Where tiles lie along one axis, and what each of their elements counts there.
struct TileAxis {
    //! \param size of the grid, \param tile of a tile, \param overlap at least this many elements of two neighbours
    TileAxis(std::size_t size, std::size_t tile, std::size_t overlap);

    std::size_t size, tile;
    std::vector<std::size_t> first; //!< element of the grid where each tile begins
    std::vector<std::vector<float>>
        weight; //!< of each tile, at each of its elements, beside other tiles'
};

//! What was done with a grid.
struct GridInfo {
    std::size_t tiles = 0;
    std::size_t bypassed =
        0; //!< tiles that gave no posterior: the mean is the measurement there, 0 where there is none
    std::size_t unmeasured = 0;   //!< of these, tiles in which nothing was measured
    std::size_t guarded = 0;      //!< tiles whose posterior contradicted its measurement
    std::size_t few_observed = 0; //!< tiles with too few measured elements for the scheme's member
    const char* reason =
        "";              //!< static text: of the last bypassed tile, one that was measured first
    int evaluations = 0; //!< of the network, over all tiles
    int steps = 0;       //!< evaluations of the tile that took most
    int planned = 0;     //!< the same, had nothing been cut
    double seconds = 0;  //!< of inference, wall clock, over all batches

    //! What was done, as of one item; bypassed: a tile that was measured, or all of them.
    ItemInfo item() const;
};

/*!
 * Runs a scheme of fixed size [n] or [m, n], whose operator keeps elements apart (identity, mask), on grids of another
 * size. An axis shorter than a tile's is a tile of which the rest is not measured; a longer one is covered by
 * tiles at equal distances, which weigh less towards their ends. What is not measured has infinite noise. Mean and
 * variance are weighted alike: the variance of a mean of two answers is at most the mean of theirs.
 *
 * Not thread safe; run() never throws on data, and allocates only where there are more grids than ever before.
 */
class TiledEstimator
{
public:
    /*!
     * \param grid    of one item: as many sizes as the scheme's shape has
     * \param overlap of neighbours, at least, along each axis; empty: half a tile
     * \param options max_batch is of tiles; item_size, observed and matrix are not taken
     * Throws Error for what does not fit the scheme.
     */
    TiledEstimator(std::shared_ptr<const Scheme> scheme,
                   const std::vector<std::size_t>& grid,
                   const std::vector<std::size_t>& overlap,
                   const EstimatorOptions& options);

    /*!
     * \param y         one grid, row major
     * \param noise_var variance per element (stride 1: the same for all)
     * \param mean      of the grid's size
     * \param variance  the same; may be null. NaN where no tile states one
     */
    GridInfo run(const cfloat* y,
                 const float* noise_var,
                 std::size_t noise_stride,
                 cfloat* mean,
                 float* variance,
                 const RunLimit& limit = {})
    {
        GridInfo info;
        run(y, 1, noise_var, noise_stride, mean, variance, &info, limit);
        return info;
    }
    //! So many grids, one behind the other, their tiles in common batches; noise_var of grid g begins at g noise_stride.
    void run(const cfloat* y,
             std::size_t grids,
             const float* noise_var,
             std::size_t noise_stride,
             cfloat* mean,
             float* variance,
             GridInfo* info,
             const RunLimit& limit = {});

    std::size_t tiles() const { return d_axes[0].first.size() * d_axes[1].first.size(); }
    std::size_t size() const { return d_axes[0].size * d_axes[1].size; } //!< of the grid
    //! Seconds of one evaluation of a whole grid, by what the estimator found when it was made.
    double trial_seconds() const;
    Estimator& estimator() { return d_estimator; }

private:
    TiledEstimator(std::vector<TileAxis> axes,
                   std::shared_ptr<const Scheme> scheme,
                   const EstimatorOptions& options);
    void cut(const cfloat* y,
             const float* noise_var,
             std::size_t stride,
             std::size_t from,
             std::size_t count);
    void join(std::size_t from, std::size_t count, cfloat* mean, float* variance, GridInfo* infos);
    void average(std::size_t grid, cfloat* mean, float* variance) const;

    std::vector<TileAxis> d_axes; // two; the first of size 1 where the scheme has one
    std::size_t d_batch;
    Estimator d_estimator;
    std::vector<float> d_total; // weights of what the answers at each element are made of
    std::vector<cfloat> d_y, d_mean;
    std::vector<float> d_noise, d_variance;
    std::vector<ItemInfo> d_info;
    std::vector<std::uint8_t> d_measured; // tiles of a batch in which anything is
};

} // namespace core
} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Zones of a picture's transform coefficients, and the levels (powers of two) that its digital part gives them.
 * The twin is gr_diffsem.codec.zones; what decides is in integers or exact doubles.
 */
#pragma once

#include <gnuradio/diffsem/core/link/range_coder.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Variances lie in 2^least_level .. 2^most_level.
constexpr int least_level = -24, most_level = 39;
//! Spectrum models: 0 are rings whose levels follow a power law, the others rectangles with a level each.
constexpr int spectrum_models = 6;

/*!
 * Rectangles whose edges grow by a ratio along each frequency axis, or rings of a quarter octave of the squared
 * frequency (u / H)^2 + (v / W)^2.
 */
class Zones
{
public:
    //! \param model 0 .. spectrum_models - 1
    Zones(std::size_t rows, std::size_t columns, int model);

    bool rings() const { return d_model == 0; }
    int grid_rows() const { return d_grid_rows; }
    int grid_columns() const { return d_grid_columns; }
    std::size_t count() const { return std::size_t(d_grid_rows) * std::size_t(d_grid_columns); }
    //! Zone of the coefficient (u, v).
    std::size_t index(std::size_t u, std::size_t v) const
    {
        return rings() ? d_ring[u * d_columns + v]
                       : d_row[u] * std::size_t(d_grid_columns) + d_column[v];
    }
    //! Whether zones have coefficients outside the lowest block [block_rows, block_columns].
    std::vector<bool> occupied(std::size_t block_rows, std::size_t block_columns) const;
    //! Level of each ring, amplitude - (1.5 + slope / 4) / 2 log2 r^2.
    std::vector<int> power_law(int amplitude, int slope) const;

private:
    std::size_t d_rows, d_columns;
    int d_model, d_grid_rows = 1, d_grid_columns = 1, d_first_octave = 0;
    std::vector<std::size_t> d_row, d_column; // zone of each frequency along an axis
    std::vector<std::uint16_t> d_ring;
};

/*!
 * Levels above the floor (0 = below it) of three colours, [3][zones.count()]. Zones that are not occupied are
 * not coded. Throws Error if the octets are none of a picture's.
 */
std::array<std::vector<int>, 3>
decode_levels(RangeDecoder& decoder, const Zones& zones, const std::vector<bool>& occupied);

} // namespace core
} // namespace diffsem
} // namespace gr

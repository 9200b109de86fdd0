/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the digital part of a photograph says, and what follows from it: which coefficients were sent, how strong
 * and where. The twin is gr_diffsem.codec.picture_plan, which says why; both decide alike, to the bit.
 */
#pragma once

#include <gnuradio/diffsem/core/picture/zones.h>

#include <array>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Which coefficients are sent and where, the strongest first.
struct PictureAllocation {
    std::vector<std::uint32_t>
        order;                 //!< flat index into [3, rows, columns] of each of K coefficients
    std::vector<double> gains; //!< of each in one of its slots: y = g x + n
    std::vector<std::uint32_t>
        copies; //!< slots of each; together 2 N, slots m and N + m are symbol m
    std::vector<std::uint32_t> places; //!< symbol at each of N places on the air
};

//! Measured coefficients, [3, rows, columns] each: y = gain x + noise; noise_var is infinite where lost.
struct PictureMeasurement {
    std::vector<float> y, gains, noise_var;
};

/*!
 * A photograph's side information. Memory and work are bounded by `max_pixels` and `max_symbols`, whatever the
 * octets say.
 */
struct PicturePlan {
    static constexpr int version = 4; // the kind of content in codec/content.py
    static constexpr std::size_t max_pixels = std::size_t(1) << 23;
    static constexpr std::size_t max_symbols = (std::size_t(1) << 20) - 1;

    std::size_t rows = 0, columns = 0, n_symbols = 0;
    int model = 0; //!< of the spectrum, see Zones
    std::size_t block_rows = 0,
                block_columns = 0;       //!< nominal size of the lowest block, which came digitally
    double step = 0;                     //!< of its quantiser
    std::array<std::vector<int>, 3> low; //!< its quantised values, cut to the picture, row major
    int floor = 0;                       //!< 2^(floor + level - 1) is a zone's variance
    std::array<std::vector<int>, 3> levels; //!< of each zone, 0: not sent
    std::array<int, 3> tail{};              //!< log2 of the mean variance of what is not sent
    int power = 0;                          //!< of the symbols, in 1/64 octaves around 128
    int design_snr = 0;                     //!< dB
    int scheme_hash = 0;
    std::shared_ptr<const Zones> zones;

    //! Throws Error if the octets are no photograph's, or of another version.
    static PicturePlan parse(const std::uint8_t* data, std::size_t size);

    //! E x^2 of each coefficient [3, rows, columns]; of the lowest ones, what their quantised values allow.
    std::vector<double> variances() const;
    //! Throws Error if the plan sends nothing.
    PictureAllocation allocation() const;
    /*!
     * What arrived, for each coefficient; several slots of one are combined by precision.
     *
     * \param symbols   [n_symbols]
     * \param noise_var of each; infinite or NaN: lost
     */
    PictureMeasurement measurement(const std::complex<float>* symbols,
                                   const float* noise_var) const;

    //! Size of the digital block within the picture.
    std::size_t low_rows() const { return block_rows < rows ? block_rows : rows; }
    std::size_t low_columns() const { return block_columns < columns ? block_columns : columns; }

private:
    int level(std::size_t colour, std::size_t u, std::size_t v) const
    {
        return levels[colour][zones->index(u, v)];
    }
};

} // namespace core
} // namespace diffsem
} // namespace gr

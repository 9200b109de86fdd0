/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Frequency bands of a photograph's cosine transform, and what a network's word for them says of each coefficient.
 * The twin is gr_diffsem/base/picture_bands.py.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Rings of frequencies, each cut into sectors by its angle: bands of luma, then of both other colours.
struct BandShape {
    std::vector<double> edges; // of the rings, in units of the Nyquist frequency, rising
    std::size_t sectors = 1;

    std::size_t each() const { return (edges.size() + 1) * sectors; } // bands of one colour
    std::size_t count() const { return 2 * each(); }
};

//! The bands of photographs of one size. Not safe to share between threads.
class PictureBands
{
public:
    PictureBands(BandShape shape, std::size_t rows, std::size_t columns);

    const BandShape& shape() const { return d_shape; }
    //! Band of coefficient k of [3, rows, columns].
    std::size_t band(std::size_t k) const
    {
        const std::size_t plane = d_rows * d_columns;
        return d_band[k % plane] + (k < plane ? 0 : d_shape.each());
    }
    //! Means over the bands of a variance per coefficient; a sector without coefficients says what its ring says.
    std::vector<double> means(const float* variance) const;

    /*!
     * What an answer to coefficients m with errors of variance e is worth for each, since a network knows of e only
     * means: its correction is multiplied by `far`, and what is then left is `left`. of: the variance that it states, of
     * each band. window: coefficients a side, odd, over which e looks alike to it.
     *
     * It was told the mean of e over a band, and sees it as E, the mean over coefficients of like frequency. So it went
     * the share a = 1 - of / mean of the way to what the picture's structure says, which is right for e = E. The
     * structure's own variance is then s = E (1 - a) / a, and a coefficient should go e / (e + s) of that way; e counts
     * three times E at most. Where a network says that it knows much less than it was told it is trusted less.
     */
    void complete(const float* e,
                  const std::vector<double>& of,
                  std::size_t window,
                  float* far,
                  float* left);

private:
    void look_around(std::size_t window);

    BandShape d_shape;
    std::size_t d_rows, d_columns;
    std::vector<std::uint16_t> d_band; // of each coefficient of a plane
    std::vector<std::size_t> d_number; // of coefficients in each band of a plane
    std::vector<double> d_plane, d_sums;
};

} // namespace core
} // namespace diffsem
} // namespace gr

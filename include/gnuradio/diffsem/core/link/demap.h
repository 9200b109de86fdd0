/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Soft demapping: log-likelihood ratios of bits from symbols with known noise.
 */
#pragma once

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/types.h>

#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * Points of "bpsk", "qpsk", "16qam" or "64qam" of unit mean power, Gray coded as in IEEE 802.11: index =
 * bits in the order they are sent, most significant first; the first half of them chooses the real
 * part. Throws Error for any other name.
 */
std::vector<cfloat> constellation_points(const std::string& name);

/*!
 * Max-log demapper. For y = x + n, E|n|^2 = v, bit b:
 *   L = (min over points with b = 0 of |y - x|^2 - min over points with b = 1) / v ~ ln P(1)/P(0)
 * so L > 0 means 1, as GNU Radio's soft decisions do.
 *
 * Where each bit moves only one of the two axes (square Gray constellations) the axes are searched
 * separately: 2 sqrt(M) distances in place of M.
 */
class MaxLogDemapper
{
public:
    //! \p points: 2^k points, the index being the bits of the symbol.
    explicit MaxLogDemapper(const std::vector<cfloat>& points, bool lsb_first = false);

    int bits() const { return d_bits; }
    float power() const { return d_power; } //!< mean of |x|^2
    /*!
     * \param noise n variances; a symbol whose variance is not positive and finite, or that is not
     *              finite itself, gets 0: nothing is known of its bits
     * \param llr   n * bits() values, the first bit of a symbol first
     * \param scale multiplies all; \param clip if above 0, the largest magnitude (after scale)
     */
    void run(const cfloat* y,
             const float* noise,
             std::size_t n,
             float scale,
             float clip,
             float* llr) const;

private:
    static constexpr int max_bits = 8;
    struct Axis {
        std::vector<float> level;
        std::vector<int> label; // the bits that this axis carries, others 0
        std::vector<int> bits;  // which these are: their exponents
    };
    using Minima = std::array<std::array<float, 2>, max_bits>;
    static void search(const Axis& axis, float y, Minima& least);
    bool separate();

    int d_bits = 0;
    bool d_lsb_first;
    float d_power = 1;
    std::vector<cfloat> d_points;
    bool d_separable = false;
    Axis d_axis[2];
};

} // namespace core
} // namespace diffsem
} // namespace gr

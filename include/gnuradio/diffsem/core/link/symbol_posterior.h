/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a received carrier says of the constellation point that was sent.
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>

#include <cstddef>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * Posterior of x from y = h x + n, E|n|^2 = v, with all points equally likely: p(x) ~ exp(-|y - h x|^2 / v).
 * Where the points are all pairs of some real and some imaginary parts (BPSK, QPSK, QAM), the two are independent
 * given y and each is looked at by itself.
 */
class SymbolPosterior
{
public:
    //! \p points: 2 to 4096 of them, finite. Throws Error.
    explicit SymbolPosterior(std::vector<cfloat> points);

    float power() const { return d_power; } //!< mean of |x|^2

    /*!
     * Of n symbols.
     * \param y, h    n, received and channel
     * \param noise   variance v, above 0
     * \param mean    n, E[x | y]
     * \param power   n, E[|x|^2 | y]
     * \param nearest n, the most likely points
     */
    void run(const cfloat* y,
             const cfloat* h,
             float noise,
             std::size_t n,
             cfloat* mean,
             float* power,
             cfloat* nearest) const;

private:
    void whole(cfloat slope, float curve, cfloat& mean, float& power, cfloat& nearest) const;

    std::vector<cfloat> d_points;
    float d_power = 0;
    std::vector<float> d_real, d_imag; // levels; empty: not separable
};

} // namespace core
} // namespace diffsem
} // namespace gr

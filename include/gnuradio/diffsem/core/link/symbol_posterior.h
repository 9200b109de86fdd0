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
     * \param y, h    received and channel
     * \param noise   variance v, above 0
     * \param mean    E[x | y]
     * \param power   E[|x|^2 | y]
     * \param nearest the most likely point
     */
    void run(cfloat y, cfloat h, float noise, cfloat& mean, float& power, cfloat& nearest) const;

private:
    struct Moments {
        float mean, power, nearest;
    };
    // Logarithms of the weights of the levels are l (2 slope - curve l), but for what they share.
    static Moments axis(const std::vector<float>& levels, float slope, float curve);
    void whole(cfloat slope, float curve, cfloat& mean, float& power, cfloat& nearest) const;

    std::vector<cfloat> d_points;
    float d_power = 0;
    std::vector<float> d_real, d_imag; // levels; empty: not separable
};

} // namespace core
} // namespace diffsem
} // namespace gr

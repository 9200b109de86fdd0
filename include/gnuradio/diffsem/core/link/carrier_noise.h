/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Noise that is not the same on all carriers, from few looks at each.
 */
#pragma once

#include <cstddef>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * How far the noise of each of some things (carriers, symbols) lies above that of most of them. One was seen \p count times
 * and its squared errors, in units of what was stated, added up to \p sum: then sum / g is gamma distributed with the
 * shape count. Its factor g is one of 1, 2, 4 ... 1024 times a level common to all, most having 1; the level and how
 * common each factor is are found by expectation and maximisation. So flat noise stays flat, with two looks at each, and
 * ten times the noise is seen with two. Gives 1/E[1/g] for each, all 1 where nothing was seen.
 */
std::vector<double> noise_factors(const std::vector<double>& sum, const std::vector<double>& count);

/*!
 * The factors of carriers, over frames: what earlier ones said is remembered, each a share less.
 */
class CarrierNoise
{
public:
    explicit CarrierNoise(std::size_t carriers);

    /*!
     * \param found  of each carrier: squared errors, added up
     * \param stated what they should have been
     * \param count  how many; 0: nothing was seen of it
     * The mean of found over stated is taken out: that is the frame's own.
     */
    void add(const std::vector<double>& found,
             const std::vector<double>& stated,
             const std::vector<int>& count);
    const std::vector<double>& factors() const { return d_factor; }

private:
    std::vector<double> d_sum, d_count, d_factor;
};

} // namespace core
} // namespace diffsem
} // namespace gr

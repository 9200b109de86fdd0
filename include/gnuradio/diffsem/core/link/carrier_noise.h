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
 * How far the noise of each carrier lies above that of most. A carrier was seen C times and its noise, in units of what
 * was stated, added up to N (so N/g is gamma distributed with shape C). Its factor g is one of 1, 2, 4 ... 1024 times
 * a level common to all, most carriers having 1; the level and how common each factor is are found by expectation and
 * maximisation. So flat noise stays flat, with two looks at a carrier, and ten times the noise is seen with two.
 * What earlier frames said is remembered, each a share less.
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
    //! Factor of each carrier: 1/E[1/g], times the level; about 1 in the mean over what was seen.
    const std::vector<double>& factors() const { return d_factor; }

private:
    std::vector<double> d_sum, d_count, d_factor;
};

} // namespace core
} // namespace diffsem
} // namespace gr

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "infer/guard.h"

#include <Eigen/Core>
#include <unsupported/Eigen/SpecialFunctions>

#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

double noise_tail(double energy, std::size_t elements, std::size_t parts, double freedom)
{
    // Half a degree of freedom for each real number: a gamma variable of unit scale.
    const double half = 0.5 * double(parts), shape = half * double(elements), x = half * energy;
    if (!(freedom > 0))
        return Eigen::numext::igammac(shape, x);
    const double other = half * freedom;
    return Eigen::numext::betainc(other, shape, other / (other + x));
}

bool contradicts(double energy, std::size_t elements, std::size_t parts, double freedom)
{
    // Two deviations above the mean are no rarity under any of these laws; it spares nearly all items the tail.
    const double count = double(elements), usual = count + 2 * std::sqrt(count * 2 / double(parts));
    if (!elements || !(energy > usual))
        return false;
    return !(noise_tail(energy, elements, parts, freedom) >= guard_false_alarm);
}

bool far_off(double missed,
             double noise,
             double power,
             std::size_t elements,
             std::size_t parts,
             double freedom)
{
    return missed > far_times * noise && missed > far_share * power &&
           contradicts(missed / noise * double(elements), elements, parts, freedom);
}

} // namespace core
} // namespace diffsem
} // namespace gr

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/realtime/intake.h>

#include <algorithm>

namespace gr {
namespace diffsem {
namespace core {

namespace {
constexpr double resolution = 5e-4; // seconds
}

Intake::Intake(std::size_t looks) : d_ring(std::max<std::size_t>(looks, 4)) {}

void Intake::see(double entered, double now, bool busy)
{
    if (d_count && entered < at(d_count - 1).entered)
        clear(); // they are counted anew
    if (!busy && d_count)
        keep({at(d_count - 1).entered, now});
    keep({entered, now});
}

// In the place of the last one, where that lies close behind the one before it and says no more.
void Intake::keep(const Look& look)
{
    if (d_count >= 2) {
        const Look &before = at(d_count - 2), &last = at(d_count - 1);
        const bool still = look.entered == last.entered && last.entered == before.entered;
        const bool close = look.time - before.time < resolution && last.entered != before.entered;
        if (still || close) {
            d_ring[(d_head + d_count - 1) % d_ring.size()] = look;
            return;
        }
    }
    if (d_count == d_ring.size())
        d_head = (d_head + 1) % d_ring.size();
    else
        d_count++;
    d_ring[(d_head + d_count - 1) % d_ring.size()] = look;
}

double Intake::time(double index) const
{
    if (!d_count)
        return 0;
    std::size_t low = 0, high = d_count; // the first look at which the sample was in
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (at(middle).entered > index)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0 || low == d_count)
        return at(low ? d_count - 1 : 0).time;
    const Look &before = at(low - 1), &after = at(low);
    const double share = (index - before.entered) / (after.entered - before.entered);
    return before.time + share * (after.time - before.time);
}

} // namespace core
} // namespace diffsem
} // namespace gr

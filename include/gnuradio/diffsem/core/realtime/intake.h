/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * When samples entered the flowgraph, for a block that sees them much later. Nothing here reads a clock.
 */
#pragma once

#include <cstddef>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * How many samples had entered, at the moments when somebody looked; from this, when each of them did.
 *
 * The one that looks is busy or waits. What enters while it is busy is taken to come evenly. What enters while it waits
 * counts from the end of the wait: it waits because nothing was there, so what ends the wait has just come.
 *
 * Bounded: of what entered before the oldest look it is known only that it is older. Looks less than half a
 * millisecond apart are kept as one.
 */
class Intake
{
public:
    explicit Intake(std::size_t looks = 2048);
    //! So many samples have entered by now. \param busy since the last look; else it was waited
    void see(double entered, double now, bool busy);
    //! When that sample entered, by its number (from 0); those to come: at the last look.
    double time(double index) const;
    void clear() { d_count = 0; }

private:
    struct Look {
        double entered, time;
    };
    void keep(const Look& look);
    const Look& at(std::size_t i) const { return d_ring[(d_head + i) % d_ring.size()]; }

    std::vector<Look> d_ring;
    std::size_t d_head = 0, d_count = 0;
};

} // namespace core
} // namespace diffsem
} // namespace gr

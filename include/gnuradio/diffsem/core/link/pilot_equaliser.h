/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Takes the channel out of OFDM symbols by an estimate that is kept over the frame.
 */
#pragma once

#include <gnuradio/diffsem/core/link/ofdm.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * Symbol s and carrier k become y / (h_k exp(j phi_s)): h is the estimate, phi_s the phase common to all carriers, which
 * CommonPhase follows by the pilots. Without pilots it is 0.
 */
class PilotEqualiser
{
public:
    struct Pilot {
        int carrier;
        cfloat value;
    };
    using Pilots = std::vector<Pilot>; //!< of one symbol

    /*!
     * \param occupied N bytes, non-zero on data carriers; other carriers, unless they hold a pilot, stay as they are
     * \param pilots   sets gone through symbol by symbol, again from the first when they end; empty: no pilots
     * \param memory   of CommonPhase
     */
    PilotEqualiser(std::vector<std::uint8_t> occupied, std::vector<Pilots> pilots, float memory);

    void set_memory(float memory) { d_phase.set_memory(memory); }
    float memory() const { return d_phase.memory(); }
    std::size_t sets() const { return d_pilots.size(); }

    /*!
     * Equalises in place. A carrier in use without an estimate (h = 0) becomes 0, to which a demapper gives no weight.
     * \param frame   symbols x N, received
     * \param first   set of pilots of the first symbol, below sets() if there are any
     * \param channel N, the estimate; afterwards turned by the phase of the last symbol
     */
    void run(cfloat* frame, int symbols, std::size_t first, cfloat* channel);

private:
    void divide(cfloat& y, cfloat h) const;

    std::vector<std::uint8_t> d_occupied;
    std::vector<Pilots> d_pilots;
    CommonPhase d_phase;
    std::vector<cfloat> d_turns;
};

} // namespace core
} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Takes the channel out of OFDM symbols and follows it while it changes.
 */
#pragma once

#include <gnuradio/diffsem/core/link/channel_tracker.h>
#include <gnuradio/diffsem/core/link/pilot_equaliser.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! What a TrackingEqualiser knows of the frames.
struct TrackingLayout {
    //! Sets of N bytes, non-zero on data carriers, gone through symbol by symbol and again from the first
    std::vector<std::vector<std::uint8_t>> occupied;
    std::vector<PilotEqualiser::Pilots> pilots; //!< likewise; empty: none
    //! Points of the data: of the first symbol, the second, ...; the last ones go on
    std::vector<std::vector<cfloat>> constellations;
    double delay_window = 0; //!< longest delay of the channel in samples; 0: N/4
    bool shifted = true;     //!< index 0 is the lowest frequency, not DC
};

/*!
 * Symbol s and carrier k become y / (h_sk exp(j phi_s)): a block of symbols at a time, CommonPhase finds phi by the
 * pilots and the estimate at the block's beginning, ChannelTracker h by pilots and data. Then both once more, with what the
 * first time said: phi by pilots and data and the estimates of each symbol, before and after a second look at h. A frame of more than
 * ChannelTracker::longest_block symbols is cut into blocks of about equal length.
 */
class TrackingEqualiser
{
public:
    //! Throws Error where a constellation is none.
    TrackingEqualiser(const TrackingLayout& layout, float memory);

    void set_memory(float memory) { d_phase.set_memory(memory); }
    float memory() const { return d_phase.memory(); }

    /*!
     * Equalises a frame in place. A carrier in use without an estimate (h = 0) becomes 0.
     * \param frame     symbols x N, received
     * \param first     number of the first symbol: where the lists of carriers begin
     * \param channel   N, the first estimate; afterwards that of the last symbol
     * \param noise_var of ChannelTracker::start
     * \param error_var N, of the estimate; null: not known
     */
    void run(cfloat* frame,
             int symbols,
             std::size_t first,
             cfloat* channel,
             float noise_var,
             const float* error_var);

private:
    void refine_phase(int symbols);
    float mean_in_use(const float* error_var) const;
    void run_block(cfloat* frame, int symbols, std::size_t first, std::size_t seen);

    std::size_t d_n;
    std::vector<int> d_index; // of the carriers in use, ascending in frequency
    std::vector<std::vector<std::uint8_t>> d_in_use; // sets, data or pilot; as many as d_known
    std::vector<std::vector<cfloat>> d_known;        // pilots' values
    std::vector<SymbolPosterior> d_data;
    bool d_follow_phase; // with pilots
    CommonPhase d_phase;
    ChannelTracker d_tracker;

    std::vector<cfloat> d_turns, d_refined, d_received, d_channel;
    std::vector<ChannelTracker::Looks> d_looks;
};

} // namespace core
} // namespace diffsem
} // namespace gr

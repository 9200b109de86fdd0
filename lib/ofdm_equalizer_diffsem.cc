/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "block_helpers.h"

#include <gnuradio/diffsem/ofdm_equalizer_diffsem.h>

#include <numeric>

namespace gr {
namespace diffsem {

namespace {

constexpr std::size_t max_pilot_sets = 4096;

void check_memory(float memory)
{
    if (!(memory >= 0) || memory > 1)
        throw core::Error("phase_memory is " + text(memory) +
                          ": give 0 (each symbol by itself) to 1 (a straight line)");
}

void check_carriers(const std::vector<std::vector<int>>& carriers,
                    int fft_len,
                    const std::string& name)
{
    for (const auto& set : carriers)
        for (int k : set)
            if (k >= fft_len || k < -fft_len)
                throw core::Error(name + ": carrier " + text(k) + " is outside an FFT of " +
                                  text(fft_len) + "; give indices from DC, negative ones below it");
}

} // namespace

ofdm_equalizer_diffsem::sptr
ofdm_equalizer_diffsem::make(int fft_len,
                             const std::vector<std::vector<int>>& occupied_carriers,
                             const std::vector<std::vector<int>>& pilot_carriers,
                             const std::vector<std::vector<gr_complex>>& pilot_symbols,
                             int symbols_skipped,
                             bool input_is_shifted,
                             float phase_memory)
{
    if (fft_len < 1)
        throw core::Error("fft_len is " + text(fft_len) + ": give the number of carriers");
    if (symbols_skipped < 0)
        throw core::Error("symbols_skipped is " + text(symbols_skipped) + ": give 0 or more");
    check_memory(phase_memory);
    check_carriers(occupied_carriers, fft_len, "occupied_carriers");
    check_carriers(pilot_carriers, fft_len, "pilot_carriers");
    if (pilot_symbols.empty() != pilot_carriers.empty())
        throw core::Error("pilot_symbols has " + text(pilot_symbols.size()) +
                          " sets, pilot_carriers " + text(pilot_carriers.size()) +
                          ": give both, or neither");
    // As in the carrier allocator, either list is gone through again when it ends: gr-digital's own
    // receiver has one set of pilot carriers, and 127 of symbols.
    const std::size_t sets =
        pilot_carriers.empty() ? 0 : std::lcm(pilot_carriers.size(), pilot_symbols.size());
    if (sets > max_pilot_sets)
        throw core::Error("pilot_carriers and pilot_symbols repeat after " + text(sets) +
                          " OFDM symbols: give lists that repeat within " + text(max_pilot_sets));
    std::vector<std::vector<int>> carriers(sets);
    std::vector<std::vector<gr_complex>> symbols(sets);
    for (std::size_t i = 0; i < sets; i++) {
        carriers[i] = pilot_carriers[i % pilot_carriers.size()];
        symbols[i] = pilot_symbols[i % pilot_symbols.size()];
        if (symbols[i].size() != carriers[i].size())
            throw core::Error("pilot_symbols[" + text(i % pilot_symbols.size()) + "] has " +
                              text(symbols[i].size()) + " values for " + text(carriers[i].size()) +
                              " pilots: give one for each");
    }
    return sptr(new ofdm_equalizer_diffsem(fft_len,
                                           occupied_carriers,
                                           carriers,
                                           symbols,
                                           symbols_skipped,
                                           input_is_shifted,
                                           phase_memory));
}

ofdm_equalizer_diffsem::ofdm_equalizer_diffsem(
    int fft_len,
    const std::vector<std::vector<int>>& occupied_carriers,
    const std::vector<std::vector<int>>& pilot_carriers,
    const std::vector<std::vector<gr_complex>>& pilot_symbols,
    int symbols_skipped,
    bool input_is_shifted,
    float phase_memory)
    : digital::ofdm_equalizer_1d_pilots(fft_len,
                                        occupied_carriers,
                                        pilot_carriers,
                                        pilot_symbols,
                                        symbols_skipped,
                                        input_is_shifted),
      d_phase(phase_memory)
{
}

ofdm_equalizer_diffsem::~ofdm_equalizer_diffsem() = default;

void ofdm_equalizer_diffsem::set_phase_memory(float phase_memory)
{
    check_memory(phase_memory);
    d_phase.set_memory(phase_memory);
}

float ofdm_equalizer_diffsem::phase_memory() const
{
    return d_phase.memory();
}

void ofdm_equalizer_diffsem::equalize(gr_complex* frame,
                                      int n_sym,
                                      const std::vector<gr_complex>& initial_taps,
                                      const std::vector<tag_t>&)
{
    if (static_cast<int>(initial_taps.size()) == d_fft_len)
        d_channel_state = initial_taps;
    const std::size_t sets = d_pilot_carriers.size();
    const auto is_pilot = [&](std::size_t set, int k) { return sets && d_pilot_carriers[set][k]; };
    const std::size_t first_set = d_pilot_carr_set;

    d_turns.assign(n_sym, 0);
    for (int s = 0; s < n_sym && sets; s++) {
        const std::size_t set = (first_set + s) % sets;
        for (int k = 0; k < d_fft_len; k++)
            if (is_pilot(set, k))
                d_turns[s] += std::conj(d_channel_state[k] * d_pilot_symbols[set][k]) *
                              frame[s * d_fft_len + k];
    }
    d_phase.track(d_turns);

    for (int s = 0; s < n_sym; s++) {
        const std::size_t set = sets ? (first_set + s) % sets : 0;
        for (int k = 0; k < d_fft_len; k++) {
            if (!d_occupied_carriers[k] && !is_pilot(set, k))
                continue;
            gr_complex& v = frame[s * d_fft_len + k];
            const gr_complex h = d_channel_state[k] * d_turns[s];
            const float power = std::norm(h);
            // nothing is known where there is no estimate; a demapper gives such a symbol no weight
            v = power > 0 ? v * std::conj(h) / power : gr_complex(0, 0);
        }
    }
    if (sets)
        d_pilot_carr_set = static_cast<int>((first_set + n_sym) % sets);
    if (n_sym > 0)
        for (auto& h : d_channel_state)
            h *= d_turns[n_sym - 1];
}

} // namespace diffsem
} // namespace gr

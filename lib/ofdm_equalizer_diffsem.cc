/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "block_helpers.h"

#include <gnuradio/diffsem/core/link/tracking_equaliser.h>
#include <gnuradio/diffsem/ofdm_equalizer_diffsem.h>

#include <numeric>
#include <set>

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

// Two values for one carrier: the last one would be taken, and nobody told.
void check_once(const std::vector<std::vector<int>>& pilots, int fft_len)
{
    for (std::size_t i = 0; i < pilots.size(); i++) {
        std::set<int> seen;
        for (int k : pilots[i])
            if (!seen.insert((k + fft_len) % fft_len).second)
                throw core::Error("pilot_carriers[" + text(i) + "] has carrier " + text(k) +
                                  " twice: give each once, from DC or as an index, not both");
    }
}

// As in the carrier allocator, either list is gone through again when it ends: gr-digital's own receiver has one set of
// pilot carriers, and 127 of symbols. Makes both so long that they end together.
void repeat(std::vector<std::vector<int>>& carriers, std::vector<std::vector<gr_complex>>& symbols)
{
    if (symbols.empty() != carriers.empty())
        throw core::Error("pilot_symbols has " + text(symbols.size()) + " sets, pilot_carriers " +
                          text(carriers.size()) + ": give both, or neither");
    if (carriers.empty())
        return;
    const std::size_t given_carriers = carriers.size(), given_symbols = symbols.size();
    const std::size_t sets = std::lcm(given_carriers, given_symbols);
    if (sets > max_pilot_sets)
        throw core::Error("pilot_carriers and pilot_symbols repeat after " + text(sets) +
                          " OFDM symbols: give lists that repeat within " + text(max_pilot_sets));
    carriers.reserve(sets);
    symbols.reserve(sets);
    for (std::size_t i = 0; i < sets; i++) {
        if (i >= given_carriers)
            carriers.push_back(carriers[i % given_carriers]);
        if (i >= given_symbols)
            symbols.push_back(symbols[i % given_symbols]);
        if (symbols[i].size() != carriers[i].size())
            throw core::Error("pilot_symbols[" + text(i % given_symbols) + "] has " +
                              text(symbols[i].size()) + " values for " + text(carriers[i].size()) +
                              " pilots: give one for each");
    }
}

} // namespace

ofdm_equalizer_diffsem::sptr ofdm_equalizer_diffsem::make(int fft_len,
                                                          const ofdm_equalizer_options& options)
{
    if (fft_len < 1)
        throw core::Error("fft_len is " + text(fft_len) + ": give the number of carriers");
    if (options.symbols_skipped < 0)
        throw core::Error("symbols_skipped is " + text(options.symbols_skipped) +
                          ": give 0 or more");
    if (options.delay_window < 0)
        throw core::Error("delay_window is " + text(options.delay_window) +
                          ": give the longest delay in samples, or 0 for a quarter of fft_len");
    check_memory(options.phase_memory);
    check_carriers(options.occupied_carriers, fft_len, "occupied_carriers");
    check_carriers(options.pilot_carriers, fft_len, "pilot_carriers");
    check_once(options.pilot_carriers, fft_len);
    auto full = options;
    repeat(full.pilot_carriers, full.pilot_symbols);
    return sptr(new ofdm_equalizer_diffsem(fft_len, full));
}

ofdm_equalizer_diffsem::ofdm_equalizer_diffsem(int fft_len, const ofdm_equalizer_options& options)
    : digital::ofdm_equalizer_1d_pilots(fft_len,
                                        options.occupied_carriers,
                                        options.pilot_carriers,
                                        options.pilot_symbols,
                                        options.symbols_skipped,
                                        options.input_is_shifted),
      d_noise_key(keys().noise_var),
      d_error_key(keys().error_var),
      d_equaliser(std::vector<uint8_t>(d_occupied_carriers.begin(), d_occupied_carriers.end()),
                  pilots(),
                  options.phase_memory),
      d_symbol(options.symbols_skipped)
{
    if (!options.constellations.empty())
        d_tracking =
            std::make_unique<core::TrackingEqualiser>(layout(options), options.phase_memory);
}

core::TrackingLayout ofdm_equalizer_diffsem::layout(const ofdm_equalizer_options& options) const
{
    core::TrackingLayout out;
    for (const auto& carriers : options.occupied_carriers) {
        auto& set = out.occupied.emplace_back(d_fft_len, 0);
        for (int k : carriers)
            set[(k + (options.input_is_shifted ? d_fft_len / 2 : 0) + d_fft_len) % d_fft_len] = 1;
    }
    if (out.occupied.empty())
        out.occupied.emplace_back(d_fft_len, 1);
    out.pilots = pilots();
    out.constellations = options.constellations;
    out.delay_window = options.delay_window;
    out.shifted = options.input_is_shifted;
    return out;
}

// What the base class made of the lists: by index of the FFT.
std::vector<core::PilotEqualiser::Pilots> ofdm_equalizer_diffsem::pilots() const
{
    std::vector<core::PilotEqualiser::Pilots> sets(d_pilot_carriers.size());
    for (std::size_t set = 0; set < sets.size(); set++)
        for (int k = 0; k < d_fft_len; k++)
            if (d_pilot_carriers[set][k])
                sets[set].push_back({k, d_pilot_symbols[set][k]});
    return sets;
}

ofdm_equalizer_diffsem::~ofdm_equalizer_diffsem() = default;

void ofdm_equalizer_diffsem::reset()
{
    digital::ofdm_equalizer_1d_pilots::reset();
    d_symbol = d_symbols_skipped;
}

void ofdm_equalizer_diffsem::set_phase_memory(float phase_memory)
{
    check_memory(phase_memory);
    d_equaliser.set_memory(phase_memory);
    if (d_tracking)
        d_tracking->set_memory(phase_memory);
}

float ofdm_equalizer_diffsem::phase_memory() const
{
    return d_equaliser.memory();
}

// Noise and error of the first estimate, as far as tags tell them.
void ofdm_equalizer_diffsem::follow(gr_complex* frame, int n_sym, const std::vector<tag_t>& tags)
{
    float noise = std::nanf("");
    const float* error = nullptr;
    for (const auto& tag : tags) {
        double value = 0;
        std::size_t size = 0;
        if (pmt::eqv(tag.key, d_noise_key) && real_number(tag.value, value))
            noise = static_cast<float>(value);
        else if (pmt::eqv(tag.key, d_error_key) && pmt::is_f32vector(tag.value) &&
                 pmt::length(tag.value) == static_cast<std::size_t>(d_fft_len))
            error = pmt::f32vector_elements(tag.value, size);
    }
    d_tracking->run(frame, n_sym, d_symbol, d_channel_state.data(), noise, error);
}

void ofdm_equalizer_diffsem::equalize(gr_complex* frame,
                                      int n_sym,
                                      const std::vector<gr_complex>& initial_taps,
                                      const std::vector<tag_t>& tags)
{
    if (static_cast<int>(initial_taps.size()) == d_fft_len)
        d_channel_state = initial_taps;
    if (d_tracking)
        follow(frame, n_sym, tags);
    else
        d_equaliser.run(frame, n_sym, d_pilot_carr_set, d_channel_state.data());
    d_symbol += n_sym;
    if (const std::size_t sets = d_equaliser.sets())
        d_pilot_carr_set = static_cast<int>((d_pilot_carr_set + n_sym) % sets);
}

} // namespace diffsem
} // namespace gr

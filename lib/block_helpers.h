/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the shells share: checks of parameters, limited logging, statistics. Private.
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/diffsem/core/infer/scheme.h>
#include <pmt/pmt.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <sstream>
#include <string>

namespace gr {
namespace diffsem {

//! Keys of the tags and messages that several blocks know.
struct keys {
    pmt::pmt_t noise_var = pmt::mp("diffsem_noise_var");
    pmt::pmt_t error_var = pmt::mp("diffsem_error_var");
    pmt::pmt_t steps = pmt::mp("diffsem_steps");
    pmt::pmt_t planned = pmt::mp("diffsem_planned");
    pmt::pmt_t bypassed = pmt::mp("diffsem_bypassed");
    pmt::pmt_t guarded = pmt::mp("diffsem_guarded");
    pmt::pmt_t few_observed = pmt::mp("diffsem_few_observed");
    pmt::pmt_t dropped = pmt::mp("diffsem_dropped");
    pmt::pmt_t latency = pmt::mp("diffsem_latency");
    pmt::pmt_t age = pmt::mp("diffsem_age");
    pmt::pmt_t model = pmt::mp("diffsem_model");
    pmt::pmt_t scheme = pmt::mp("scheme");
    pmt::pmt_t condition = pmt::mp("condition");
    pmt::pmt_t condition_tag = pmt::mp("diffsem_condition");
    pmt::pmt_t reset = pmt::mp("diffsem_reset");
    pmt::pmt_t snr = pmt::mp("snr");
    pmt::pmt_t carr_offset = pmt::mp("ofdm_sync_carr_offset");
    pmt::pmt_t chan_taps = pmt::mp("ofdm_sync_chan_taps");
    pmt::pmt_t stats = pmt::mp("stats");
};

//! What stands under the key of a reset, in a tag or a PDU: any value but false asks for one.
inline bool asks_reset(const pmt::pmt_t& value)
{
    return !pmt::eqv(value, pmt::PMT_F);
}

template <typename T>
std::string text(const T& value)
{
    std::ostringstream out;
    out << value;
    return out.str();
}

inline void check_noise_var(float noise_var, bool zero_means_measure)
{
    if (zero_means_measure && noise_var == 0)
        return;
    if (!(noise_var > 0) || !std::isfinite(noise_var))
        throw core::Error("noise_var is " + text(noise_var) +
                          ": give the noise variance per complex element, above 0" +
                          (zero_means_measure ? ", or 0 to have it measured" : ""));
}

inline void check_steps(int steps)
{
    if (steps < 0 || steps > 10000)
        throw core::Error(
            "steps is " + text(steps) +
            ": give the number of evaluations, up to 10000, or 0 for the scheme's own");
}

inline void check_eta(float eta)
{
    if (std::isnan(eta) || eta > 1)
        throw core::Error(
            "eta is " + text(eta) +
            ": give 0 (deterministic) to 1, or a negative value for the scheme's own");
}

//! "64", "2x8", "any"
inline std::string shape_text(const core::SchemeInfo& info)
{
    if (info.shape.empty())
        return "any";
    std::string out;
    for (auto n : info.shape)
        out += (out.empty() ? "" : "x") + std::to_string(n);
    return out;
}

//! The real number of a tag or a message; false if it is none (pmt::is_number also says yes to what to_double refuses).
inline bool real_number(const pmt::pmt_t& value, double& number)
{
    if (pmt::is_uint64(value))
        number = static_cast<double>(pmt::to_uint64(value));
    else if (pmt::is_real(value) || pmt::is_integer(value))
        number = pmt::to_double(value);
    else
        return false;
    return true;
}

//! What every block says on its port `stats`: in = out + dropped.
inline pmt::pmt_t counters(uint64_t out, uint64_t dropped, uint64_t bypassed)
{
    pmt::pmt_t stats = pmt::make_dict();
    stats = pmt::dict_add(stats, pmt::mp("in"), pmt::from_uint64(out + dropped));
    stats = pmt::dict_add(stats, pmt::mp("out"), pmt::from_uint64(out));
    stats = pmt::dict_add(stats, pmt::mp("dropped"), pmt::from_uint64(dropped));
    return pmt::dict_add(stats, pmt::mp("bypassed"), pmt::from_uint64(bypassed));
}

//! The scheme or model that a message names, as a symbol or a pair (key . symbol); empty: neither.
inline std::string scheme_of(const pmt::pmt_t& message)
{
    const pmt::pmt_t name = pmt::is_pair(message) ? pmt::cdr(message) : message;
    return pmt::is_symbol(name) ? pmt::symbol_to_string(name) : "";
}

//! True about once in each interval; for logs and statistics that must not flood.
class rate_limit
{
public:
    explicit rate_limit(double seconds) : d_interval(seconds) {}
    bool due()
    {
        const auto now = clock::now();
        if (d_started && now - d_last < d_interval)
            return false;
        d_started = true;
        d_last = now;
        return true;
    }

private:
    using clock = std::chrono::steady_clock;
    std::chrono::duration<double> d_interval;
    clock::time_point d_last;
    bool d_started = false;
};

//! Random numbers of a block that no seed was given to: no two blocks of a process draw the same.
inline std::uint64_t next_noise_stream()
{
    static std::atomic<std::uint64_t> next{0};
    return next++;
}

} // namespace diffsem
} // namespace gr

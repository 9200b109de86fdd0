/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/grid_pilots.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <sstream>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr float unobserved = std::numeric_limits<float>::infinity();
constexpr int most_carriers = 65536;
constexpr float timing_margin = 1.5f; // samples, on both sides of the delay window
constexpr double enough = 0.25;       // of a symbol's pilots, left for the noise

std::string number(double value)
{
    std::ostringstream text;
    text << value;
    return text.str();
}

} // namespace

// N bytes in shifted order, 1 at each of these carriers.
std::vector<std::uint8_t> GridPilots::band(const std::vector<int>& carriers,
                                           const char* parameter) const
{
    const int half = static_cast<int>(d_n / 2), end = static_cast<int>(d_n) - half;
    std::vector<std::uint8_t> out(d_n, 0);
    for (const int k : carriers) {
        if (k < -half || k >= end)
            throw Error(std::string(parameter) + ": carrier " + std::to_string(k) +
                        " lies outside the band of fft_len = " + std::to_string(d_n) +
                        ": count from DC, " + std::to_string(-half) + " to " +
                        std::to_string(end - 1));
        if (out[static_cast<std::size_t>(k + half)]++)
            throw Error(std::string(parameter) + ": carrier " + std::to_string(k) +
                        " is there twice; leave one out");
    }
    return out;
}

GridPilots::GridPilots(int fft_len,
                       const std::vector<int>& occupied,
                       const std::vector<SymbolPilots>& pattern,
                       const std::vector<int>& null_carriers,
                       float delay_window)
    : d_n(static_cast<std::size_t>(std::max(fft_len, 0)))
{
    if (fft_len < 2 || fft_len > most_carriers)
        throw Error("fft_len is " + std::to_string(fft_len) + ": give 2 to " +
                    std::to_string(most_carriers) + " carriers");
    if (occupied.empty())
        throw Error("occupied_carriers is empty: give the carriers that carry energy, counted "
                    "from DC, pilots among them");
    if (pattern.empty())
        throw Error("pilots is empty: give (carriers, values) for each symbol of a period");
    if (!(delay_window >= 0) || delay_window > float(fft_len))
        throw Error("delay_window is " + number(delay_window) + ": give samples, 0 (choose) to " +
                    std::to_string(fft_len));
    const auto used = band(occupied, "occupied_carriers");
    const auto first = std::find(used.begin(), used.end(), 1);
    const auto last = std::find(used.rbegin(), used.rend(), 1).base();
    d_first = static_cast<std::size_t>(first - used.begin());
    d_columns = static_cast<std::size_t>(last - first);
    for (std::size_t at = 0; at < pattern.size(); at++)
        d_symbols.push_back(checked(pattern[at], at, used));
    if (std::all_of(
            d_symbols.begin(), d_symbols.end(), [](const auto& s) { return s.index.empty(); }))
        throw Error("pilots has no carrier in any of its " + std::to_string(period()) +
                    " symbols: give some");
    find_repetition(pattern);

    const auto empty = band(null_carriers, "null_carriers");
    for (std::size_t k = 0; k < d_n; k++) {
        if (empty[k] && used[k])
            throw Error("null_carriers: carrier " +
                        std::to_string(static_cast<long>(k) - static_cast<long>(d_n / 2)) +
                        " is also in occupied_carriers; it is one or the other");
        if (empty[k])
            d_null.push_back(k);
    }
    if (!d_null.empty())
        return;
    const float n = static_cast<float>(d_n);
    bool found = delay_window > 0 && choose_tails(delay_window, 0);
    for (int part = 4; part <= 32 && delay_window == 0 && !found; part *= 2)
        found = choose_tails(n / static_cast<float>(part), enough);
    if (!found)
        d_noise_error =
            "no symbol has pilots enough to tell noise from a channel that may last " +
            number(delay_window > 0 ? delay_window : n / 32) +
            " samples: give noise_var, null_carriers where nothing is sent, or a shorter "
            "delay_window";
}

GridPilots::Symbol GridPilots::checked(const SymbolPilots& pilots,
                                       std::size_t at,
                                       const std::vector<std::uint8_t>& occupied) const
{
    const std::string which = "pilots, symbol " + std::to_string(at);
    const auto& [carriers, values] = pilots;
    if (carriers.size() != values.size())
        throw Error(which + " has " + std::to_string(carriers.size()) + " carriers and " +
                    std::to_string(values.size()) + " values: give one for each");
    band(carriers, which.c_str());
    Symbol out;
    for (std::size_t i = 0; i < carriers.size(); i++) {
        const auto index = static_cast<std::size_t>(carriers[i] + static_cast<int>(d_n / 2));
        const float power = std::norm(values[i]);
        if (!occupied[index])
            throw Error(which + ": carrier " + std::to_string(carriers[i]) +
                        " is not among occupied_carriers: add it there, or leave it out");
        if (!std::isnormal(power))
            throw Error(which + ": the value of carrier " + std::to_string(carriers[i]) + " is " +
                        number(values[i].real()) + " + " + number(values[i].imag()) +
                        "j: give what is sent there, finite and not 0");
        out.index.push_back(index);
        out.inverse.push_back(1.0f / values[i]);
        out.gain.push_back(1.0f / power);
        out.mean_gain += 1.0 / power / double(carriers.size());
    }
    return out;
}

void GridPilots::find_repetition(const std::vector<SymbolPilots>& pattern)
{
    const std::size_t count = pattern.size();
    std::vector<std::vector<int>> places;
    for (const auto& symbol : pattern) {
        places.push_back(symbol.first);
        std::sort(places.back().begin(), places.back().end());
    }
    const auto repeats = [&](std::size_t after) {
        for (std::size_t i = 0; i < count; i++)
            if (places[i] != places[(i + after) % count])
                return false;
        return true;
    };
    d_places = 1;
    while (count % d_places || !repeats(d_places))
        d_places++;
    for (std::size_t i = 0, run = 0; i < 2 * count; i++) {
        run = places[i % count].empty() ? run + 1 : 0;
        d_gap = std::max(d_gap, run);
    }
}

void GridPilots::check_window(std::size_t window, bool frames) const
{
    const std::string said = "window is " + std::to_string(window) + " symbols, but ";
    if (window <= d_gap)
        throw Error(said + "pilots has " + std::to_string(d_gap) +
                    " symbols in a row without any: give at least " + std::to_string(d_gap + 1));
    if (!frames && window < d_places)
        throw Error(said + "the places of pilots repeat after " + std::to_string(d_places) +
                    ": give at least so many, or frame_tag if each period is a frame of its own");
}

// Symbols of which at least this share of the pilots is left for the noise get what measures it. Equal places share it.
bool GridPilots::choose_tails(float window, double least_share)
{
    std::map<std::vector<std::size_t>, std::shared_ptr<const DelayTailNoise>> made;
    bool any = false;
    for (auto& symbol : d_symbols) {
        auto order = symbol.index;
        std::sort(order.begin(), order.end());
        if (!made.count(order)) {
            std::vector<std::uint8_t> observed(d_columns, 0);
            for (const auto k : order)
                observed[k - d_first] = 1;
            // Its samples are those of as many carriers as it sees.
            const float scale = float(d_columns) / float(d_n);
            try {
                auto tail = std::make_shared<const DelayTailNoise>(
                    observed, window * scale, timing_margin * scale);
                made[order] =
                    tail->freedom() >= least_share * double(order.size()) ? tail : nullptr;
            } catch (const Error&) { // nothing is left
                made[order] = nullptr;
            }
        }
        symbol.tail = made[order];
        any = any || symbol.tail;
    }
    d_delay_window = any ? window : 0;
    return any;
}

void GridPilots::measure(const cfloat* symbol,
                         std::size_t phase,
                         cfloat* taps,
                         float* noise_gain) const
{
    std::fill_n(taps, d_columns, cfloat(0));
    std::fill_n(noise_gain, d_columns, unobserved);
    const Symbol& s = d_symbols[phase];
    for (std::size_t i = 0; i < s.index.size(); i++) {
        taps[s.index[i] - d_first] = symbol[s.index[i]] * s.inverse[i];
        noise_gain[s.index[i] - d_first] = s.gain[i];
    }
}

NoiseSum GridPilots::noise(const cfloat* symbol, const cfloat* taps, std::size_t phase) const
{
    NoiseSum out;
    for (const auto k : d_null)
        out.add({std::norm(symbol[k]), 1});
    const Symbol& s = d_symbols[phase];
    if (d_null.empty() && s.tail) {
        out.count = s.tail->freedom();
        out.sum = (*s.tail)(taps) / s.mean_gain * out.count;
    }
    return out;
}

void GridPilots::interpolate(const cfloat* taps,
                             const float* noise_gain,
                             std::size_t rows,
                             cfloat* out) const
{
    std::size_t before = d_columns; // none yet
    for (std::size_t c = 0; c < d_columns; c++) {
        if (!interpolate_column(taps, noise_gain, rows, c, out))
            continue;
        const bool edge = before == d_columns;
        const std::size_t from = edge ? 0 : before + 1;
        for (std::size_t r = 0; r < rows; r++) {
            cfloat* row = out + r * d_columns;
            for (std::size_t k = from; k < c; k++) {
                const float w = edge ? 1.0f : float(k - before) / float(c - before);
                row[k] = w * row[c] + (edge ? cfloat(0) : (1 - w) * row[before]);
            }
        }
        before = c;
    }
    for (std::size_t r = 0; r < rows; r++) {
        cfloat* row = out + r * d_columns;
        if (before == d_columns)
            std::fill_n(row, d_columns, cfloat(0));
        else
            std::fill(row + before + 1, row + d_columns, row[before]);
    }
}

// False, and nothing written, where nothing is measured in the column.
bool GridPilots::interpolate_column(const cfloat* taps,
                                    const float* noise_gain,
                                    std::size_t rows,
                                    std::size_t column,
                                    cfloat* out) const
{
    std::size_t before = rows; // none yet
    for (std::size_t r = 0; r < rows; r++) {
        const std::size_t at = r * d_columns + column;
        if (noise_gain[at] == unobserved)
            continue;
        const bool edge = before == rows;
        for (std::size_t i = edge ? 0 : before + 1; i <= r; i++) {
            const float w = edge ? 1.0f : float(i - before) / float(r - before);
            out[i * d_columns + column] =
                w * taps[at] + (edge ? cfloat(0) : (1 - w) * taps[before * d_columns + column]);
        }
        before = r;
    }
    for (std::size_t i = before + 1; before < rows && i < rows; i++)
        out[i * d_columns + column] = out[before * d_columns + column];
    return before < rows;
}

} // namespace core
} // namespace diffsem
} // namespace gr

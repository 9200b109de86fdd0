/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/dvbt_demodulator.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::uint64_t superframe = DvbtLayout::superframe;
constexpr std::uint64_t frame = DvbtLayout::symbols_per_frame;
// Rows without parameters that can be read, after which all is looked for again; a place that is known is held longer.
constexpr std::size_t patience = 3 * std::size_t(frame), long_patience = 40 * std::size_t(frame);
constexpr float nothing = std::numeric_limits<float>::min();
constexpr float least_noise = 1e-7f; // over the power, where none is measured
constexpr double strike = 30;        // over the usual power: an impulse, no fade comes up so fast
constexpr std::size_t strikes = 3;   // in a row, behind which it is another gain
constexpr double memory_power = 0.9; // of the usual power, a symbol

double mean_power(const std::vector<cfloat>& x)
{
    double sum = 0;
    for (const auto& v : x)
        sum += std::norm(v);
    return sum / double(x.size());
}

} // namespace

DvbtDemodulator::DvbtDemodulator(const DvbtLayout& layout, DvbtChannel& channel)
    : d_layout(layout),
      d_channel(channel),
      d_carriers(layout),
      d_rows(kept),
      d_response(layout.carriers),
      d_error(layout.carriers)
{
    for (auto& row : d_rows)
        row.carriers.resize(layout.carriers);
}

void DvbtDemodulator::begin()
{
    d_located = d_ended = false; // no loss
    restart();
}

void DvbtDemodulator::restart()
{
    d_losses += d_located;
    d_carriers.restart();
    d_tps.restart();
    d_channel.restart();
    d_pushed = d_answered = 0;
    d_silent = 0;
    d_power = 0;
    d_struck = 0;
    d_located = d_begun = false;
}

/*
 * What a symbol of this power has of an impulse, a carrier; 0 for none. An impulse in a running mean would be the noise of
 * some hundred symbols behind it.
 */
double DvbtDemodulator::impulse(double power)
{
    const bool more = d_power > 0 && power > strike * d_power;
    if (more && d_struck < strikes) {
        d_struck++;
        return power - d_power;
    }
    d_struck = 0;
    const double kept = more || !(d_power > 0) ? 0 : memory_power;
    d_power = kept * d_power + (1 - kept) * power;
    return 0;
}

int DvbtDemodulator::place(std::uint64_t row) const
{
    return int((row + d_first) % superframe);
}

void DvbtDemodulator::push(const cfloat* spectrum)
{
    const bool known = d_carriers.known();
    const bool usable = d_carriers.push(spectrum);
    if (!known)
        return;
    if (d_carriers.slipped()) {
        restart();
        return;
    }
    Row& row = d_rows[d_pushed % kept];
    if (usable)
        row.carriers = d_carriers.carriers();
    row.usable = usable;
    row.impulse = usable ? static_cast<float>(impulse(mean_power(row.carriers))) : 0;
    d_channel.push(usable && !(row.impulse > 0) ? row.carriers.data() : nullptr,
                   d_carriers.phase());
    d_pushed++;
    read_parameters(usable);
}

// Their last bit is of a frame's last symbol.
void DvbtDemodulator::read_parameters(bool usable)
{
    d_silent++;
    const bool read = d_tps.push(usable && d_carriers.tps_bit());
    const bool fits = read && d_carriers.phase() == (frame - 1) % DvbtLayout::phases;
    if (fits) {
        const std::uint64_t next =
            (std::uint64_t(d_tps.parameters().frame) + 1) * frame % superframe;
        const std::uint64_t first = (next + superframe - d_pushed % superframe) % superframe;
        if (d_located && first != d_first) {
            restart();
            return;
        }
        d_first = first;
        d_located = true;
        d_silent = 0;
    } else if (d_silent > (d_located ? long_patience : patience)) {
        restart();
    }
}

void DvbtDemodulator::noise_of(const std::vector<std::size_t>& places,
                               const Row& row,
                               float* noise) const
{
    double power = 0;
    for (const auto k : places)
        power += std::norm(d_response[k]);
    const float least = least_noise * static_cast<float>(power / double(places.size()));
    const float here = std::max(noise_var(), least) + row.impulse;
    for (std::size_t i = 0; i < places.size(); i++) {
        const float v = (here + d_error[places[i]]) / std::norm(d_response[places[i]]);
        noise[i] = row.usable && std::isfinite(v) ? v : std::numeric_limits<float>::infinity();
    }
}

bool DvbtDemodulator::pop(cfloat* data, DvbtSymbol& symbol, float* noise)
{
    const std::uint64_t number = d_answered++;
    const Row& row = d_rows[number % kept];
    const auto back = std::size_t(d_pushed - 1 - number);
    if (!d_located || (!d_begun && place(number) != 0)) {
        d_channel.pass(back, d_response.data());
        return false;
    }
    d_channel.estimate(back, d_response.data(), noise ? d_error.data() : nullptr);
    symbol.begins = !d_begun;
    symbol.index = place(number) % int(frame);
    symbol.usable = row.usable;
    d_begun = true;
    const auto& places = d_layout.data[std::size_t(symbol.index) % DvbtLayout::phases];
    for (std::size_t i = 0; i < places.size(); i++) {
        const cfloat y = row.carriers[places[i]], h = d_response[places[i]];
        const float scale = 1 / std::max(std::norm(h), nothing);
        const cfloat x((y.real() * h.real() + y.imag() * h.imag()) * scale,
                       (y.imag() * h.real() - y.real() * h.imag()) * scale);
        data[i] = row.usable && std::isfinite(x.real()) && std::isfinite(x.imag()) ? x : cfloat(0);
    }
    if (noise)
        noise_of(places, row, noise);
    return true;
}

} // namespace core
} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/grid_window.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr float unobserved = std::numeric_limits<float>::infinity();
constexpr int most_rows = 4096;

} // namespace

GridWindow::GridWindow(const GridPilots& pilots, int window, int latency, bool frames)
    : d_pilots(pilots),
      d_rows(static_cast<std::size_t>(std::max(window, 0)))
{
    if (window < 1 || window > most_rows)
        throw Error("window is " + std::to_string(window) + ": give 1 to " +
                    std::to_string(most_rows) + " symbols");
    pilots.check_window(d_rows, frames);
    if (latency < -1 || latency >= window)
        throw Error("latency is " + std::to_string(latency) + ": give symbols, 0 to " +
                    std::to_string(window - 1) + " (window - 1), or -1 for as many as help");
    const std::size_t most = latency < 0 ? d_rows - 1 : static_cast<std::size_t>(latency);
    d_hop = std::max<std::size_t>(std::min((most + 2) / 2, d_rows / 2), 1);
    d_ahead = std::min(most + 1 - d_hop, (d_rows - d_hop) / 2);
    d_symbols.resize(d_rows * pilots.fft_len());
    d_taps.resize(d_rows * pilots.columns());
    d_gain.resize(d_taps.size());
    d_noise.resize(d_rows);
    d_finite.resize(d_rows);
    restart();
}

void GridWindow::restart()
{
    d_filled = d_given = 0;
    std::fill(d_taps.begin(), d_taps.end(), cfloat(0));
    std::fill(d_gain.begin(), d_gain.end(), unobserved);
    std::fill(d_noise.begin(), d_noise.end(), NoiseSum());
}

// Forgets the first ones, so that the next window to be answered ends with the last row.
void GridWindow::shift(std::size_t rows)
{
    const auto move = [&](auto& v, std::size_t width) {
        const auto by = static_cast<std::ptrdiff_t>(rows * width);
        std::move(v.begin() + by, v.end(), v.begin());
        return v.end() - by;
    };
    move(d_symbols, d_pilots.fft_len());
    move(d_finite, 1);
    std::fill(move(d_taps, d_pilots.columns()), d_taps.end(), cfloat(0));
    std::fill(move(d_gain, d_pilots.columns()), d_gain.end(), unobserved);
    std::fill(move(d_noise, 1), d_noise.end(), NoiseSum());
    d_filled -= rows;
    d_given -= rows;
}

void GridWindow::push(const cfloat* symbol, std::size_t phase)
{
    if (d_filled == d_rows)
        shift(d_given + d_hop + d_ahead - d_rows);
    const std::size_t row = d_filled++, n = d_pilots.fft_len(), columns = d_pilots.columns();
    std::copy(symbol, symbol + n, &d_symbols[row * n]);
    double power = 0; // squares of floats cannot overflow a double
    for (std::size_t k = 0; k < n; k++)
        power += double(symbol[k].real()) * symbol[k].real() +
                 double(symbol[k].imag()) * symbol[k].imag();
    d_finite[row] = std::isfinite(power);
    if (!d_finite[row])
        return; // as a row that has not come
    cfloat* taps = &d_taps[row * columns];
    d_pilots.measure(symbol, phase, taps, &d_gain[row * columns]);
    d_noise[row] = d_pilots.noise(symbol, taps, phase);
}

NoiseSum GridWindow::noise() const
{
    NoiseSum all;
    for (const auto& row : d_noise)
        all.add(row);
    return all;
}

float GridWindow::pilot_power() const
{
    double sum = 0, count = 0;
    for (std::size_t i = 0; i < d_gain.size(); i++)
        if (d_gain[i] != unobserved) {
            sum += std::norm(d_taps[i]) / d_gain[i];
            count++;
        }
    return count ? static_cast<float>(sum / count) : 0.0f;
}

} // namespace core
} // namespace diffsem
} // namespace gr

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/picture/picture_plan.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t blocks[3][2] = {{1, 1}, {2, 3}, {4, 6}};

// The lowest coefficients, a colour after the other.
void read_low(RangeDecoder& decoder, PicturePlan& p)
{
    std::vector<std::vector<RangeContext>> contexts(4, std::vector<RangeContext>(12));
    for (std::size_t c = 0; c < 3; c++)
        for (std::size_t i = 0; i < p.low_rows(); i++)
            for (std::size_t j = 0; j < p.low_columns(); j++) {
                const std::size_t kind = c ? 3 : i + j == 0 ? 0 : i + j > 2 ? 2 : 1;
                p.low[c].push_back(decoder.signed_number(contexts[kind].data(), 12));
            }
}

void read_spectrum(RangeDecoder& decoder, PicturePlan& p)
{
    p.floor = least_level;
    if (p.model == 0) {
        for (auto& levels : p.levels) {
            const int amplitude = decoder.bits(6) + least_level;
            levels = p.zones->power_law(amplitude, decoder.bits(3));
            for (int& level : levels)
                level += 1 - p.floor;
        }
        return;
    }
    p.floor += decoder.bits(6);
    p.levels = decode_levels(decoder, *p.zones, p.zones->occupied(p.block_rows, p.block_columns));
    for (int& tail : p.tail)
        tail = decoder.bits(6) + least_level;
}

} // namespace

PicturePlan PicturePlan::parse(const std::uint8_t* data, std::size_t size)
{
    RangeDecoder decoder(data, size);
    PicturePlan p;
    const int format = decoder.bits(3);
    if (format != version)
        throw Error("digital: format " + std::to_string(format) + ", this receiver knows " +
                    std::to_string(version) + ": update it or the sender");
    p.model = decoder.bits(3);
    const int block = decoder.bits(2);
    if (p.model >= spectrum_models || block >= 3)
        throw Error("digital: spectrum model " + std::to_string(p.model) + " or block " +
                    std::to_string(block) + " is unknown: not a picture's bytes");
    p.block_rows = blocks[block][0];
    p.block_columns = blocks[block][1];
    p.rows = std::size_t(decoder.bits(12)) + 1;
    p.columns = std::size_t(decoder.bits(12)) + 1;
    if (p.rows * p.columns > max_pixels)
        throw Error("digital: a picture of " + std::to_string(p.rows) + " x " +
                    std::to_string(p.columns) + " pixels, at most " + std::to_string(max_pixels) +
                    ": not a picture's bytes");
    p.n_symbols = std::size_t(decoder.bits(20));
    p.power = decoder.bits(8);
    p.design_snr = decoder.bits(5) - 10;
    p.scheme_hash = decoder.bits(block == 0 ? 8 : 16);
    // Powers of sqrt 2: the twin's, to the bit.
    p.step = 0.25 * std::pow(2.0, double(decoder.bits(4)) / 2);
    read_low(decoder, p);
    if (!p.n_symbols) // before any work that grows with the picture
        throw Error("digital: no analogue symbols: not a picture's bytes");
    p.zones = std::make_shared<const Zones>(p.rows, p.columns, p.model);
    read_spectrum(decoder, p);
    return p;
}

std::vector<double> PicturePlan::variances() const
{
    const std::size_t plane = rows * columns;
    std::vector<double> out(3 * plane), falling(plane);
    for (std::size_t u = 0; u < rows; u++)
        for (std::size_t v = 0; v < columns; v++) {
            const double a = double(u) / double(rows), b = double(v) / double(columns);
            falling[u * columns + v] = 1 / std::max(a * a + b * b, 1 / double(plane));
        }
    for (std::size_t c = 0; c < 3; c++) {
        double sum = 0, count = 0;
        for (std::size_t u = 0; u < rows; u++)
            for (std::size_t v = 0; v < columns; v++)
                if (!level(c, u, v)) {
                    sum += falling[u * columns + v];
                    count++;
                }
        const double scale = count ? std::ldexp(1.0, tail[c]) / (sum / count) : 1;
        const double weakest = std::ldexp(1.0, floor);
        for (std::size_t u = 0; u < rows; u++)
            for (std::size_t v = 0; v < columns; v++) {
                const int n = level(c, u, v);
                const std::size_t k = u * columns + v;
                out[c * plane + k] =
                    n ? std::ldexp(1.0, n + floor - 1) : std::min(falling[k] * scale, weakest);
            }
        for (std::size_t u = 0, k = 0; u < low_rows(); u++)
            for (std::size_t v = 0; v < low_columns(); v++, k++) {
                const double value = low[c][k] * step;
                out[c * plane + u * columns + v] = value * value + step * step;
            }
    }
    return out;
}

PictureMeasurement PicturePlan::measurement(const std::complex<float>* symbols,
                                            const float* noise_var) const
{
    const PictureAllocation sent = allocation();
    const std::size_t n = n_symbols, plane = rows * columns;
    std::vector<double> precision(2 * n, 0.0), value(2 * n, 0.0); // of each slot
    for (std::size_t i = 0; i < n; i++) {
        const auto s = symbols[i];
        if (!std::isfinite(noise_var[i]) || !std::isfinite(s.real()) || !std::isfinite(s.imag()))
            continue;
        const std::size_t m = sent.places[i];
        // each component has half the noise
        precision[m] = precision[n + m] = 2 / std::max(double(noise_var[i]), 1e-12);
        value[m] = double(s.real()) * precision[m];
        value[n + m] = double(s.imag()) * precision[m];
    }
    PictureMeasurement out;
    out.y.assign(3 * plane, 0.0f);
    out.gains.assign(3 * plane, 0.0f);
    out.noise_var.assign(3 * plane, std::numeric_limits<float>::infinity());
    for (std::size_t rank = 0, slot = 0; rank < sent.order.size(); rank++) {
        double total = 0, sum = 0;
        for (std::uint32_t copy = 0; copy < sent.copies[rank]; copy++, slot++) {
            total += precision[slot];
            sum += value[slot];
        }
        const std::size_t k = sent.order[rank];
        out.gains[k] = float(sent.gains[rank]);
        if (total > 0) {
            out.y[k] = float(sum / total);
            out.noise_var[k] = float(1 / total);
        }
    }
    for (std::size_t c = 0; c < 3; c++)
        for (std::size_t u = 0, i = 0; u < low_rows(); u++)
            for (std::size_t v = 0; v < low_columns(); v++, i++) {
                const std::size_t k = c * plane + u * columns + v;
                out.y[k] = float(low[c][i] * step);
                out.gains[k] = 1;
                out.noise_var[k] = float(step * step / 12);
            }
    return out;
}

} // namespace core
} // namespace diffsem
} // namespace gr

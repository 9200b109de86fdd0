/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/picture/zones.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr int ratios[spectrum_models] = {0, 6, 7, 9, 12, 16}; // of a zone's edges, over 4

// Zone of each frequency along an axis of n.
std::vector<std::size_t> along(std::size_t n, std::size_t ratio)
{
    std::vector<std::size_t> zone(n, 0);
    std::size_t begin = 1;
    for (std::size_t z = 1; begin < n; z++) {
        const std::size_t end = std::min(std::max(begin + 1, begin * ratio / 4), n);
        std::fill(zone.begin() + std::ptrdiff_t(begin), zone.begin() + std::ptrdiff_t(end), z);
        begin = end;
    }
    return zone;
}

int floor_divide(int a, int b) // b > 0
{
    return a / b - (a % b < 0);
}

// Initial probabilities, as in the encoder: luma, chroma.
constexpr int zero_p[2][12] = {
    {52499, 32768, 32768, 32768, 32768, 32768, 63546, 53565, 15116, 2344, 629, 52},
    {65407, 65362, 28771, 5834, 2658, 711, 63720, 58902, 28750, 6389, 1993, 267}};
constexpr int sign_p[2][3] = {{28080, 36788, 32768}, {25468, 37507, 32768}};
constexpr int size_p[2][6] = {{23577, 31783, 25960, 21958, 16095, 6697},
                              {28148, 22508, 6936, 20269, 8714, 2212}};

struct LevelContexts {
    explicit LevelContexts(int kind)
        : zero(zero_p[kind], zero_p[kind] + 12),
          sign(sign_p[kind], sign_p[kind] + 3),
          size(size_p[kind], size_p[kind] + 6)
    {
    }
    std::vector<RangeContext> zero, sign, size;
};

struct Guess {
    int level;
    bool sure; // a neighbour is above the floor
};

// From the zones at lower frequencies, and from what the colour before did from the same neighbours to here.
Guess guess(const std::vector<int>& g, const std::vector<int>* before, int columns, int i, int j)
{
    const auto at = [columns](int row, int column) { return std::size_t(row * columns + column); };
    if (!i && !j)
        return {before ? (*before)[0] - 3 : 16, true};
    const int n = (j > 0) + (i > 0);
    const int total = (j ? g[at(i, j - 1)] : 0) + (i ? g[at(i - 1, j)] : 0);
    if (before) {
        const int seen = (j ? (*before)[at(i, j - 1)] : 0) + (i ? (*before)[at(i - 1, j)] : 0);
        const int drop = n * (*before)[at(i, j)] - seen;
        return {std::max(-1, floor_divide(2 * total + drop, 2 * n)), total > 0};
    }
    if (n == 2) {
        const int corner = g[at(i - 1, j - 1)];
        return {std::max(-1, floor_divide(3 * total - 2 * corner, 4) - (corner == 0)), total > 0};
    }
    return {total - 1, total > 0};
}

int decode_level(RangeDecoder& decoder, Guess expected, LevelContexts& c)
{
    if (decoder.bit(c.zero[std::size_t(std::min(expected.level, 4) + 1 + 6 * expected.sure)]))
        return 0;
    int level = std::max(expected.level, 1);
    if (!decoder.bit(c.sign[0])) {
        const bool below = level > 1 && decoder.bit(c.sign[1]);
        const int step = 1 + decoder.golomb(&c.size[below ? 3 : 0], 3);
        level += below ? -step : step;
    }
    if (level < 1 || level > most_level - least_level + 1)
        throw Error("a level of the digital part is out of range: its bytes are not a picture's");
    return level;
}

} // namespace

Zones::Zones(std::size_t rows, std::size_t columns, int model)
    : d_rows(rows),
      d_columns(columns),
      d_model(model)
{
    if (model < 0 || model >= spectrum_models)
        throw Error("spectrum model " + std::to_string(model) + " is unknown");
    if (!rings()) {
        d_row = along(rows, std::size_t(ratios[model]));
        d_column = along(columns, std::size_t(ratios[model]));
        d_grid_rows = int(d_row.back()) + 1;
        d_grid_columns = int(d_column.back()) + 1;
        return;
    }
    // Ring of (u, v); that of the mean is the one of the lowest frequency there is.
    const auto ring = [&](std::size_t u, std::size_t v) {
        if (!u && !v) {
            v = columns > 1;
            u = columns == 1 && rows > 1;
            if (!u && !v)
                return 0;
        }
        const double a = double(u) / double(rows), b = double(v) / double(columns);
        return int(std::floor(4 * std::log2(a * a + b * b) + 1e-9));
    };
    d_first_octave = std::min(rows > 1 ? ring(1, 0) : 0, columns > 1 ? ring(0, 1) : 0);
    const int last = ring(rows - 1, columns - 1);
    if (rows * columns > 1)
        d_first_octave = std::min(d_first_octave, last);
    d_grid_columns = last - d_first_octave + 1;
    d_ring.resize(rows * columns);
    for (std::size_t u = 0; u < rows; u++)
        for (std::size_t v = 0; v < columns; v++)
            d_ring[u * columns + v] = std::uint16_t(ring(u, v) - d_first_octave);
}

std::vector<bool> Zones::occupied(std::size_t block_rows, std::size_t block_columns) const
{
    std::vector<bool> found(count(), false);
    for (std::size_t u = 0; u < d_rows; u++)
        for (std::size_t v = u < block_rows ? block_columns : 0; v < d_columns; v++)
            found[index(u, v)] = true;
    return found;
}

std::vector<int> Zones::power_law(int amplitude, int slope) const
{
    std::vector<int> levels(count());
    for (std::size_t i = 0; i < levels.size(); i++) {
        const int octave = d_first_octave + int(i);
        levels[i] =
            std::min(std::max(floor_divide(32 * amplitude - (6 + slope) * octave, 32), least_level),
                     most_level);
    }
    return levels;
}

std::array<std::vector<int>, 3>
decode_levels(RangeDecoder& decoder, const Zones& zones, const std::vector<bool>& occupied)
{
    std::array<std::vector<int>, 3> levels;
    LevelContexts luma(0), chroma(1);
    const int columns = zones.grid_columns();
    for (std::size_t c = 0; c < 3; c++) {
        auto& g = levels[c];
        g.assign(zones.count(), 0);
        for (int i = 0; i < zones.grid_rows(); i++)
            for (int j = 0; j < columns; j++) {
                const std::size_t k = std::size_t(i * columns + j);
                if (occupied[k])
                    g[k] = decode_level(decoder,
                                        guess(g, c ? &levels[c - 1] : nullptr, columns, i, j),
                                        c ? chroma : luma);
                else if (k) // goes on as its neighbour, for the guesses
                    g[k] = j ? g[k - 1] : g[k - std::size_t(columns)];
            }
    }
    return levels;
}

} // namespace core
} // namespace diffsem
} // namespace gr

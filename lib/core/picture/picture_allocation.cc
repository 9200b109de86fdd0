/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which coefficients a photograph's plan sends, with which power. The powers are doubles that are decided upon:
 * the order of operations is the twin's, and fused multiply-adds are off for this file (lib/CMakeLists.txt).
 */
#include <gnuradio/diffsem/core/picture/picture_plan.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr double peak = 4; // mean powers that a slot carries at most
constexpr std::int64_t most_copies = 8;
constexpr std::uint64_t golden = 2654435769u;

// Coefficients of one level, the strongest first.
struct Class {
    int level;          // log2 of the variance
    std::int64_t count; // that there are, then: that are sent
    double power = 0;   // of one, all its slots together
    std::int64_t copies = 1;
};

// Closed form of least squared error: p = max(0, c sqrt(lambda) - noise), of mean 1 over 2 N slots.
void set_powers(std::vector<Class>& classes, std::size_t n_symbols, int design_snr)
{
    const double noise = std::pow(10.0, -design_snr / 10.0);
    double number = 0, total = 0, water = 0;
    std::size_t active = 0;
    for (std::size_t i = 0; i < classes.size(); i++) {
        auto& k = classes[i];
        const double root = std::sqrt(std::ldexp(1.0, k.level));
        number += double(k.count);
        total += double(k.count) * root;
        const double c = total > 0 ? (2.0 * double(n_symbols) + noise * number) / total : 0;
        if (c * root > noise && k.count > 0) {
            water = c;
            active = i + 1;
        }
    }
    for (std::size_t i = 0; i < classes.size(); i++) {
        const double root = std::sqrt(std::ldexp(1.0, classes[i].level));
        classes[i].power = i < active ? std::max(0.0, water * root - noise) : 0;
    }
}

// A few strong coefficients take several slots at the cost of the faintest.
void allocate(std::vector<Class>& classes, std::size_t n_symbols, int design_snr)
{
    for (bool settled = false; !settled;) {
        set_powers(classes, n_symbols, design_snr);
        settled = true;
        std::int64_t left = 2 * std::int64_t(n_symbols);
        for (auto& k : classes) {
            if (!(k.power > 0))
                k.count = 0;
            k.copies = std::min(
                std::max(std::int64_t(std::min(std::ceil(k.power / peak), 8.0)), std::int64_t(1)),
                most_copies);
            const std::int64_t fit = std::min(std::max(left, std::int64_t(0)) / k.copies, k.count);
            left -= k.count * k.copies;
            settled = settled && fit == k.count;
            k.count = fit;
        }
    }
}

struct Candidate {
    int level;
    std::uint64_t near; // squared frequency
    std::uint32_t at;
    bool operator<(const Candidate& o) const // the stronger first, then the lower frequency
    {
        return level != o.level ? level > o.level : near != o.near ? near < o.near : at < o.at;
    }
};

} // namespace

PictureAllocation PicturePlan::allocation() const
{
    const std::size_t slots = 2 * n_symbols, plane = rows * columns;
    const auto visit = [&](auto&& take) {
        for (std::size_t c = 0; c < 3; c++)
            for (std::size_t u = 0; u < rows; u++)
                for (std::size_t v = u < block_rows ? block_columns : 0; v < columns; v++)
                    if (const int n = level(c, u, v))
                        take(n, c, u, v);
    };
    std::vector<std::size_t> found(std::size_t(most_level - least_level) + 2, 0);
    visit([&](int n, std::size_t, std::size_t, std::size_t) { found[std::size_t(n)]++; });
    std::size_t least = found.size(), reached = 0;
    while (least > 1 && reached < slots)
        reached += found[--least];
    std::vector<Candidate> candidates;
    candidates.reserve(reached);
    visit([&](int n, std::size_t c, std::size_t u, std::size_t v) {
        if (std::size_t(n) >= least)
            candidates.push_back({n,
                                  u * columns * u * columns + v * rows * v * rows,
                                  std::uint32_t(c * plane + u * columns + v)});
    });
    if (candidates.size() > slots) {
        const auto end = candidates.begin() + std::ptrdiff_t(slots);
        std::nth_element(candidates.begin(), end, candidates.end());
        candidates.erase(end, candidates.end());
    }
    std::sort(candidates.begin(), candidates.end());

    std::vector<Class> classes;
    if (!candidates.empty())
        for (int n = candidates.front().level; n >= 1; n--)
            classes.push_back({n + floor - 1, 0});
    for (const auto& k : candidates)
        classes[std::size_t(candidates.front().level - k.level)].count++;
    allocate(classes, n_symbols, design_snr);

    PictureAllocation out;
    std::size_t k = 0, used = 0;
    for (const auto& one : classes) {
        k += std::size_t(one.count);
        used += std::size_t(one.count * one.copies);
    }
    if (!k)
        throw Error(
            "the digital part names no coefficient that is sent: its bytes are not a picture's");
    const std::size_t left = slots - used;
    const double scale = std::pow(2.0, (power - 128) / 64.0);
    out.order.reserve(k);
    out.gains.reserve(k);
    out.copies.reserve(k);
    for (const auto& one : classes)
        for (std::int64_t i = 0; i < one.count; i++) {
            const std::size_t rank = out.order.size();
            const std::size_t copies = std::size_t(one.copies) + left / k + (rank < left % k);
            out.order.push_back(candidates[rank].at);
            out.copies.push_back(std::uint32_t(copies));
            out.gains.push_back(std::sqrt(scale * (one.power / double(copies)) * 0.5 /
                                          std::ldexp(1.0, candidates[rank].level + floor - 1)));
        }
    std::vector<std::uint64_t> keyed(n_symbols); // by the multiples of the golden ratio
    for (std::uint64_t m = 0; m < n_symbols; m++)
        keyed[m] = (m * golden & 0xFFFFFFFFu) << 32 | m;
    std::sort(keyed.begin(), keyed.end());
    out.places.reserve(n_symbols);
    for (const auto key : keyed)
        out.places.push_back(std::uint32_t(key));
    return out;
}

} // namespace core
} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/impulse_blanker.h>

#include <algorithm>
#include <array>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr float memory = 1.0f / 64; // of the level, a share per sample
constexpr float most_at_once = 4;   // times the level that one sample may count
// Mean of the lower three quarters of exponential variables of mean 1: what impulses leave untouched.
constexpr float lower_mean = 0.538f;

// Mean power of a window, as its lower three quarters have it.
float level_of(const cfloat* samples)
{
    constexpr std::size_t n = ImpulseBlanker::window, kept = 3 * n / 4;
    std::array<float, n> power;
    for (std::size_t i = 0; i < n; i++)
        power[i] = std::norm(samples[i]);
    std::nth_element(power.begin(), power.begin() + kept, power.end());
    float sum = 0;
    for (std::size_t i = 0; i < kept; i++)
        sum += power[i];
    return sum / (lower_mean * kept);
}

} // namespace

// The first of those held, by the window behind it.
void ImpulseBlanker::decide(std::vector<cfloat>& out)
{
    const float power = std::norm(d_held.front()), behind = level_of(&d_held[1]);
    // where there is nothing but silence, anything is far above it
    const bool impulse = d_level > 0 && behind > 0 && power > ratio * behind;
    if (impulse) {
        d_at.push_back(d_done);
        d_blanked++;
    } else {
        d_level = std::max(d_level, behind);
    }
    out.push_back(impulse ? cfloat(0, 0) : d_held.front());
    d_done++;
}

void ImpulseBlanker::run(const cfloat* samples, std::size_t n, std::vector<cfloat>& out)
{
    // What was held comes first again, until nothing suspicious is left to wait for.
    d_held.insert(d_held.end(), samples, samples + n);
    std::vector<cfloat> all;
    all.swap(d_held);
    std::size_t at = 0;
    for (; at < all.size(); at++) {
        const float power = std::norm(all[at]);
        if (power > ratio * d_level && power > 0) {
            if (at + window >= all.size())
                break;
            d_held.assign(all.begin() + static_cast<std::ptrdiff_t>(at),
                          all.begin() + static_cast<std::ptrdiff_t>(at + window + 1));
            decide(out);
            d_held.clear();
            continue;
        }
        out.push_back(all[at]);
        d_done++;
        d_level += memory * (std::min(power, most_at_once * d_level) - d_level);
    }
    d_held.assign(all.begin() + static_cast<std::ptrdiff_t>(at), all.end());
}

int ImpulseBlanker::between(std::uint64_t first, std::size_t n) const
{
    const auto low = std::lower_bound(d_at.begin(), d_at.end(), first);
    return static_cast<int>(std::lower_bound(low, d_at.end(), first + n) - low);
}

void ImpulseBlanker::forget(std::uint64_t first)
{
    while (!d_at.empty() && d_at.front() < first)
        d_at.pop_front();
}

} // namespace core
} // namespace diffsem
} // namespace gr

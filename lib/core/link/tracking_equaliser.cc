/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/tracking_equaliser.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr float unknown = std::numeric_limits<float>::quiet_NaN();

int frequency(int index, int n, bool shifted)
{
    if (shifted)
        return index - n / 2;
    return index < (n + 1) / 2 ? index : index - n;
}

// Indices of the carriers that some symbol uses, ascending in frequency.
std::vector<int> used(const TrackingLayout& layout)
{
    const int n = static_cast<int>(layout.occupied.front().size());
    std::vector<std::uint8_t> any(n, 0);
    for (const auto& set : layout.occupied)
        for (int k = 0; k < n; k++)
            any[k] |= set[k];
    for (const auto& set : layout.pilots)
        for (const auto& pilot : set)
            any[pilot.carrier] = 1;
    std::vector<int> index;
    for (int k = 0; k < n; k++)
        if (any[k])
            index.push_back(k);
    std::sort(index.begin(), index.end(), [&](int a, int b) {
        return frequency(a, n, layout.shifted) < frequency(b, n, layout.shifted);
    });
    return index;
}

std::vector<int> frequencies(const std::vector<int>& index, const TrackingLayout& layout)
{
    const int n = static_cast<int>(layout.occupied.front().size());
    std::vector<int> out;
    for (int k : index)
        out.push_back(frequency(k, n, layout.shifted));
    return out;
}

double window(const TrackingLayout& layout)
{
    return layout.delay_window > 0 ? layout.delay_window : 0.25 * layout.occupied.front().size();
}

} // namespace

TrackingEqualiser::TrackingEqualiser(const TrackingLayout& layout, float memory)
    : d_n(layout.occupied.front().size()),
      d_index(used(layout)),
      d_follow_phase(!layout.pilots.empty()),
      d_phase(memory),
      d_tracker(frequencies(d_index, layout), static_cast<int>(d_n), window(layout))
{
    for (const auto& points : layout.constellations)
        d_data.emplace_back(points);
    const std::size_t masks = layout.occupied.size(), pilots = layout.pilots.size();
    const std::size_t sets = pilots ? std::lcm(masks, pilots) : masks;
    for (std::size_t i = 0; i < sets; i++) {
        std::vector<cfloat> known(d_n, 0);
        if (pilots)
            for (const auto& pilot : layout.pilots[i % pilots])
                known[pilot.carrier] = pilot.value;
        auto& in_use = d_in_use.emplace_back();
        auto& values = d_known.emplace_back();
        for (int k : d_index) {
            in_use.push_back(layout.occupied[i % masks][k] || known[k] != cfloat(0));
            values.push_back(known[k]);
        }
    }
}

// Of the carriers in use that have an estimate.
float TrackingEqualiser::mean_in_use(const float* error_var) const
{
    double sum = 0;
    std::size_t count = 0;
    for (int k : d_index)
        if (error_var[k] > 0 && std::isfinite(error_var[k])) {
            sum += error_var[k];
            count++;
        }
    return count ? static_cast<float>(sum / count) : unknown;
}

// By what all carriers probably held, where the first phase had the pilots alone.
void TrackingEqualiser::refine_phase(int symbols)
{
    const std::size_t n = d_index.size();
    const auto& means = d_tracker.means();
    d_refined.assign(symbols, 0);
    for (int s = 0; s < symbols; s++) {
        for (std::size_t k = s * n; k < (s + 1) * n; k++)
            if (means[k] != cfloat(0))
                d_refined[s] += std::conj(d_channel[k] * means[k]) * d_received[k];
        d_refined[s] *= d_turns[s];
    }
    d_phase.track(d_refined);
    for (int s = 0; s < symbols; s++) {
        const cfloat back = d_turns[s] * std::conj(d_refined[s]);
        d_turns[s] = d_refined[s];
        d_refined[s] = back;
        for (std::size_t k = s * n; k < (s + 1) * n; k++)
            d_received[k] *= back;
    }
    d_tracker.turn_looks(d_refined);
}

void TrackingEqualiser::run_block(cfloat* frame, int symbols, std::size_t first, std::size_t seen)
{
    const std::size_t n = d_index.size();
    const auto& base = d_tracker.base();
    d_turns.assign(symbols, 0);
    d_received.resize(symbols * n);
    d_channel.resize(symbols * n);
    d_looks.clear();
    for (int s = 0; s < symbols; s++) {
        const std::size_t set = (first + s) % d_known.size();
        const auto& known = d_known[set];
        for (std::size_t k = 0; k < n; k++) {
            d_received[s * n + k] = frame[s * d_n + d_index[k]];
            if (known[k] != cfloat(0))
                d_turns[s] += std::conj(base[k] * known[k]) * d_received[s * n + k];
        }
        d_looks.push_back(
            {&d_data[std::min(seen + s, d_data.size() - 1)], known.data(), d_in_use[set].data()});
    }
    d_phase.track(d_turns);
    for (int s = 0; s < symbols; s++)
        for (std::size_t k = 0; k < n; k++)
            d_received[s * n + k] *= std::conj(d_turns[s]);
    d_tracker.observe(d_received.data(), d_looks.data(), symbols);
    d_tracker.infer(symbols, d_channel.data());
    if (d_follow_phase)
        refine_phase(symbols);
    d_tracker.look_again(d_received.data(), d_looks.data(), symbols, d_channel.data());
    if (d_follow_phase)
        refine_phase(symbols);
    d_tracker.infer(symbols, d_channel.data());

    for (int s = 0; s < symbols; s++) {
        const auto& in_use = d_in_use[(first + s) % d_known.size()];
        for (std::size_t k = 0; k < n; k++) {
            if (!in_use[k])
                continue;
            const cfloat h = d_channel[s * n + k];
            const float power = std::norm(h);
            frame[s * d_n + d_index[k]] =
                power > 0 ? d_received[s * n + k] * std::conj(h) / power : cfloat(0);
        }
    }
    d_tracker.advance(d_channel.data() + (symbols - 1) * n, d_turns[symbols - 1]);
}

void TrackingEqualiser::run(cfloat* frame,
                            int symbols,
                            std::size_t first,
                            cfloat* channel,
                            float noise_var,
                            const float* error_var)
{
    if (symbols < 1 || d_index.empty())
        return;
    std::vector<cfloat>& estimate = d_channel;
    estimate.resize(d_index.size());
    for (std::size_t k = 0; k < d_index.size(); k++) {
        const cfloat h = channel[d_index[k]];
        estimate[k] = std::isfinite(std::norm(h)) ? h : cfloat(0);
    }
    d_tracker.start(estimate.data(), noise_var, error_var ? mean_in_use(error_var) : unknown);

    const int longest = ChannelTracker::longest_block;
    const int blocks = (symbols + longest - 1) / longest;
    for (int b = 0; b < blocks; b++) {
        const int begin = static_cast<int>(std::int64_t(b) * symbols / blocks);
        const int end = static_cast<int>(std::int64_t(b + 1) * symbols / blocks);
        run_block(frame + begin * d_n, end - begin, first + begin, begin);
    }

    const cfloat turn = d_turns.back();
    for (std::size_t k = 0; k < d_n; k++)
        channel[k] *= turn;
    for (std::size_t k = 0; k < d_index.size(); k++)
        channel[d_index[k]] = d_tracker.base()[k];
}

} // namespace core
} // namespace diffsem
} // namespace gr

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/realtime.h>

#include <gnuradio/diffsem/core/scheme.h>

#include <algorithm>
#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

namespace {

const std::pair<const char*, Overload> policies[] = {{"wait", Overload::wait},
                                                     {"fewer_steps", Overload::fewer_steps},
                                                     {"bypass", Overload::bypass},
                                                     {"drop", Overload::drop}};

constexpr double kept_back = 0.1; // of the deadline, for what the machine's scheduler adds
constexpr double one_call = 0.25; // of the deadline
constexpr double longest_call =
    0.1; // seconds, without a deadline: whoever stops the flowgraph waits for it
constexpr double least_share = 1e-4;
constexpr double settling =
    10; // deadlines in which the share falls to a third, where nothing is idle
constexpr double probe_after = 1.0; // seconds without an inference
constexpr double shortest = 1e-6;
constexpr double bins_per_octave = 16;

} // namespace

Overload parse_overload(const std::string& name, const char* no_drop, bool has_steps)
{
    std::string offered;
    for (const auto& p : policies) {
        if ((p.second == Overload::drop && no_drop) ||
            (p.second == Overload::fewer_steps && !has_steps))
            continue;
        if (name == p.first)
            return p.second;
        offered += std::string(offered.empty() ? "" : ", ") + p.first;
    }
    std::string why;
    if (name == "drop")
        why = std::string(": ") + no_drop;
    if (name == "fewer_steps")
        why = ": a plain graph has no steps that could be saved";
    throw Error("overload is '" + name + "'" + why + "; give one of " + offered);
}

const char* overload_name(Overload overload)
{
    for (const auto& p : policies)
        if (p.second == overload)
            return p.first;
    return "";
}

void CostModel::add(double seconds, double evaluations)
{
    if (!(evaluations > 0) || !(seconds >= 0))
        return;
    d_recent[d_count++ % d_recent.size()] = seconds / evaluations;
    auto sorted = d_recent;
    const std::size_t n = std::min(d_count, sorted.size());
    const auto at = sorted.begin() + std::ptrdiff_t((9 * n + 9) / 10 - 1);
    std::nth_element(sorted.begin(), at, sorted.begin() + std::ptrdiff_t(n));
    d_quantile = *at;
}

void CostModel::clear()
{
    d_count = 0;
    d_quantile = 0;
}

Arrivals::Arrivals(std::size_t groups) : d_ring(std::max<std::size_t>(groups, 1)) {}

void Arrivals::see(std::uint64_t first, std::uint64_t end, double now)
{
    while (d_count && group(0).end <= first) {
        d_head = (d_head + 1) % d_ring.size();
        d_count--;
    }
    if (end <= d_seen)
        return;
    d_seen = end;
    if (d_count == d_ring.size()) {
        // Older than they are, never younger: their deadline comes early rather than late.
        d_ring[(d_head + d_count - 1) % d_ring.size()].end = end;
        return;
    }
    d_ring[(d_head + d_count) % d_ring.size()] = {end, now};
    d_count++;
}

double Arrivals::time(std::uint64_t index) const
{
    for (std::size_t i = 0; i < d_count; i++)
        if (index < group(i).end)
            return group(i).time;
    return d_count ? group(d_count - 1).time : 0;
}

void Deadline::set(double seconds, Overload overload)
{
    d_seconds = seconds;
    d_overload = overload;
    d_last_inference = -1;
    d_share = 1;
    d_last = -1;
}

Deadline::Verdict Deadline::decide(const Arrivals& arrivals,
                                   std::uint64_t first,
                                   std::size_t waiting,
                                   std::size_t max_batch,
                                   double now,
                                   const CostModel& cost,
                                   double full,
                                   double idle)
{
    if (d_last >= 0 && d_seconds > 0) { // in balance where a tenth of the time is idle
        const double gain = (10 * idle - (now - d_last)) / (settling * d_seconds);
        d_share = std::clamp(d_share * std::exp(std::clamp(gain, -1.0, 1.0)), least_share, 1.0);
    }
    d_last = now;
    const double each = cost.per_evaluation();
    const std::size_t most = std::min(waiting, max_batch);
    if (d_seconds <= 0 || d_overload == Overload::wait || full <= 0 || each <= 0) {
        d_last_inference = now;
        const double room = each * full > 0 ? longest_call / (each * full) : double(most);
        return {std::clamp<std::size_t>(std::size_t(std::min(room, double(most))), 1, most), -1};
    }
    const bool cuts = d_overload == Overload::fewer_steps;
    const double needed = cuts ? std::min(1.0, full) : full; // below it an item is given up
    double affordable = full, given_up = 0, head = 0;
    std::size_t counted = 0;
    for (std::size_t i = 0; i < arrivals.groups() && counted < waiting; i++) {
        const auto& group = arrivals.group(i);
        if (group.end <= first)
            continue;
        // What is left to this group's items, in evaluations of one item.
        const double left =
            d_share * std::max(group.time + (1 - kept_back) * d_seconds - now, 0.0) / each;
        counted = std::min(std::size_t(group.end - first), waiting);
        affordable = std::min(affordable, left / double(counted));
        given_up = std::max(given_up, double(counted) - std::floor(left / needed));
        if (i == 0 || head == 0)
            head = left;
    }
    if (d_last_inference < 0)
        d_last_inference = now;
    if (affordable < needed) {
        const auto count = std::min(std::size_t(std::max(given_up, 1.0)), waiting);
        const bool probe = count == waiting && now - d_last_inference > probe_after;
        if (!probe)
            return {count, 0};
        d_last_inference = now;
        return {1, int(std::ceil(needed))};
    }
    d_last_inference = now;
    const int evaluations = affordable >= full ? -1 : int(affordable);
    const double spent = affordable >= full ? full : evaluations;
    // No more than the oldest can wait for.
    const double room = std::min(head, one_call * d_seconds / each) / spent;
    return {std::clamp<std::size_t>(std::size_t(room), 1, most), evaluations};
}

void Durations::add(double seconds, std::uint64_t count)
{
    const double octaves = std::log2(std::max(seconds, shortest) / shortest);
    const auto bin = std::min(std::size_t(octaves * bins_per_octave), d_bins.size() - 1);
    d_bins[bin] += count;
    d_total += count;
    d_longest = std::max(d_longest, seconds);
}

double Durations::quantile(double share) const
{
    if (!d_total)
        return 0;
    const double wanted = share * double(d_total);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < d_bins.size(); i++) {
        sum += d_bins[i];
        if (double(sum) >= wanted)
            return std::min(d_longest, shortest * std::exp2(double(i + 1) / bins_per_octave));
    }
    return d_longest;
}

void Durations::clear()
{
    *this = Durations();
}

} // namespace core
} // namespace diffsem
} // namespace gr

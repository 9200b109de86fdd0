/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/realtime/realtime.h>

#include <gnuradio/diffsem/core/base/error.h>

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
constexpr double one_call = 0.5;  // of the deadline
constexpr double longest_call =
    0.1; // seconds, without a deadline: whoever stops the flowgraph waits for it
constexpr double least_share = 1e-4;
constexpr double settling = 5;      // deadlines in which the share changes e-fold
constexpr double probe_after = 1.0; // seconds without an inference
constexpr double shortest = 1e-6;
constexpr double bins_per_octave = 16;

double quantile(double* values, std::size_t count, std::size_t rank)
{
    std::nth_element(values, values + rank, values + count);
    return values[rank];
}

//! Batches of one size, and what they take with so many evaluations.
struct Serving {
    double batch, item, size; //!< seconds of a batch and of an item in it; items
    Serving(const CostModel& cost, double evaluations, std::size_t max_batch, double longest)
        : batch(evaluations * cost.per_batch()),
          item(evaluations * cost.per_item())
    {
        size = std::clamp(std::floor(within(longest)), 1.0, double(max_batch));
    }
    double within(double seconds) const { return (seconds - batch) / std::max(item, 1e-30); }
    double seconds(double items) const { return std::ceil(items / size) * batch + items * item; }
    //! So many items can be served in that time.
    double items(double time) const
    {
        const double whole = std::floor(time / (batch + size * item));
        return std::max(0.0,
                        whole * size +
                            std::clamp(std::floor(within(time - whole * (batch + size * item))),
                                       0.0,
                                       size - 1));
    }
};

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

void CostModel::add(double seconds, double evaluations, double items)
{
    if (!(evaluations > 0) || !(items > 0) || !(seconds >= 0))
        return;
    d_recent[d_count++ % d_recent.size()] = {items, seconds / evaluations};
    const std::size_t count = std::min(d_count, d_recent.size());
    if (d_count <= d_recent.size() || d_count % 8 == 0)
        fit(count);
    // Nine of ten runs keep this.
    std::array<double, std::tuple_size<decltype(d_recent)>::value> over;
    for (std::size_t i = 0; i < count; i++)
        over[i] = d_recent[i].seconds / std::max(d_batch + d_item * d_recent[i].items, 1e-30);
    d_raise = quantile(over.data(), count, (9 * count + 9) / 10 - 1);
}

// Batches that are all of one size say nothing of the line's slope: it stays as steep as it was. Slopes are taken between
// neighbours, because a machine that became slower would bend all others.
void CostModel::fit(std::size_t count)
{
    constexpr std::size_t most = std::tuple_size<decltype(d_recent)>::value, near = 4;
    std::array<double, most * near> slopes;
    std::array<double, most> values;
    std::size_t pairs = 0, varied = 0;
    std::array<std::size_t, most> with; // runs whose neighbours had batches of other sizes
    for (std::size_t i = 0; i < count; i++) {
        const std::size_t before = pairs;
        for (std::size_t j = i - std::min(i, near); j < i; j++)
            if (d_recent[i].items != d_recent[j].items)
                slopes[pairs++] = (d_recent[i].seconds - d_recent[j].seconds) /
                                  (d_recent[i].items - d_recent[j].items);
        if (pairs > before)
            with[varied++] = i;
    }
    if (2 * pairs > count) {
        d_item = std::max(quantile(slopes.data(), pairs, pairs / 2), 0.0);
        for (std::size_t k = 0; k < varied; k++)
            values[k] = d_recent[with[k]].seconds - d_item * d_recent[with[k]].items;
        d_batch = quantile(values.data(), varied, varied / 2);
    }
    if (d_batch <= 0 || !(d_batch + d_item > 0)) { // through the origin
        d_batch = 0;
        for (std::size_t i = 0; i < count; i++)
            values[i] = d_recent[i].seconds / d_recent[i].items;
        d_item = quantile(values.data(), count, count / 2);
    }
}

Arrivals::Arrivals(std::size_t groups) : d_ring(std::max<std::size_t>(groups, 1)) {}

void Arrivals::see(std::uint64_t first, std::uint64_t end, double since)
{
    d_expected = 0;
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
    d_last = std::max(d_last, since);
    d_ring[(d_head + d_count) % d_ring.size()] = {end, d_last};
    d_count++;
}

void Arrivals::expect(std::uint64_t more, double since)
{
    if (!more || groups() == d_ring.size())
        return;
    const std::uint64_t before = d_expected ? group(groups() - 1).end : d_seen;
    d_ring[(d_head + groups()) % d_ring.size()] = {before + more, std::max(d_last, since)};
    d_expected++;
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

void Deadline::share(double now, bool held_back)
{
    if (d_last >= 0 && d_seconds > 0) {
        const double gain = (held_back ? -1 : 1) * (now - d_last) / (settling * d_seconds);
        d_share = std::clamp(d_share * std::exp(std::clamp(gain, -1.0, 1.0)), least_share, 1.0);
    }
    d_last = now;
}

Deadline::Verdict Deadline::decide(const Arrivals& arrivals,
                                   std::uint64_t first,
                                   std::size_t waiting,
                                   std::size_t max_batch,
                                   double now,
                                   const CostModel& cost,
                                   double full,
                                   bool held_back,
                                   double rest)
{
    share(now, held_back);
    if (arrivals.expects())
        max_batch = std::min(max_batch, waiting);
    else
        rest = 0;
    const std::size_t most = std::min(waiting, max_batch);
    if (d_seconds <= 0 || d_overload == Overload::wait || full <= 0 || cost.seconds() <= 0) {
        d_last_inference = now;
        const Serving s(cost, std::max(full, 0.0), most, longest_call);
        return {s.seconds(1) > 0 ? std::size_t(s.size) : most, -1};
    }
    // What is left to the items up to a group's last, each group's earlier than the next one's.
    const auto each_group = [&](auto&& visit) {
        for (std::size_t i = 0; i < arrivals.groups(); i++) {
            const auto& group = arrivals.group(i);
            if (group.end <= first)
                continue;
            const double left = group.time + (1 - kept_back) * d_seconds - now;
            if (!visit(double(group.end - first), d_share * std::max(left, 0.0)))
                return false;
        }
        return true;
    };
    const auto serving = [&](double evaluations) {
        return Serving(cost, evaluations, max_batch, one_call * d_seconds);
    };
    const auto fits = [&](double evaluations, double between) {
        const Serving s = serving(evaluations);
        return each_group([&](double count, double left) {
            return s.seconds(count) + between * (std::ceil(count / s.size) - 1) <= left;
        });
    };
    const bool cuts = d_overload == Overload::fewer_steps;
    const double needed = cuts ? std::min(1.0, full) : full; // below it an item is given up
    if (d_last_inference < 0)
        d_last_inference = now;
    if (!fits(needed, 0)) {
        const Serving s = serving(needed);
        double given_up = 1;
        each_group([&](double count, double left) {
            given_up = std::max(given_up, count - s.items(left));
            return true;
        });
        const auto count = std::min(std::size_t(given_up), waiting);
        if (count < waiting || now - d_last_inference <= probe_after)
            return {count, 0};
        d_last_inference = now;
        return {1, int(std::ceil(needed)), true};
    }
    d_last_inference = now;
    double evaluations = full;
    if (cuts && !(d_share == 1 && fits(full, rest))) {
        double above = std::max(std::floor(d_share * full), needed) + 1;
        evaluations = needed;
        while (above - evaluations > 1) { // the most that fits
            const double middle = std::floor((evaluations + above) / 2);
            (fits(middle, rest) ? evaluations : above) = middle;
        }
    }
    // No more than the oldest can wait for.
    const Serving s = serving(evaluations);
    double size = s.size;
    each_group([&](double, double left) {
        size = std::min(size, std::floor(s.within(left)));
        return false;
    });
    return {std::clamp<std::size_t>(std::size_t(std::max(size, 1.0)), 1, most),
            evaluations >= full ? -1 : int(evaluations)};
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

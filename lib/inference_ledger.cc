/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "inference_ledger.h"

#include <gnuradio/diffsem/core/infer/estimator.h>

#include <algorithm>
#include <cstring>

namespace gr {
namespace diffsem {

namespace {

constexpr double longest_deadline = 3.6e6; // ms
constexpr double between_calls = 2e-4;     // seconds that the scheduler may take
constexpr double few_guarded = 0.01;       // share of items that is not worth a line in the log
constexpr char by_guard[] = "guard";       // why an item is bypassed where least squares took over
constexpr double rest_smoothing = 0.1;     // of the time between calls
constexpr double longest_rest = 4;         // times its mean: longer ones are the machine's
constexpr double most_expected = 8;        // groups of items that wait further up
constexpr double worth_it = 0.05; // of the time between frames, that a cut may save at most

double checked_deadline(double milliseconds)
{
    if (!(milliseconds >= 0) || milliseconds > longest_deadline)
        throw core::Error("deadline is " + text(milliseconds) +
                          ": give milliseconds, 0 (none) to 3600000");
    return milliseconds / 1000;
}

int checked_fault_limit(int faults)
{
    if (faults < 0)
        throw core::Error("fault_limit is " + text(faults) +
                          ": give failed inferences in a row, or 0 for never");
    return faults;
}

pmt::pmt_t add(const pmt::pmt_t& dict, const char* key, const pmt::pmt_t& value)
{
    return pmt::dict_add(dict, pmt::intern(key), value);
}

} // namespace

void inference_ledger::check(const live_options& options, offers offered)
{
    checked_deadline(options.deadline);
    core::parse_overload(options.overload, offered.no_drop, offered.fewer_steps);
    checked_fault_limit(options.fault_limit);
}

inference_ledger::inference_ledger(gr::block& block,
                                   gr::logger_ptr logger,
                                   const live_options& options,
                                   offers offered)
    : d_block(block),
      d_logger(std::move(logger)),
      d_offers(offered),
      d_fault_limit(checked_fault_limit(options.fault_limit))
{
    set_deadline(options.deadline);
    set_overload(options.overload);
    d_block.message_port_register_out(d_keys.stats);
}

void inference_ledger::set_deadline(double milliseconds)
{
    const double seconds = checked_deadline(milliseconds);
    std::lock_guard<std::mutex> lock(d_mutex);
    d_seconds = seconds;
    d_deadline.set(d_seconds, d_overload);
}

void inference_ledger::set_overload(const std::string& overload)
{
    const auto policy = core::parse_overload(overload, d_offers.no_drop, d_offers.fewer_steps);
    std::lock_guard<std::mutex> lock(d_mutex);
    d_overload = policy;
    d_deadline.set(d_seconds, d_overload);
}

void inference_ledger::set_fault_limit(int faults)
{
    d_fault_limit = checked_fault_limit(faults);
}

double inference_ledger::age_quantile(double share) const
{
    std::lock_guard<std::mutex> lock(d_mutex);
    return d_ages.quantile(share);
}

double inference_ledger::age_max() const
{
    std::lock_guard<std::mutex> lock(d_mutex);
    return d_ages.longest();
}

std::string inference_ledger::model() const
{
    std::lock_guard<std::mutex> lock(d_mutex);
    return pmt::symbol_to_string(d_model);
}

void inference_ledger::begin_model(const core::CostModel& cost,
                                   double evaluations,
                                   const std::string& scheme,
                                   const std::string& hash,
                                   const std::string& member)
{
    std::lock_guard<std::mutex> lock(d_mutex);
    d_cost = cost;
    d_needs = evaluations;
    d_scheme = pmt::mp(scheme);
    d_model = pmt::mp(hash.substr(0, 12) + (member.empty() ? "" : "/" + member));
    d_faults_in_a_row = 0;
    d_disabled = false;
}

void inference_ledger::swapped()
{
    d_swaps++;
    event("swapped", pmt::symbol_to_string(d_scheme), "");
}

double inference_ledger::clock()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

void inference_ledger::start()
{
    std::lock_guard<std::mutex> lock(d_mutex);
    d_upstream.find(d_block);
    d_intake.clear();
    d_item = d_newest = d_rest = 0;
    d_jammed = false;
    d_jam = upstream::jam::none;
    if (d_seconds > 0 && !d_upstream.whole())
        d_logger->warn("ages count from {}: what waits before it, as messages, is not seen",
                       d_upstream.from());
}

// Since when the items wait that were not seen before; one that is in the block's input entered before all that is behind it.
// `here`: of them, those in the block's input.
upstream::view inference_ledger::see_arrivals(uint64_t first, std::size_t waiting, std::size_t here)
{
    const auto view = d_upstream.look();
    d_intake.see(view.entered, d_now, false);
    const uint64_t end = first + waiting, known = std::max(d_arrivals.seen(), first);
    const double fresh = end > known ? double(end - known) : 0;
    const double newest = view.entered - view.behind - 1; // sample
    const double oldest = newest - view.here * std::max(fresh - 1, 0.0) / double(here);
    d_arrivals.see(first, end, std::min(d_intake.time(oldest), d_now));
    const double samples = fresh > 0 ? (newest - d_newest) / fresh : 0;
    if (samples > 0 && d_newest > 0) // dense ones count more, because they are what jams
        d_item += (d_item <= 0 ? 1 : samples < d_item ? 0.5 : 0.1) * (samples - d_item);
    if (fresh > 0)
        d_newest = newest;
    return view;
}

// What is behind them all, as items: the last ones said how many samples make one.
void inference_ledger::expect_arrivals(const upstream::view& view, std::size_t waiting)
{
    const double newest = view.entered - view.behind - 1; // sample
    const double more = d_item > 0 ? std::floor(view.behind / d_item) : 0;
    d_waiting = waiting + std::size_t(more);
    if (d_jammed) { // nothing but the rest of the receiver kept the next item away
        const double waited = d_started - d_ended;
        d_rest = d_rest > 0
                     ? d_rest + rest_smoothing * (std::min(waited, longest_rest * d_rest) - d_rest)
                     : waited;
    }
    d_jammed = more >= 1;
    const double groups = std::min(more, most_expected);
    for (double k = 0; k < groups; k++) {
        const double from = std::floor(more * k / groups), to = std::floor(more * (k + 1) / groups);
        d_arrivals.expect(uint64_t(to - from), d_intake.time(newest + d_item * (from + 1)));
    }
}

/*!
 * Upstream may have found no room where samples enter the flowgraph, because of what this block took. If what jams is its own
 * input, it had not to wait for that afterwards; if it is a block in front, which waits for each answer, the
 * last answer took a share of the time between two that is worth cutting.
 */
bool inference_ledger::held_back(double last_started) const
{
    const double taken = d_ended - last_started, waited = d_started - d_ended;
    switch (d_jam) {
    case upstream::jam::here:
        return waited < std::max(taken, between_calls);
    case upstream::jam::front:
        return taken > worth_it * (taken + waited);
    case upstream::jam::none:
        break;
    }
    return false;
}

void inference_ledger::notice(uint64_t first, std::size_t waiting, std::size_t fresh)
{
    std::lock_guard<std::mutex> lock(d_mutex);
    d_now = clock();
    see_arrivals(first, waiting, std::max<std::size_t>(fresh, 1));
}

core::Deadline::Verdict
inference_ledger::decide(uint64_t first, std::size_t waiting, std::size_t max_batch)
{
    std::lock_guard<std::mutex> lock(d_mutex);
    const double before = d_started;
    d_started = d_now = clock();
    expect_arrivals(see_arrivals(first, waiting, waiting), waiting);
    d_calls++;
    d_hurries = d_seconds > 0 && d_overload != core::Overload::wait;
    if (d_disabled)
        return {std::min(waiting, max_batch), 0};
    auto verdict = d_deadline.decide(
        d_arrivals, first, waiting, max_batch, d_now, d_cost, d_needs, held_back(before), d_rest);
    verdict.items = std::min(verdict.items, max_batch);
    d_probes = verdict.probe;
    return verdict;
}

core::RunLimit inference_ledger::limit(const core::Deadline::Verdict& verdict) const
{
    return {verdict.evaluations, d_disabled ? "disabled" : "deadline"};
}

void inference_ledger::count_faults(const core::ItemInfo& info)
{
    if (!info.bypassed) {
        d_faults_in_a_row = 0;
        return;
    }
    d_bypassed++;
    if (std::strcmp(info.reason, by_guard) == 0) { // it was inferred, and said so above
        d_faults_in_a_row = 0;
        return;
    }
    if (std::strcmp(info.reason, "inference") == 0 || std::strcmp(info.reason, "decoder") == 0) {
        d_faults++;
        if (++d_faults_in_a_row == d_fault_limit && !d_disabled) {
            d_disabled = true;
            const std::string why = text(d_fault_limit) + " inferences in a row failed";
            d_logger->error("{}: the scheme is switched off; set another to go on", why);
            event("disabled", pmt::symbol_to_string(d_scheme), why);
        }
    }
    if (std::strcmp(info.reason, "deadline") != 0 && d_log_limit.due())
        d_logger->warn("an item was not inferred ({}); {} so far", info.reason, d_bypassed.load());
}

void inference_ledger::count_guarded(const core::ItemInfo& info)
{
    if (!info.guarded)
        return;
    d_guarded++;
    if (static_cast<double>(d_guarded) > few_guarded * static_cast<double>(d_out) &&
        d_guard_log_limit.due())
        d_logger->warn("an estimate contradicted its measurement, and the scheme's fallback took "
                       "over; {} so far: is the noise variance right, and is the scheme made for "
                       "such signals?",
                       d_guarded.load());
}

// Those that arrived together have one age.
void inference_ledger::add_ages(uint64_t first, uint64_t end)
{
    for (std::size_t i = 0; i < d_arrivals.groups() && first < end; i++) {
        const auto& group = d_arrivals.group(i);
        if (group.end <= first)
            continue;
        const uint64_t until = std::min(group.end, end);
        const double seconds = std::max(d_now - group.time, 0.0);
        d_ages.add(seconds, until - first);
        d_recent.add(seconds, until - first);
        first = until;
    }
}

void inference_ledger::left(uint64_t first,
                            std::size_t whole,
                            const core::ItemInfo* info,
                            std::size_t items)
{
    std::lock_guard<std::mutex> lock(d_mutex);
    d_now = clock();
    add_ages(first, first + whole + items);
    int most = whole > 0, planned = whole > 0;
    std::size_t inferred = whole;
    d_steps += whole;
    if (whole)
        d_faults_in_a_row = 0;
    for (std::size_t i = 0; i < items; i++) {
        d_steps += static_cast<uint64_t>(info[i].steps);
        most = std::max(most, info[i].steps);
        planned = std::max(planned, info[i].planned);
        inferred += info[i].steps > 0;
        count_guarded(info[i]);
        d_few_observed += info[i].few_observed;
        count_faults(info[i]);
    }
    d_out += whole + items;
    if (d_probes && inferred)
        d_cost.clear();
    // A batch runs as many steps as its longest item.
    d_cost.add(d_now - d_started, most, static_cast<double>(inferred));
    // What items need changes with their SNR: at once upwards, slowly down.
    if (planned)
        d_needs = std::max<double>(planned, 0.9 * d_needs);
}

void inference_ledger::dropped(std::size_t items)
{
    d_dropped += items;
    d_gap += items;
}

void inference_ledger::refuse_tag(const pmt::pmt_t& key, const char* wanted)
{
    d_refused_tags++;
    if (d_tag_log_limit.due())
        d_logger->warn("a tag '{}' is {}, and what held before holds on; {} such tags so far",
                       pmt::write_string(key),
                       wanted,
                       d_refused_tags.load());
}

uint64_t inference_ledger::take_gap()
{
    const uint64_t gap = d_gap;
    d_gap = 0;
    return gap;
}

void inference_ledger::report(double noise_var)
{
    d_ended = clock();
    d_jam = d_upstream.find_jam();
    d_intake.see(d_upstream.look().entered, d_ended, true);
    if (d_reported_at > 0 && d_now < d_reported_at + 1)
        return;
    std::lock_guard<std::mutex> lock(d_mutex);
    // A message costs memory, so none is made for nobody.
    if (pmt::is_pair(d_block.message_subscribers(d_keys.stats)))
        d_block.message_port_pub(d_keys.stats, statistics(noise_var));
    d_reported_at = d_now;
    d_reported_out = d_out;
    d_steps = 0;
    d_recent.clear();
}

pmt::pmt_t inference_ledger::statistics(double noise_var) const
{
    const uint64_t out = d_out, since = out - d_reported_out;
    pmt::pmt_t stats = counters(out, d_dropped, d_bypassed);
    stats = add(stats, "block", pmt::mp(d_block.alias()));
    stats = add(stats, "queue", pmt::from_uint64(d_waiting));
    stats = add(stats, "calls", pmt::from_uint64(d_calls));
    stats = add(stats, "guarded", pmt::from_uint64(d_guarded));
    stats = add(stats, "few_observed", pmt::from_uint64(d_few_observed));
    stats = add(stats, "refused_tags", pmt::from_uint64(d_refused_tags));
    stats = add(stats, "faults", pmt::from_uint64(d_faults));
    stats = add(stats, "swaps", pmt::from_uint64(d_swaps));
    stats = add(stats, "disabled", pmt::from_bool(d_disabled));
    stats = add(stats, "model", d_model);
    stats = add(stats, "scheme", d_scheme);
    stats = add(stats, "deadline", pmt::from_double(d_seconds));
    stats = add(stats, "overload", pmt::mp(core::overload_name(d_overload)));
    if (!std::isnan(noise_var))
        stats = add(stats, "noise_var", pmt::from_double(noise_var));
    stats = add(stats, "age_from", pmt::mp(d_upstream.from()));
    stats = add(stats, "age_whole", pmt::from_bool(d_upstream.whole()));
    stats = add(stats, "age_p50", pmt::from_double(d_recent.quantile(0.5)));
    stats = add(stats, "age_p99", pmt::from_double(d_recent.quantile(0.99)));
    stats = add(
        stats, "steps", pmt::from_double(since ? double(d_steps) / static_cast<double>(since) : 0));
    if (d_reported_at > 0 && d_now > d_reported_at)
        stats = add(
            stats, "rate", pmt::from_double(static_cast<double>(since) / (d_now - d_reported_at)));
    return stats;
}

void inference_ledger::event(const char* what, const std::string& scheme, const std::string& reason)
{
    pmt::pmt_t said = pmt::make_dict();
    said = add(said, "block", pmt::mp(d_block.alias()));
    said = add(said, "event", pmt::mp(what));
    said = add(said, "scheme", pmt::mp(scheme));
    said = add(said, "reason", pmt::mp(reason));
    d_block.message_port_pub(d_keys.stats, said);
}

} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The books of an inference block: what waits and since when, what a call may cost, what became of every
 * item. One for each block. work() keeps them; what live_inference offers may be called from anywhere.
 */
#pragma once

#include "block_helpers.h"
#include "upstream.h"

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/realtime/intake.h>
#include <gnuradio/diffsem/core/realtime/realtime.h>
#include <gnuradio/diffsem/live_inference.h>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <string>

namespace gr {
namespace diffsem {

class inference_ledger : public live_inference
{
public:
    //! Which policies a block offers.
    struct offers {
        const char* no_drop = nullptr; //!< why not
        bool fewer_steps = true;
    };
    inference_ledger(gr::block& block,
                     gr::logger_ptr logger,
                     const live_options& options,
                     offers offered);
    //! Throws core::Error naming the parameter.
    static void check(const live_options& options, offers offered);

    void set_deadline(double milliseconds) override;
    void set_overload(const std::string& overload) override;
    void set_fault_limit(int faults) override;
    uint64_t items_in() const override { return d_out + d_dropped; }
    uint64_t items_out() const override { return d_out; }
    uint64_t items_dropped() const override { return d_dropped; }
    uint64_t items_bypassed() const override { return d_bypassed; }
    uint64_t items_guarded() const override { return d_guarded; }
    uint64_t items_few_observed() const override { return d_few_observed; }
    uint64_t faults() const override { return d_faults; }
    uint64_t swaps() const override { return d_swaps; }
    bool disabled() const override { return d_disabled; }
    double age_quantile(double share) const override;
    double age_max() const override;
    std::string model() const override;

    //! The block's start() and stop(): what stands in front of it is known in between.
    void start();
    void stop() { d_upstream.forget(); }

    //! Another model begins: what an evaluation of it takes, how many an item needs, its names.
    void begin_model(const core::CostModel& cost,
                     double evaluations,
                     const std::string& scheme,
                     const std::string& hash,
                     const std::string& member);
    //! That took the place of another while running.
    void swapped();

    /*!
     * The last \p fresh of the items [first, first + waiting) lie in the block's input: for a block that then keeps them
     * for itself, before decide(). Reads the clock.
     */
    void notice(uint64_t first, std::size_t waiting, std::size_t fresh);
    //! What to do now, with the items [first, first + waiting). Reads the clock.
    core::Deadline::Verdict decide(uint64_t first, std::size_t waiting, std::size_t max_batch);
    //! The limit of a call, for such a verdict.
    core::RunLimit limit(const core::Deadline::Verdict& verdict) const;
    //! Had the last decide() a deadline to keep?
    bool hurries() const { return d_hurries; }
    //! Seconds since the last decide(). Reads the clock.
    double elapsed() const { return clock() - d_started; }

    /*!
     * Items that leave the block; then the ages of all are known. Reads the clock.
     * \param whole so many that took one evaluation each, as planned
     * \param info  what was done to each of the `items` after them
     */
    void left(uint64_t first, std::size_t whole, const core::ItemInfo* info, std::size_t items);
    void left(uint64_t first, const core::ItemInfo* info, std::size_t items)
    {
        left(first, 0, info, items);
    }
    //! Does the policy drop what cannot be inferred in time (rather than pass it on)?
    bool drops() const { return d_overload == core::Overload::drop && !d_disabled; }
    //! Items that leave it nowhere.
    void dropped(std::size_t items);
    //! Dropped since the last item that left; forgets them.
    uint64_t take_gap();
    //! Seconds from an item's arrival to the last call of left() or decide().
    double age(uint64_t index) const { return std::max(d_now - d_arrivals.time(index), 0.0); }
    //! Seconds from the last decide() to the last left().
    double latency() const { return d_now - d_started; }

    //! A tag that means something here, but is not what it has to be: counted and said, at a limited rate.
    void refuse_tag(const pmt::pmt_t& key, const char* wanted);

    //! The end of a call; statistics about once a second, if anyone listens. NaN: there is no noise variance. Reads the clock.
    void report(double noise_var);
    //! Something that happened, said at once. Thread safe.
    void event(const char* what, const std::string& scheme, const std::string& reason);

    const pmt::pmt_t& model_symbol() const { return d_model; }

private:
    static double clock();
    upstream::view see_arrivals(uint64_t first, std::size_t waiting, std::size_t here);
    void expect_arrivals(const upstream::view& view, std::size_t waiting);
    bool held_back(double last_started) const;
    pmt::pmt_t statistics(double noise_var) const;
    void count_faults(const core::ItemInfo& info);
    void count_guarded(const core::ItemInfo& info);
    void add_ages(uint64_t first, uint64_t end);

    mutable std::mutex d_mutex; // settings and ages, between work() and whoever asks
    gr::block& d_block;
    const gr::logger_ptr d_logger;
    const keys d_keys;
    const offers d_offers;
    core::Deadline d_deadline;
    std::atomic<core::Overload> d_overload{core::Overload::wait};
    double d_seconds = 0; // the deadline
    std::atomic<int> d_fault_limit;
    core::CostModel d_cost;
    upstream d_upstream;
    core::Intake d_intake;
    double d_item = 0, d_newest = 0; // samples that make an item; the last one's last
    double d_rest = 0;     // seconds from a call to the next one while items wait further up
    bool d_jammed = false; // one did at the last decision
    core::Arrivals d_arrivals;
    double d_needs = 0; // evaluations that an item takes where nothing is cut
    double d_started = 0, d_now = 0, d_ended = 0;
    upstream::jam d_jam = upstream::jam::none; // when the last call ended
    bool d_hurries = false, d_probes = false;
    int d_faults_in_a_row = 0;
    uint64_t d_gap = 0;
    pmt::pmt_t d_model = pmt::mp(""), d_scheme = pmt::mp("");

    core::Durations d_ages, d_recent;
    uint64_t d_steps = 0, d_reported_out = 0, d_calls = 0;
    double d_reported_at = 0;
    std::size_t d_waiting = 0;
    std::atomic<uint64_t> d_out{0}, d_dropped{0}, d_bypassed{0}, d_faults{0}, d_swaps{0};
    std::atomic<uint64_t> d_guarded{0}, d_few_observed{0}, d_refused_tags{0};
    std::atomic<bool> d_disabled{false};
    rate_limit d_log_limit{5.0}, d_guard_log_limit{5.0}, d_tag_log_limit{5.0};
};

} // namespace diffsem
} // namespace gr

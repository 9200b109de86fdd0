/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The scheme that runs in a block, and all that may be done to it meanwhile: settings, another scheme in its place, the
 * ledger of what became of each item. Private.
 */
#pragma once

#include "inference_ledger.h"
#include "scheme_swap.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace gr {
namespace diffsem {

//! What any scheme can be told while it runs, and what another in its place is told too.
struct scheme_settings {
    int steps = 0;
    float eta = -1;
    uint64_t seed = 0;

    void check() const
    {
        check_steps(steps);
        check_eta(eta);
    }
};

//! A loaded scheme and what runs it; blocks add what else is exchanged with it.
template <typename Run>
struct scheme_plan_of {
    diffsem::scheme::sptr handle;
    std::shared_ptr<const core::Scheme> scheme;
    std::unique_ptr<Run> run; //!< none: the block does without

    scheme_plan_of() = default;
    explicit scheme_plan_of(diffsem::scheme::sptr named) : handle(std::move(named))
    {
        if (!handle)
            throw core::Error("scheme is missing: give a name such as 'ls', or a diffsem.scheme");
        scheme = handle->get();
    }
};
using scheme_plan = scheme_plan_of<core::Estimator>;

/*!
 * The last member of a block: the thread that makes another scheme ends before what it calls. A setter takes effect
 * between two calls of work(), which hold mutex().
 * Plan is a scheme_plan_of something that has the setters, trial_cost() and max_evaluations() of an Estimator.
 */
template <typename Plan>
class live_scheme
{
public:
    //! Another plan for the block; throws where the scheme would not fit. Called in any thread, without the mutex.
    using maker = std::function<Plan(diffsem::scheme::sptr, const scheme_settings&)>;

    live_scheme(gr::block& block,
                gr::logger_ptr logger,
                Plan first,
                const scheme_settings& settings,
                const live_options& live,
                inference_ledger::offers offered,
                maker make)
        : d_logger(logger),
          d_make(std::move(make)),
          d(std::move(first)),
          d_set(settings),
          d_ledger(block, logger, live, offered)
    {
        const pmt::pmt_t port = d_keys.scheme;
        block.message_port_register_in(port);
        block.set_msg_handler(port, [this](const pmt::pmt_t& message) { request(message); });
        begin();
    }

    std::mutex& mutex() { return d_mutex; }
    Plan& plan() { return d; } //!< stays where it is; with the mutex held
    inference_ledger& ledger() { return d_ledger; }

    void set_steps(int steps)
    {
        check_steps(steps);
        std::lock_guard<std::mutex> lock(d_mutex);
        if (d.run)
            d.run->set_steps(steps);
        d_set.steps = steps;
        begin();
    }
    void set_eta(float eta)
    {
        check_eta(eta);
        std::lock_guard<std::mutex> lock(d_mutex);
        d_set.eta = eta;
        if (d.run)
            d.run->set_eta(eta);
    }
    void set_seed(uint64_t seed)
    {
        std::lock_guard<std::mutex> lock(d_mutex);
        d_set.seed = seed;
        if (d.run)
            d.run->set_seed(seed);
    }
    //! Makes it in the caller's thread.
    void set_scheme(diffsem::scheme::sptr handle) { d_swap.offer(replacement(std::move(handle))); }

    //! Between two calls, with the mutex held: true if another plan has taken its place.
    bool exchange()
    {
        auto next = d_swap.ready() ? d_swap.take() : nullptr;
        if (!next)
            return false;
        if (next->run) { // what was set meanwhile holds for it too
            next->run->set_steps(d_set.steps);
            next->run->set_eta(d_set.eta);
            next->run->set_seed(d_set.seed);
        }
        std::swap(d, *next);
        d_swap.retire(std::move(next));
        begin();
        d_ledger.swapped();
        return true;
    }

    /*!
     * What the tags of an item say, those that have to do with inference; `add(key, value)` writes them. \p index counts
     * the block's items from the start.
     */
    template <typename Add>
    void tag_inference(const core::ItemInfo& info, uint64_t index, const Add& add) const
    {
        add(d_keys.steps, pmt::from_long(info.steps));
        add(d_keys.planned, pmt::from_long(info.planned));
        add(d_keys.latency, pmt::from_double(d_ledger.latency()));
        add(d_keys.age, pmt::from_double(d_ledger.age(index)));
        add(d_keys.model, d_ledger.model_symbol());
    }
    //! Why it was not inferred, and who answered in place of what contradicted the measurement, or of what is not for so few
    //! observed elements, if so.
    template <typename Add>
    void tag_bypass(const core::ItemInfo& info, const Add& add) const
    {
        if (info.guarded)
            add(d_keys.guarded, pmt::mp(info.bypassed ? "ls" : d.scheme->info().fallback));
        if (info.few_observed)
            add(d_keys.few_observed, pmt::mp(info.bypassed ? "ls" : d.scheme->info().fallback));
        if (info.bypassed)
            add(d_keys.bypassed, pmt::mp(info.reason));
    }

    //! All of them, and the noise variance that was used.
    template <typename Add>
    void tag_item(const core::ItemInfo& info, uint64_t index, const Add& add) const
    {
        tag_inference(info, index, add);
        add(d_keys.noise_var, pmt::from_double(info.noise_var));
        tag_bypass(info, add);
    }

private:
    void begin()
    {
        const auto& info = d.scheme->info();
        d_ledger.begin_model(d.run ? d.run->trial_cost() : core::CostModel(),
                             d.run ? d.run->max_evaluations() : 0,
                             info.spec,
                             info.content_hash,
                             info.member);
    }

    std::unique_ptr<Plan> replacement(diffsem::scheme::sptr handle)
    {
        scheme_settings set;
        {
            std::lock_guard<std::mutex> lock(d_mutex);
            set = d_set;
        }
        return std::make_unique<Plan>(d_make(std::move(handle), set));
    }

    // A message: looked for where the running one was found.
    void request(const pmt::pmt_t& message)
    {
        request_named(
            d_swap, d_ledger, d_logger, "scheme", message, [this](const std::string& spec) {
                return [this, handle = d.handle->other(spec)] { return replacement(handle); };
            });
    }

    const keys d_keys;
    const gr::logger_ptr d_logger;
    const maker d_make;
    std::mutex d_mutex; // settings against work
    Plan d;
    scheme_settings d_set;
    inference_ledger d_ledger;
    scheme_swap<Plan> d_swap; // last: its thread ends before what it calls
};

} // namespace diffsem
} // namespace gr

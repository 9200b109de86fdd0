/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "block_helpers.h"
#include "onnx_graph_runner.h"
#include "onnx_pdu_model.h"

#include <gnuradio/diffsem/core/base/sha256.h>
#include <gnuradio/diffsem/core/realtime/realtime.h>
#include <gnuradio/diffsem/core/realtime/worker_pool.h>
#include <gnuradio/diffsem/onnx_inference_pdu.h>
#include <gnuradio/io_signature.h>

#include <filesystem>
#include <mutex>
#include <vector>

namespace gr {
namespace diffsem {

namespace {

using clock = std::chrono::steady_clock;

using Models = std::vector<std::unique_ptr<OnnxPduModel>>;

//! Which PDUs begin with the first state: that one, or, if it was dropped, the next.
class Resets
{
public:
    void add(uint64_t sequence)
    {
        const std::lock_guard<std::mutex> lock(d_mutex);
        d_waiting.push_back(sequence);
    }

    bool due(uint64_t sequence)
    {
        const std::lock_guard<std::mutex> lock(d_mutex);
        const auto later = std::find_if(
            d_waiting.begin(), d_waiting.end(), [&](uint64_t at) { return at > sequence; });
        const bool found = later != d_waiting.begin();
        d_waiting.erase(d_waiting.begin(), later);
        return found;
    }

private:
    std::mutex d_mutex;
    std::vector<uint64_t> d_waiting; // in the order in which they came
};

//! A PDU on its way.
struct Pdu : core::WorkerPool::Job {
    Pdu(Models& models, Resets& resets, const pmt::pmt_t& message, uint64_t sequence)
        : models(models),
          resets(resets),
          dict(pmt::car(message)),
          data(pmt::cdr(message)),
          sequence(sequence),
          arrived(clock::now())
    {
    }

    void run(std::size_t worker) override
    {
        OnnxPduModel& model = *models[worker];
        if (model.stateful() && resets.due(sequence))
            model.reset();
        reason = model.load(data);
        if (reason) {
            answer = model.substitute(data, reason != model.nan);
            return;
        }
        evaluated = true;
        if (!(answer = model.infer())) {
            reason = model.nan;
            answer = model.substitute(data, true);
        }
    }

    Models& models;
    Resets& resets;
    const pmt::pmt_t dict, data;
    const uint64_t sequence;
    const clock::time_point arrived;
    bool evaluated = false; // by the network, whatever came of it
    pmt::pmt_t answer;
    const char* reason = nullptr;
};

class onnx_inference_pdu_impl : public onnx_inference_pdu
{
public:
    onnx_inference_pdu_impl(Models models,
                            const std::string& path,
                            const onnx_inference_pdu_options& options)
        : gr::block("onnx_inference_pdu",
                    gr::io_signature::make(0, 0, 0),
                    gr::io_signature::make(0, 0, 0)),
          d_model(pmt::mp(core::sha256_file(path).substr(0, 12))),
          d_scheme(pmt::mp(std::filesystem::path(path).stem().string())),
          d_models(std::move(models)),
          d_queue(options.queue),
          d_reset(pmt::mp(options.reset_tag)),
          d_drop_oldest(options.overload == "drop_oldest")
    {
        message_port_register_in(d_in_port);
        set_msg_handler(d_in_port, [this](const pmt::pmt_t& message) { take(message); });
        set_msg_handler(d_system, [this](const pmt::pmt_t& message) { end(message); });
        message_port_register_out(d_out_port);
        message_port_register_out(d_keys.stats);
        if (!model().note().empty())
            d_logger->info("{}", model().note());
        if (static_cast<int>(d_models.size()) < options.workers)
            d_logger->info("a PDU goes on from the state of the one before: one worker, not {}",
                           options.workers);
    }

    int in_length() const override { return static_cast<int>(model().in_length()); }
    int out_length() const override { return static_cast<int>(model().out_length()); }
    std::string in_type() const override { return name_of(model().in_kind()); }
    std::string out_type() const override { return name_of(model().out_kind()); }
    uint64_t items_in() const override { return items_out() + items_dropped(); }
    uint64_t items_out() const override { return count(&counts::out); }
    uint64_t items_dropped() const override { return count(&counts::dropped); }
    uint64_t items_bypassed() const override { return count(&counts::bypassed); }

    bool start() override
    {
        d_done = nullptr;
        d_resets.add(d_counts.seen);
        d_pool = std::make_unique<core::WorkerPool>(
            d_models.size(),
            d_queue,
            [this](std::unique_ptr<core::WorkerPool::Job> job, const std::string& error) {
                give(static_cast<Pdu&>(*job), error);
            });
        return gr::block::start();
    }

    bool stop() override
    {
        if (d_pool) {
            drop(d_pool->close());
            report(true);
            d_pool.reset();
        }
        return gr::block::stop();
    }

private:
    struct counts {
        uint64_t seen = 0, out = 0, dropped = 0, bypassed = 0, evaluated = 0, faults = 0;
        uint64_t pending() const { return seen - out - dropped; }
    };

    const OnnxPduModel& model() const { return *d_models.front(); }

    // In the block's thread

    void take(const pmt::pmt_t& message)
    {
        uint64_t sequence;
        {
            const std::lock_guard<std::mutex> lock(d_mutex);
            sequence = d_counts.seen++;
        }
        if (!d_pool || !pmt::is_pair(message) || !pmt::is_dict(pmt::car(message)) ||
            !pmt::is_uniform_vector(pmt::cdr(message))) {
            drop(1, "is no PDU (a dictionary and a uniform vector)");
            return;
        }
        if (model().stateful() && asks_reset(pmt::dict_ref(pmt::car(message), d_reset, pmt::PMT_F)))
            d_resets.add(sequence);
        std::unique_ptr<core::WorkerPool::Job> pdu =
            std::make_unique<Pdu>(d_models, d_resets, message, sequence);
        if (d_pool->submit(pdu))
            return;
        if (d_drop_oldest && d_pool->withdraw())
            d_pool->submit(pdu); // nobody else submits: there is room
        drop(1, "found the queue full");
    }

    void end(const pmt::pmt_t& message)
    {
        // This port is served before the others: what upstream sent before it was done may still wait there.
        while (const pmt::pmt_t waiting = delete_head_nowait(d_in_port))
            take(waiting);
        {
            const std::lock_guard<std::mutex> lock(d_mutex);
            if (d_counts.pending()) {
                d_done = message; // comes again after the last output
                return;
            }
        }
        report(true);
        system_handler(message);
    }

    // In the pool's threads, one at a time

    void give(Pdu& pdu, const std::string& error)
    {
        if (!error.empty()) {
            pdu.reason = "inference";
            pdu.answer = model().substitute(pdu.data, true);
        }
        const std::chrono::duration<double> age = clock::now() - pdu.arrived;
        pmt::pmt_t dict = pmt::dict_add(pdu.dict, d_sequence, pmt::from_uint64(pdu.sequence));
        dict = pmt::dict_add(dict, d_keys.latency, pmt::from_double(age.count()));
        if (pdu.sequence != d_next)
            dict = pmt::dict_add(dict, d_dropped, pmt::from_uint64(pdu.sequence - d_next));
        d_next = pdu.sequence + 1;
        if (pdu.reason)
            dict = pmt::dict_add(dict, d_keys.bypassed, pmt::intern(pdu.reason));
        publish(d_out_port, pmt::cons(dict, pdu.answer));

        pmt::pmt_t done;
        {
            const std::lock_guard<std::mutex> lock(d_mutex);
            d_counts.out++;
            d_ages.add(age.count());
            d_counts.bypassed += pdu.reason != nullptr;
            d_counts.evaluated += pdu.evaluated;
            d_counts.faults += pdu.evaluated && pdu.reason;
            if (pdu.reason && d_log_limit.due())
                d_logger->warn("PDU {} passed without inference ({}); {} so far",
                               pdu.sequence,
                               error.empty() ? pdu.reason : error,
                               d_counts.bypassed);
            if (!d_counts.pending())
                done = std::move(d_done);
        }
        report(false);
        if (done)
            _post(d_system, done);
    }

    // In any thread

    void drop(uint64_t pdus, const char* why = nullptr)
    {
        {
            const std::lock_guard<std::mutex> lock(d_mutex);
            d_counts.dropped += pdus;
            if (why && d_log_limit.due())
                d_logger->warn("a message {}: dropped one; {} so far", why, d_counts.dropped);
        }
        report(false);
    }

    uint64_t count(uint64_t counts::* which) const
    {
        const std::lock_guard<std::mutex> lock(d_mutex);
        return d_counts.*which;
    }

    void report(bool now)
    {
        const std::size_t waiting = d_pool ? d_pool->waiting() : 0;
        pmt::pmt_t stats;
        {
            const std::lock_guard<std::mutex> lock(d_mutex);
            if (!d_stats_limit.due() && !now)
                return;
            stats = statistics(waiting);
        }
        publish(d_keys.stats, stats);
    }

    //! Since the last time, where it is no count.
    pmt::pmt_t statistics(std::size_t waiting)
    {
        const counts &c = d_counts, &old = d_reported;
        const auto now = clock::now();
        const double seconds = std::chrono::duration<double>(now - d_reported_at).count();
        const auto since = static_cast<double>(c.out - old.out);
        pmt::pmt_t stats = counters(c.out, c.dropped, c.bypassed);
        const auto add = [&](const char* key, const pmt::pmt_t& value) {
            stats = pmt::dict_add(stats, pmt::mp(key), value);
        };
        add("block", pmt::mp(alias()));
        add("queue", pmt::from_uint64(waiting));
        add("faults", pmt::from_uint64(c.faults));
        add("model", d_model);
        add("scheme", d_scheme);
        add("rate", pmt::from_double(seconds > 0 ? since / seconds : 0));
        add("steps", pmt::from_double(since > 0 ? double(c.evaluated - old.evaluated) / since : 0));
        add("age_p50", pmt::from_double(d_ages.quantile(0.5)));
        add("age_p99", pmt::from_double(d_ages.quantile(0.99)));
        d_ages.clear();
        d_reported = c;
        d_reported_at = now;
        return stats;
    }

    void publish(const pmt::pmt_t& port, const pmt::pmt_t& message)
    {
        try {
            message_port_pub(port, message);
        } catch (const std::exception& e) { // a receiver that is being destroyed
            d_logger->debug("message lost: {}", e.what());
        }
    }

    const keys d_keys;
    const pmt::pmt_t d_in_port = pmt::mp("in"), d_out_port = pmt::mp("out"),
                     d_system = pmt::mp("system"), d_sequence = pmt::mp("diffsem_sequence"),
                     d_dropped = pmt::mp("diffsem_dropped");
    const pmt::pmt_t d_model, d_scheme;
    Models d_models;
    const std::size_t d_queue;
    const pmt::pmt_t d_reset;
    Resets d_resets;
    const bool d_drop_oldest;
    uint64_t d_next = 0; // sequence that follows the last output's

    mutable std::mutex d_mutex; // of what follows
    counts d_counts, d_reported;
    clock::time_point d_reported_at = clock::now();
    core::Durations d_ages; // of what left since the last report
    pmt::pmt_t d_done;      // upstream's last word, while something is pending
    rate_limit d_log_limit{5.0}, d_stats_limit{1.0};

    std::unique_ptr<core::WorkerPool> d_pool; // the last: its threads use all of the above
};

Models load(const std::string& path, const onnx_inference_pdu_options& options)
{
    if (path.empty())
        throw core::Error("model is empty: give the path of an .onnx file");
    if (options.workers < 1 || options.workers > 64)
        throw core::Error("workers is " + text(options.workers) + ": give 1 to 64");
    if (options.queue < 1 || options.queue > 65536)
        throw core::Error("queue is " + text(options.queue) + ": give 1 to 65536 PDUs");
    if (options.overload != "drop_newest" && options.overload != "drop_oldest")
        throw core::Error("overload is '" + options.overload +
                          "': give drop_newest or drop_oldest");
    if (options.reset_tag.empty())
        throw core::Error("reset_tag is empty: give the name of a key, such as diffsem_reset");
    const bool byte = options.output_type == "byte";
    auto o = runner_options(options, 1);
    o.inputs = {{options.input,
                 options.input_type,
                 options.layout,
                 {options.shape.begin(), options.shape.end()}}};
    o.outputs = {{options.output, byte ? "int" : options.output_type, options.output_layout, {}}};
    for (auto* streams : {&o.inputs, &o.outputs})
        if (streams->front().empty())
            streams->clear(); // the choice is the file's

    Models models;
    models.push_back(std::make_unique<OnnxPduModel>(path, o, byte));
    const int workers = models[0]->stateful() ? 1 : options.workers;
    for (int i = 1; i < workers; i++)
        models.push_back(std::make_unique<OnnxPduModel>(*models[0]));
    return models;
}

} // namespace

onnx_inference_pdu::sptr onnx_inference_pdu::make(const std::string& model,
                                                  const onnx_inference_pdu_options& options)
{
    return gnuradio::make_block_sptr<onnx_inference_pdu_impl>(load(model, options), model, options);
}

} // namespace diffsem
} // namespace gr

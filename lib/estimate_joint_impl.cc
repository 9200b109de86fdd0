/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "estimate_joint_impl.h"

#include <gnuradio/io_signature.h>

#include <algorithm>

namespace gr {
namespace diffsem {

namespace {

constexpr inference_ledger::offers joint_offers{}; // every policy

void check_joint(const estimate_joint_options& options)
{
    inference_ledger::check(options.live, joint_offers);
    check_noise_var(options.noise_var, false);
    if (options.rounds < 0 || options.rounds > 1000)
        throw core::Error("rounds is " + text(options.rounds) +
                          ": give 1 to 1000, or 0 for the scheme's own");
    check_eta(options.eta);
    if (options.max_batch < 1 || options.max_batch > 65536)
        throw core::Error("max_batch is " + text(options.max_batch) + ": give 1 to 65536");
    if (options.noise != "parameter" && options.noise != "tag")
        throw core::Error("noise is '" + options.noise + "': give one of parameter, tag");
    if (options.noise == "tag" && options.noise_tag.empty())
        throw core::Error("noise_tag is empty: give the key of the tag, e.g. diffsem_noise_var");
}

estimate_joint_impl::plan joint_plan(const scheme::sptr& handle,
                                     const estimate_joint_options& options)
{
    if (!handle)
        throw core::Error("scheme is missing: give the name of one of several unknowns");
    estimate_joint_impl::plan p;
    p.handle = handle;
    p.scheme = handle->get();
    core::EstimatorOptions e;
    e.item_size = options.item_size;
    e.steps = options.rounds;
    e.eta = options.eta;
    e.seed = options.seed;
    e.unseeded_stream = next_noise_stream();
    e.conditions = options.condition;
    p.run = std::make_unique<core::JointEstimator>(p.scheme, e);
    const auto sizes = p.sizes();
    if (!options.output_sizes.empty() && !std::equal(sizes.begin() + 1,
                                                     sizes.end(),
                                                     options.output_sizes.begin(),
                                                     options.output_sizes.end(),
                                                     [](std::size_t own, int given) {
                                                         return given >= 0 &&
                                                                own == std::size_t(given);
                                                     })) {
        std::string own;
        for (std::size_t u = 0; u < p.run->unknowns(); u++)
            own += (u ? ", " : "") + p.run->name(u) + " " + text(sizes[u + 1]);
        throw core::Error("output_sizes do not fit scheme '" + p.scheme->info().spec +
                          "', whose unknowns have these: " + own + "; give them, or none");
    }
    return p;
}

// Of several unknowns: one of their priors has this condition.
bool takes(const core::Scheme& scheme, const std::string& condition)
{
    if (!scheme.parts().joint)
        return false;
    for (const auto& one : scheme.parts().joint->schemes)
        for (const auto& input : one->parts().prior->traits().conditions)
            if (input.name == condition)
                return true;
    return false;
}

gr::io_signature::sptr joint_outputs(const std::vector<std::size_t>& sizes, bool variance)
{
    std::vector<int> bytes;
    for (std::size_t u = 1; u < sizes.size(); u++)
        bytes.push_back(static_cast<int>(sizes[u] * sizeof(gr_complex)));
    for (std::size_t u = 1; u < sizes.size() && variance; u++)
        bytes.push_back(static_cast<int>(sizes[u] * sizeof(float)));
    return gr::io_signature::makev(bytes.size(), bytes.size(), bytes);
}

} // namespace

std::vector<std::size_t> estimate_joint_impl::plan::sizes() const
{
    std::vector<std::size_t> all = {run->input_size()};
    for (std::size_t u = 0; u < run->unknowns(); u++)
        all.push_back(run->output_size(u));
    return all;
}

estimate_joint::sptr estimate_joint::make(scheme::sptr scheme,
                                          const estimate_joint_options& options)
{
    check_joint(options);
    return gnuradio::make_block_sptr<estimate_joint_impl>(joint_plan(scheme, options), options);
}

estimate_joint_impl::estimate_joint_impl(plan p, const estimate_joint_options& options)
    : gr::block("diffsem_estimate_joint",
                gr::io_signature::make(1, 1, p.run->input_size() * sizeof(gr_complex)),
                joint_outputs(p.sizes(), options.variance_output)),
      d_options(options),
      d_from_tags(options.noise == "tag"),
      d_sizes(p.sizes()),
      d_unknowns(d_sizes.size() - 1),
      d_noise_key(pmt::mp(options.noise_tag)),
      d_tag_items(options.tag_items),
      d_noise_var(options.noise_var),
      d_noise(options.max_batch),
      d_info(options.max_batch),
      d_means(d_unknowns),
      d_variances(d_unknowns),
      d_live(*this,
             d_logger,
             std::move(p),
             {options.rounds, options.eta, options.seed},
             options.live,
             joint_offers,
             [this](auto handle, const auto& set) { return another(handle, set); }),
      d(d_live.plan()),
      d_ledger(d_live.ledger())
{
    set_tag_propagation_policy(TPP_DONT); // items may be dropped
}

estimate_joint_impl::plan estimate_joint_impl::another(diffsem::scheme::sptr handle,
                                                       const scheme_settings& set) const
{
    auto options = d_options;
    options.rounds = set.steps;
    options.eta = set.eta;
    options.seed = set.seed;
    // What was told holds for it too, as far as it takes it.
    for (auto told = options.condition.begin(); told != options.condition.end();)
        told = takes(*handle->get(), told->first) ? std::next(told) : options.condition.erase(told);
    auto next = joint_plan(handle, options);
    if (next.sizes() != d_sizes)
        throw core::Error("scheme '" + handle->spec() +
                          "' has other sizes than the running one: the block's ports cannot "
                          "change; make another block");
    return next;
}

void estimate_joint_impl::set_noise_var(float noise_var)
{
    check_noise_var(noise_var, false);
    std::lock_guard<std::mutex> lock(d_live.mutex());
    d_noise_var = noise_var;
}

void estimate_joint_impl::set_tag_items(bool tag_items)
{
    std::lock_guard<std::mutex> lock(d_live.mutex());
    d_tag_items = tag_items;
}

void estimate_joint_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    ninput_items_required[0] = 1; // what waits is taken, nothing more is waited for
}

void estimate_joint_impl::measure_noise(int items)
{
    if (!d_from_tags) {
        std::fill_n(d_noise.begin(), items, d_noise_var);
        return;
    }
    const uint64_t read = nitems_read(0);
    get_tags_in_range(d_tags, 0, read, read + items, d_noise_key);
    std::sort(d_tags.begin(), d_tags.end(), tag_t::offset_compare);
    auto tag = d_tags.begin();
    for (int i = 0; i < items; i++) {
        double said = 0;
        for (; tag != d_tags.end() && tag->offset <= read + i; ++tag)
            if (real_number(tag->value, said))
                d_noise_var = static_cast<float>(said);
            else
                d_ledger.refuse_tag(tag->key, "no number");
        d_noise[i] = d_noise_var;
    }
}

int estimate_joint_impl::general_work(int noutput_items,
                                      gr_vector_int& ninput_items,
                                      gr_vector_const_void_star& input_items,
                                      gr_vector_void_star& output_items)
{
    std::lock_guard<std::mutex> lock(d_live.mutex());
    d_live.exchange();
    if (ninput_items[0] < 1 || noutput_items < 1)
        return 0;
    const auto verdict = d_ledger.decide(d_first, ninput_items[0], d_options.max_batch);
    if (verdict.evaluations == 0 && d_ledger.drops()) {
        drop(static_cast<int>(verdict.items));
        return 0;
    }
    const int items = std::min(noutput_items, static_cast<int>(verdict.items));
    measure_noise(items);
    for (std::size_t u = 0; u < d_unknowns; u++) {
        d_means[u] = static_cast<gr_complex*>(output_items[u]);
        d_variances[u] =
            d_options.variance_output ? static_cast<float*>(output_items[d_unknowns + u]) : nullptr;
    }
    d.run->run(static_cast<const gr_complex*>(input_items[0]),
               items,
               d_noise.data(),
               1,
               d_first,
               d_means.data(),
               d_variances.data(),
               d_info.data(),
               d_ledger.limit(verdict));
    d_ledger.left(d_first, d_info.data(), items);
    move_tags(items, true);
    if (const uint64_t gap = d_ledger.take_gap())
        for (std::size_t port = 0; port < output_items.size(); port++)
            add_item_tag(port, nitems_written(0), d_keys.dropped, pmt::from_uint64(gap));
    if (d_tag_items)
        tag_outputs(items);
    d_first += items;
    d_last_noise = d_info[items - 1].noise_var;
    d_ledger.report(d_last_noise);
    consume_each(items);
    return items;
}

void estimate_joint_impl::drop(int items)
{
    measure_noise(items); // what tags say holds for those to come
    move_tags(items, false);
    d_ledger.dropped(items);
    d_first += items;
    d_ledger.report(d_last_noise);
    consume_each(items);
}

// To the item made of the one that carried them; of dropped ones to the next.
void estimate_joint_impl::move_tags(int items, bool kept)
{
    const uint64_t read = nitems_read(0), written = nitems_written(0);
    get_tags_in_range(d_tags, 0, read, read + items);
    for (auto& tag : d_tags) {
        tag.offset = written + (kept ? tag.offset - read : 0);
        for (int port = 0; port < output_signature()->min_streams(); port++)
            add_item_tag(port, tag);
    }
}

void estimate_joint_impl::tag_outputs(int items)
{
    for (int i = 0; i < items; i++) {
        d_live.tag_item(d_info[i], d_first + i, [&](const auto& key, const auto& value) {
            add_item_tag(0, nitems_written(0) + i, key, value);
        });
    }
}

} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The whole of general_work() takes nothing from the heap once it runs, tags off. Each block works inside another one
 * in a flowgraph, which counts what the block's thread allocates between the call and its return. Not counted is thus
 * what GNU Radio's scheduler does around a call; what ONNX Runtime does in its Run is taken off (runtime_allocations.h).
 */
#include "check.h"
#include "runtime_allocations.h"

#include <gnuradio/block_detail.h>
#include <gnuradio/blocks/null_sink.h>
#include <gnuradio/blocks/vector_source.h>
#include <gnuradio/diffsem/estimate.h>
#include <gnuradio/diffsem/ofdm_chanest_vcvc.h>
#include <gnuradio/diffsem/ofdm_grid_chanest.h>
#include <gnuradio/diffsem/onnx_inference.h>
#include <gnuradio/top_block.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <string>
#include <thread>

using namespace gr::diffsem;

namespace {

constexpr int carriers = 64;
constexpr long warm_up = 3, enough = 20; // calls
const std::vector<int> no_carriers = {0, 1, 2, 3, 4, 5, 32, 59, 60, 61, 62, 63};

std::vector<gr_complex> noise(std::size_t count)
{
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.7f);
    std::vector<gr_complex> x(count);
    for (auto& v : x)
        v = {normal(random), normal(random)};
    return x;
}

//! Runs a block as its own and counts. The block inside reads and writes the buffers of this one.
class counted : public gr::block
{
public:
    //! tag: called once more for each `every` items that leave, and taken off: what the block cannot do without.
    counted(gr::block_sptr block, int every, std::function<void(counted&)> tag)
        : gr::block("counted", block->input_signature(), block->output_signature()),
          d_block(std::move(block)),
          d_every(every),
          d_tag(std::move(tag))
    {
        set_history(d_block->history());
        if (d_block->output_multiple_set())
            set_output_multiple(d_block->output_multiple());
        set_relative_rate(d_block->relative_rate());
        set_tag_propagation_policy(TPP_DONT);
    }

    bool start() override
    {
        d_block->set_detail(detail());
        return d_block->start();
    }
    bool stop() override { return d_block->stop(); }
    void forecast(int noutput_items, gr_vector_int& required) override
    {
        d_block->forecast(noutput_items, required);
    }
    int general_work(int noutput_items,
                     gr_vector_int& ninput_items,
                     gr_vector_const_void_star& in,
                     gr_vector_void_star& out) override
    {
        const long before = allocations_of_ours();
        const uint64_t written = nitems_written(0);
        const int made = d_block->general_work(noutput_items, ninput_items, in, out);
        const long after = allocations_of_ours();
        if (++d_calls <= warm_up)
            return made;
        d_ours += after - before;
        if (d_tag)
            for (uint64_t n = written; n < nitems_written(0); n += d_every)
                d_tag(*this);
        d_ours -= allocations_of_ours() - after;
        return made;
    }

    using gr::block::add_item_tag;
    long calls() const { return d_calls - warm_up; }
    long ours() const { return d_ours; }

private:
    const gr::block_sptr d_block;
    const int d_every;
    const std::function<void(counted&)> d_tag;
    std::atomic<long> d_calls{0};
    long d_ours = 0; // read when the flowgraph is over
};

//! What goes round and round into every input.
struct Stream {
    std::vector<gr_complex> samples;
    std::size_t vlen = carriers;
    int every = 1;
    std::function<void(counted&)> tag = nullptr;
};

//! Allocations in all calls but the first few, of a flowgraph that runs for at least so long.
long count(gr::block_sptr block, const Stream& stream, double seconds = 0)
{
    auto top = gr::make_top_block("allocations");
    auto inside = gnuradio::make_block_sptr<counted>(block, stream.every, stream.tag);
    for (int i = 0; i < block->input_signature()->min_streams(); i++) {
        auto source = gr::blocks::vector_source<gr_complex>::make(
            stream.samples, true, static_cast<unsigned>(stream.vlen));
        top->connect(source, 0, inside, i);
    }
    for (int j = 0; j < block->output_signature()->min_streams(); j++)
        top->connect(inside,
                     j,
                     gr::blocks::null_sink::make(block->output_signature()->sizeof_stream_item(j)),
                     0);
    const auto started = std::chrono::steady_clock::now();
    const auto elapsed = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    };
    top->start();
    while (elapsed() < seconds || (inside->calls() < enough && elapsed() < 20))
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    top->stop();
    top->wait();
    CHECK(inside->calls() >= enough);
    block->set_detail(nullptr);
    return inside->ours();
}

void none(const std::string& what, gr::block_sptr block, const Stream& stream, double seconds = 0)
{
    const long ours = count(block, stream, seconds);
    if (ours)
        std::printf("%s: %ld allocations\n", what.c_str(), ours);
    CHECK_EQUAL(ours, 0L);
}

void estimates()
{
    const Stream stream{noise(carriers * 1000)};
    const auto make = [](const std::string& spec, auto change) {
        estimate_options o;
        o.item_size = carriers;
        change(o);
        return estimate::make(scheme::make(spec), o);
    };
    // Longer than a second, so that statistics fall due twice.
    none("ofdm_chanest", make("ofdm_chanest", [](auto&) {}), stream, 1.3);
    for (const char* spec : {"ls",
                             "ofdm_chanest/lmmse",
                             "ofdm_chanest/gmm",
                             "ofdm_chanest/gmm64",
                             "ofdm_chanest:sampler=ddpm,steps=5"})
        none(spec, make(spec, [](auto&) {}), stream);
    for (const char* source : {"tag", "null_carriers", "delay_tail", "repeated_pairs"})
        none(std::string("noise = ") + source,
             make("ofdm_chanest",
                  [&](auto& o) {
                      o.noise = source;
                      o.null_carriers = no_carriers;
                      o.noise_averaging = 0.5f;
                      o.variance_output = o.baseline_output = true;
                  }),
             stream);
    none("noise = repeated",
         make("ofdm_chanest", [](auto& o) { o.noise = "repeated"; }),
         {noise(carriers * 1000), 2 * carriers});
    none("fewer_steps",
         make("ofdm_chanest:sampler=ddim,steps=30",
              [](auto& o) {
                  o.live.deadline = 5;
                  o.live.overload = "fewer_steps";
              }),
         stream);
    // The counter counts, also what is done for tags.
    CHECK(count(make("ofdm_chanest", [](auto& o) { o.tag_items = true; }), stream) > enough);
}

void channel_estimates()
{
    std::vector<gr_complex> first(carriers), second(carriers);
    for (int k = 0; k < carriers; k++) {
        if (std::count(no_carriers.begin(), no_carriers.end(), k))
            continue;
        second[k] = k % 3 ? 1 : -1;
        first[k] = k % 2 ? 1.4f * second[k] : gr_complex();
    }
    constexpr int data = 4, symbols = data + 2;
    Stream stream{noise(carriers * symbols * 100)};
    for (std::size_t f = 0; f < 100; f++) {
        auto* frame = &stream.samples[f * carriers * symbols];
        for (int k = 0; k < carriers; k++) {
            frame[k] = 0.1f * frame[k] + first[k];
            frame[carriers + k] = 0.1f * frame[carriers + k] + second[k];
        }
    }
    // The two tags that gr-digital reads are the block's answer, and cannot be without memory.
    const auto offset = pmt::mp("offset"), taps = pmt::mp("taps");
    const std::vector<gr_complex> answer(carriers);
    stream.every = data;
    stream.tag = [&](counted& block) {
        block.add_item_tag(0, block.nitems_written(0), offset, pmt::from_long(0));
        block.add_item_tag(
            0, block.nitems_written(0), taps, pmt::init_c32vector(carriers, answer.data()));
    };
    ofdm_chanest_options tagless;
    tagless.extra_tags = "none";
    for (const char* spec : {"ofdm_chanest", "ofdm_chanest/lmmse", "ls"})
        none(std::string("ofdm_chanest_vcvc ") + spec,
             ofdm_chanest_vcvc::make(scheme::make(spec), first, second, data, tagless),
             stream);
}

//! A prior over tiles is not shipped with the tests: lines between the pilots, and what the window does.
void grids()
{
    std::vector<int> used, comb;
    for (int k = -26; k <= 26; k++)
        used.push_back(k);
    for (int k = -26; k <= 26; k += 2)
        comb.push_back(k);
    const pilot_pattern pilots{{comb, std::vector<gr_complex>(comb.size(), 1)}, {}};
    for (int latency : {-1, 0}) {
        ofdm_grid_chanest_options o;
        o.scheme = scheme::make("ls");
        o.latency = latency;
        none("ofdm_grid_chanest",
             ofdm_grid_chanest::make(carriers, used, pilots, o),
             {noise(carriers * 1000)});
    }
}

void graphs()
{
    const auto make = [](const std::string& file, auto change) {
        onnx_inference_options o;
        o.input_type = o.output_type = "complex";
        change(o);
        return onnx_inference::make(std::string(DIFFSEM_TEST_DATA_DIR) + "/streams/" + file, o);
    };
    const auto samples = noise(1 << 16);
    none("onnx_inference", make("conv.onnx", [](auto& o) { o.shape = {carriers}; }), {samples});
    none("samples",
         make("conv.onnx",
              [](auto& o) {
                  o.shape = {carriers};
                  o.in_vlen = o.out_vlen = 1;
              }),
         {samples, 1});
    for (const char* overlap : {"discard", "add"})
        none(overlap,
             make("conv.onnx",
                  [&](auto& o) {
                      o.shape = {carriers};
                      o.overlap = overlap;
                  }),
             {samples, 1});
}

} // namespace

int main()
{
#ifndef COUNTS_ALLOCATIONS
    std::printf("allocations are not counted here\n");
    return 77;
#endif
    count_runtime_apart();
    estimates();
    channel_estimates();
    grids();
    graphs();
    return check::result("test_allocations");
}

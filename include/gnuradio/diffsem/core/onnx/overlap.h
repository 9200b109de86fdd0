/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A stream cut into windows that overlap, and the answers to them joined into a stream again.
 */
#pragma once

#include <gnuradio/diffsem/core/onnx/onnx_runner.h>

#include <cstddef>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

struct OverlapOptions {
    std::string mode = "discard"; //!< `discard`, `add`
    std::size_t hop = 0;          //!< input samples from one window to the next [half a window]
    std::string window = "hann";  //!< of `add`: `hann`, `sqrt_hann`, `rectangular`
    std::string keep = "centre";  //!< of `discard`: `centre`, `tail`
    std::string time_axis;        //!< of graphs with several dimensions: `first`, `last` [found]
    std::vector<std::size_t> input_vlens, output_vlens; //!< elements of one sample; 0: found
};

/*!
 * A window has W samples and begins H after the one before. Of an output that has W/q samples for
 * a window (q a whole number) H/q go out for each, and their sample n belongs to input sample
 * q (n - delay).
 *
 * discard: of each answer H/q samples are kept, from its middle or its end. A model whose output t
 * depends on the inputs t - a to t + b gives exactly what it would give for the stream as a whole
 * with zeros before it, if (W - H)/2 >= max(a, b) (centre), or b = 0 and W - H >= a (tail).
 *
 * add: answers are weighted and added; the weights of all windows on a sample add up to 1, which is
 * checked. `hann` and `rectangular` weigh the output, `sqrt_hann` input and output.
 *
 * Not thread safe. cut() and join() allocate nothing.
 */
class Overlap
{
public:
    //! Throws Error where the streams or the numbers do not fit.
    Overlap(const OverlapOptions& options,
            const std::vector<OnnxStream>& inputs,
            const std::vector<OnnxStream>& outputs);

    std::size_t window() const { return d_window; } //!< W
    std::size_t hop() const { return d_hop; }       //!< H
    std::size_t input_vlen(std::size_t index) const { return d_inputs[index].vlen; }
    std::size_t output_vlen(std::size_t index) const { return d_outputs[index].vlen; }
    std::size_t output_hop(std::size_t index) const { return d_outputs[index].hop; } //!< H/q
    std::size_t delay(std::size_t index) const
    {
        return d_outputs[index].delay;
    } //!< in its samples

    /*!
     * \param in      W - H old samples, then count x H new ones
     * \param windows count windows as the graph takes them
     */
    void cut(std::size_t input, const void* in, std::size_t count, void* windows) const;

    /*!
     * \param windows count answers of the graph, each call's following those of the call before
     * \param out     count x output_hop() samples
     */
    void join(std::size_t output, const void* windows, std::size_t count, void* out);

    void reset(); //!< forgets what of past windows would still be added
    //! Goes on with what the windows of another of the same measures left to be added.
    void resume(Overlap& other);

private:
    struct Port {
        std::size_t vlen = 1;      // elements of a sample
        std::size_t samples = 0;   // of a window
        std::size_t bytes = 4;     // of an element
        bool doubles = false;      // which its elements are; else floats, or pairs of them
        bool time_last = false;    // a window lies [vlen][samples]
        std::size_t hop = 0;       // samples of one hop
        std::size_t first = 0;     // sample of a window that goes out first
        std::size_t delay = 0;     // in samples
        std::vector<float> weight; // of each sample of a window; empty: 1
        // What later windows are added to, [samples][vlen] elements: one of them.
        std::vector<float> sum;
        std::vector<double> wide_sum;

        std::size_t sample_bytes() const { return vlen * bytes; }
        std::size_t window_bytes() const { return samples * sample_bytes(); }
        std::size_t parts() const
        {
            return doubles ? 1 : bytes / sizeof(float);
        } // numbers of an element
    };

    static Port make_port(const OnnxStream& stream,
                          std::size_t vlen,
                          const std::string& side,
                          const std::string& time_axis);
    void plan_discard(const OverlapOptions& options);
    void plan_add(const OverlapOptions& options);
    template <typename T>
    static void weigh(const Port& port, T* window);
    template <typename T>
    static void add(const Port& port, std::vector<T>& sum, const T* window, char* out);

    std::size_t d_window = 0, d_hop = 0;
    std::vector<Port> d_inputs, d_outputs;
};

} // namespace core
} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/diffsem/api.h>
#include <gnuradio/diffsem/live_inference.h>
#include <gnuradio/diffsem/onnx_graph.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

//! One streamed input or output of a graph. What is left empty (or 0) is taken from the file.
struct onnx_stream {
    std::string name;   //!< in the graph
    std::string type;   //!< `float`, `double`, `complex` or `int`; without any hint as in the graph
    std::string layout; //!< of complex elements, as onnx_graph_options::layout
    std::vector<int> shape; //!< of one item, of inputs only, as onnx_graph_options::shape
    int vlen = 0; //!< elements of one stream item; 0: all of one inference, with overlap one sample
};

//! Everything `onnx_inference` can be told besides the file; lengths of 0 are taken from the graph.
struct onnx_inference_options : onnx_graph_options {
    int in_vlen = 0;  //!< elements of one input stream item; 0: the whole of what the graph takes
    int out_vlen = 0; //!< elements of one output stream item; 0: the whole of what it gives
    //! Several ports, instead of the parameters for one; empty: one, or what the file lists.
    std::vector<onnx_stream> inputs, outputs;

    std::string overlap = "none"; //!< `none`, `discard`, `add`
    int hop = 0;                  //!< input samples from a window to the next; 0: half a window
    std::string window = "hann";  //!< of add: `hann`, `sqrt_hann`, `rectangular`
    std::string keep = "centre";  //!< of discard: `centre`, `tail`
    std::string time_axis;        //!< with overlap, where an item has dimensions: `first`, `last`

    int max_batch = 64;     //!< inferences per call
    bool tag_items = false; //!< tags on the first output item of every inference
    live_options live;      //!< `fewer_steps` is not offered; `drop` not with overlap
};

/*!
 * \brief Runs any .onnx graph on streams.
 * \ingroup diffsem
 *
 * \details
 * Ports: float, double, complex or int, as many as \p inputs and \p outputs list (at most 16 of each);
 * without a list those that the file lists in its metadata, else one of each. An *inference* takes
 * as many elements of each input as the graph does, from items of vlen elements: a whole
 * vector, or for instance 128 single samples; and gives items likewise. All inputs advance together,
 * inference by inference, and all outputs. Outputs that are not listed are not computed into a
 * stream; inputs that are not listed are \p constants.
 *
 * Batches: of what waits in the buffer as many inferences are computed at once as the graph and
 * \p max_batch allow; the block never waits for more. What an inference gives does not depend on how many wait:
 * a first dimension counts inferences only where it is said to (\p batch_axis, \p shape, the metadata), is 1, or is open
 * and random rows give the same alone and together; one by one where that cannot be tried. A fixed one above 1 is part of
 * the item. A graph of fixed batch is filled up with zeros, whose results are dropped.
 *
 * Types: the graph may take and give all floats and integers of 8 to 64 bits, and bool. Halves are converted to floats
 * and back; floats that become integers are rounded and saturate, as do wider integers than 32 bits.
 *
 * State: with \p state an inference goes on from the one before, which is computed first. It begins with the first values
 * at the start of the stream, with the inference in whose input a tag \p reset_tag lies, and with another model. One
 * that is bypassed, dropped or fails leaves the state as it was. Not with overlap.
 *
 * Overlap: with `discard` or `add` a stream of samples is cut into windows of the graph's length W
 * that begin \p hop (H) samples apart; an item is one sample. Inputs have W samples in a window, an
 * output W/q (q a whole number that divides H), and the block gives one output item for q input
 * items. `discard` keeps H/q samples of each answer, from its centre or its tail: a model whose
 * answers see at most (W - H)/2 samples to each side (centre), or W - H samples of the past (tail), gives
 * exactly what it would give for the whole stream. `add` weighs the answers by a window and adds
 * them; the weights on each sample add up to 1.
 *
 * Delay: output item n is the answer for input sample q (n - delay(port)), where delay is (W - H)/q
 * for add, half of that (rounded up) for discard, and 0 for discard with tail. Before the stream the
 * graph sees zeros, so the first `delay` items answer these. At the end of the stream the answers for
 * the last q delay samples, and for samples after the last whole hop, stay inside: send as many zeros
 * after it as must come out. in = out + dropped counts windows.
 *
 * Failures: work() never throws. An inference whose input holds NaN or Inf gives zeros; one that the
 * runtime refuses, or whose answer holds NaN, is a fault and gives on each output the first input of its type
 * and size, else zeros. Its first output item is tagged `diffsem_bypassed` (symbol: `nan` or `inference`) on
 * every output, it is counted and logged at a limited rate. With overlap that is each window which holds such a
 * sample. After \p live.fault_limit faults in a row the model is switched off (`disabled`) until another is set.
 *
 * Deadline: with \p live an inference that would come too late is bypassed like one that fails (`deadline`), or
 * dropped: then the first output item of the next one is tagged `diffsem_dropped` (uint64, how many are
 * missing) on every output, and carries their tags. With overlap none is dropped.
 *
 * Tags: those of every input go to every output, once if several inputs carry the same. Item k
 * of the n items that an inference takes is mapped to item floor(k m / n) of the m that it gives,
 * plus delay. With \p tag_items the first output item of each inference has `diffsem_latency` (double, seconds from
 * the call that took it to its output), `diffsem_age` (double, seconds since it arrived) and `diffsem_model`
 * (symbol, first 12 digits of the file's SHA-256).
 *
 * Message ports: `stats` (see live_inference; items are inferences, `scheme` is the path), and `model`: the
 * path of a file, as a symbol or a pair whose second is one, is loaded beside the running model and takes its place
 * between two inferences; if it cannot be had or has other ports, the running one stays, and `stats` says why.
 * Across a swap, windows that overlap are answered by either model and joined.
 */
class DIFFSEM_API onnx_inference : virtual public gr::block
{
public:
    using sptr = std::shared_ptr<onnx_inference>;
    using options = onnx_inference_options;

    /*!
     * \param model path of the .onnx file
     * \throws core::Error (ValueError in Python) naming the parameter, its value and the remedy
     */
    static sptr make(const std::string& model, const onnx_inference_options& options = {});

    virtual void set_tag_items(bool tag_items) = 0; //!< live
    virtual void set_max_batch(int max_batch) = 0;  //!< live, up to the value given to make()

    /*!
     * Live: loads and tries it in the caller's thread, then puts it in the place of the running one.
     * \throws core::Error when it cannot be had or has other ports; the running one stays
     */
    virtual void set_model(const std::string& path) = 0;
    virtual live_inference& live() = 0; //!< deadline, overload policy, counters of inferences

    virtual int in_ports() const = 0;
    virtual int out_ports() const = 0;
    // A port that is not there raises core::Error.
    virtual int in_vlen(int port = 0) const = 0;
    virtual int out_vlen(int port = 0) const = 0;
    virtual std::string in_type(int port = 0) const = 0;  //!< float, double, complex, int
    virtual std::string out_type(int port = 0) const = 0; //!< float, double, complex, int
    virtual int window() const = 0;                       //!< input samples; 0 without overlap
    virtual int hop() const = 0;                          //!< likewise
    virtual int delay(int port = 0) const = 0;            //!< of an output, in its items
};

} // namespace diffsem
} // namespace gr

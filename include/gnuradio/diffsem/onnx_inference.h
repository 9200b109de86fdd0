/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/diffsem/api.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

/*!
 * Everything `onnx_inference` can be told besides the file. What is left empty (or 0) is taken from
 * the metadata of the file or of its sidecar `model.onnx.json`, then from the graph.
 */
struct onnx_inference_options {
    std::string input_type; //!< `float` or `complex`; without any hint: float
    std::string
        output_type; //!< `float`, `complex` or `int`; without any hint: float, int for integers
    /*!
     * How complex elements lie in the tensors: `planar` [2, ...] (re, im), `interleaved` [..., 2],
     * `magnitude_phase` [2, ...] (phase in radians)
     */
    std::string layout;
    std::string output_layout; //!< empty: as layout
    /*!
     * Shape of one input item in elements of the stream (complex ones count once), 1 to 4
     * dimensions; needed only where the graph leaves dimensions open
     */
    std::vector<int> shape;
    int in_vlen = 0;  //!< elements of one input stream item; 0: the whole of what the graph takes
    int out_vlen = 0; //!< elements of one output stream item; 0: the whole of what it gives
    std::string input, output;  //!< names in the graph; empty: the first of each
    std::string batch_axis;     //!< `none`, or its number; empty: found from the shape
    std::string constants;      //!< JSON with a number for each further input: {"h0": 0}
    int max_batch = 64;         //!< inferences per call
    bool tag_items = false;     //!< `diffsem_latency` on the first output item of every inference
    std::string device = "cpu"; //!< `cpu`, `cuda`, `cuda:N`; never replaced by another
    int intra_op_threads = 1;   //!< of ONNX Runtime, inside one operator
    bool spinning = false;      //!< its idle threads spin
    std::string onnxruntime;    //!< path of libonnxruntime.so; empty: searched
};

/*!
 * \brief Runs any .onnx graph on a stream.
 * \ingroup diffsem
 *
 * \details
 * One input, float or complex; one output, float, complex or int. An *inference* takes as many
 * elements as the graph does, from items of \p in_vlen elements: a whole vector, or for instance
 * 128 single samples; and gives items of \p out_vlen.
 *
 * Batches: of what waits in the buffer as many inferences are computed at once as the graph and
 * \p max_batch allow; the block never waits for more. A graph of fixed batch is filled up with zeros,
 * whose results are dropped.
 *
 * Types: the graph may take float32, float64, int64, int32, int8 or uint8 (floats are rounded and
 * saturate) and give these or bool. int64 outputs become 32-bit ints and saturate.
 *
 * Failures: work() never throws. An inference whose input holds NaN or Inf gives zeros; one that the
 * runtime refuses gives its input where shapes and types agree, else zeros. Its first output item
 * is tagged `diffsem_bypassed` (symbol: `nan` or `inference`), it is counted and logged at a limited rate.
 *
 * Tags: item k of the n input items of an inference is mapped to item floor(k m / n) of its m output items.
 *
 * Message port `stats`: a dictionary about once a second: `in`, `out`, `dropped`, `bypassed` (inferences;
 * in = out + dropped), `calls`.
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

    virtual int in_vlen() const = 0;
    virtual int out_vlen() const = 0;
    virtual std::string in_type() const = 0;  //!< float, complex
    virtual std::string out_type() const = 0; //!< float, complex, int
    virtual uint64_t items_in() const = 0;    //!< inferences
    virtual uint64_t items_out() const = 0;
    virtual uint64_t items_bypassed() const = 0; //!< of those out
};

} // namespace diffsem
} // namespace gr

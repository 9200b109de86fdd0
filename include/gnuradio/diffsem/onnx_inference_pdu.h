/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/diffsem/api.h>
#include <gnuradio/diffsem/onnx_graph.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

//! Everything `onnx_inference_pdu` can be told besides the file.
struct onnx_inference_pdu_options : onnx_graph_options {
    int workers = 2; //!< inferences at one time, 1 to 64; they share the weights
    int queue = 16;  //!< PDUs that may wait for one, 1 to 65536
    //! Or `drop_oldest`: which PDU goes when the queue is full
    std::string overload = "drop_newest";
};

/*!
 * \brief Runs a slow .onnx graph on PDUs, several at a time, results in order.
 * \ingroup diffsem
 *
 * \details
 * For models that take longer than a block's thread may: images, long windows. One PDU (a dictionary and a
 * uniform vector) on port `in` is one inference; `workers` threads compute them, and the results leave port
 * `out` in the order in which the PDUs came, whichever was ready first.
 *
 * Complex inputs take c32vectors, float ones f32, u8 or s32vectors, double ones these and f64vectors, int ones u8 or
 * s32vectors. The result is an f32, f64, c32 or s32vector, with `byte` a u8vector (rounded, saturated). Lengths are those
 * of the graph.
 *
 * State: with \p state a PDU goes on from the one before, so one worker computes them in turn. It begins with the first
 * values at the start of the flowgraph, and with a PDU whose dictionary has the key \p reset_tag (any value but false). A
 * bypassed PDU leaves the state as it was, dropped ones too.
 *
 * Overload: the message queues of GNU Radio know no bound, so the block empties its own at once and keeps at most
 * workers + queue PDUs (those included that are ready and wait for an earlier one). Of what is too much, one PDU is
 * dropped: the one that comes (`drop_newest`), or the oldest that no worker has begun (`drop_oldest`; the
 * one that comes, if there is none). Nothing else is dropped but messages that are no PDUs, and what waits when the
 * flowgraph is stopped: in = out + dropped.
 *
 * Output PDUs carry their input's dictionary and
 *
 * | key | value |
 * |---|---|
 * | `diffsem_sequence` | uint64, how many messages came before this one |
 * | `diffsem_latency` | double, seconds since the block saw it |
 * | `diffsem_dropped` | uint64, PDUs dropped since the output before; only after a loss |
 * | `diffsem_bypassed` | symbol, only if it could not be computed: `type`, `size` (of the vector), `nan`, `inference` |
 *
 * A bypassed PDU holds its input where that has the output's type and length, else zeros; zeros for an input that
 * holds NaN or Inf. It is counted, and logged at a limited rate.
 *
 * End: on `done` from upstream (port `system`) what came before is computed and sent, then the block is done too.
 * When the flowgraph is stopped, only inferences that run are waited for.
 *
 * Message port `stats`, about once a second: `in`, `out`, `dropped`, `bypassed`, `faults` (of the network: it failed, or
 * gave NaN), `queue` (PDUs that no worker has begun), `block`, `model` (12 digits of the file's SHA-256), `scheme`
 * (its name); and since the last time `rate` (outputs a second), `age_p50`, `age_p99` (seconds), `steps` (mean
 * evaluations). in = out + dropped: what is held counts when it leaves.
 */
class DIFFSEM_API onnx_inference_pdu : virtual public gr::block
{
public:
    using sptr = std::shared_ptr<onnx_inference_pdu>;
    using options = onnx_inference_pdu_options;

    /*!
     * \param model path of the .onnx file
     * \throws core::Error (ValueError in Python) naming the parameter, its value and the remedy
     */
    static sptr make(const std::string& model, const onnx_inference_pdu_options& options = {});

    virtual int in_length() const = 0;        //!< elements of the vector
    virtual int out_length() const = 0;       //!< likewise
    virtual std::string in_type() const = 0;  //!< float, double, complex, int
    virtual std::string out_type() const = 0; //!< float, double, complex, int, byte
    virtual uint64_t items_in() const = 0;    //!< messages, of which none is held any more
    virtual uint64_t items_out() const = 0;
    virtual uint64_t items_dropped() const = 0;
    virtual uint64_t items_bypassed() const = 0; //!< of those out
};

} // namespace diffsem
} // namespace gr

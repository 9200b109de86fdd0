/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Any graph with its streamed inputs and outputs: what flows in and out of it, worked out from the
 * file, its metadata and the user's word, and the conversion between both.
 */
#pragma once

#include <gnuradio/diffsem/core/onnx/ort.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Elements of a stream: float, gr_complex, 32-bit int, double.
enum class StreamType { real, complex, integer, real64 };
std::size_t stream_size(StreamType type); //!< bytes of one element
const char* stream_name(StreamType type); //!< "float", "complex", "int", "double"

//! One streamed input or output. Empty: what the file says, else the default in brackets.
struct OnnxStreamOptions {
    std::string name;   //!< in the graph [the first; necessary where there are several]
    std::string type;   //!< `float` `complex` `int` `double` [as the tensor's; float for halves]
    std::string layout; //!< of complex: `planar` `interleaved` `magnitude_phase` [planar; an
                        //!< output's: the first input's]
    std::vector<std::int64_t> shape; //!< one input item, in elements of the stream [the graph's]

    bool empty() const { return name.empty() && type.empty() && layout.empty() && shape.empty(); }
};

struct OnnxRunnerOptions {
    std::vector<OnnxStreamOptions> inputs, outputs; //!< [the file's, else the first of each]
    //! Of all inputs: `none` or a number [the first, where it is open or 1 and the graph keeps its rows apart]
    std::string batch_axis;
    //! JSON, a number or a (nested) list for each input that is not streamed: {"h0": 0, "w": [1, 2]}
    std::string constants;
    //! JSON, inputs that take an output of the inference before: {"h0": "hn"}; `constants` has their first values [0]
    std::string state;
    std::size_t max_batch = 64;
    std::size_t max_model_bytes = LoadOptions().max_model_bytes;
    OrtOptions ort;
};

//! A streamed input or output, as it was worked out.
struct OnnxStream {
    std::string name;
    StreamType type = StreamType::real;
    std::size_t elements = 0;        //!< of one inference
    std::vector<std::int64_t> shape; //!< these elements' dimensions above 1, as they lie in memory
};

//! Not thread safe: one for each stream.
class OnnxRunner
{
public:
    static constexpr std::size_t max_streams = 16; //!< inputs, and outputs

    //! Reads, checks and runs the graph once on zeros; throws Error.
    OnnxRunner(const std::string& path, const OnnxRunnerOptions& options);
    //! Another one of the same graph, for another thread: it shares the weights and has its own buffers.
    OnnxRunner(const OnnxRunner& other);
    ~OnnxRunner();

    const std::vector<OnnxStream>& inputs() const; //!< in the order of the options
    const std::vector<OnnxStream>& outputs() const;
    std::size_t max_batch() const;   //!< inferences in one run
    bool fixed_batch() const;        //!< the graph always computes max_batch
    bool stateful() const;           //!< an inference goes on from the one before; max_batch is 1
    void reset();                    //!< the next one begins with the first values of its state
    const std::string& note() const; //!< what the user should know; empty: nothing

    /*!
     * \param in  for each input batch x elements: floats, complex, doubles or 32-bit ints
     * \param out for each output likewise (larger ints saturate)
     * Throws Error when the runtime reports one. Allocates nothing of ours. The state moves on only with an inference
     * that succeeds, whose answer has no NaN and whose state is finite.
     */
    void run(const void* const* in, std::size_t batch, void* const* out);

private:
    class Impl;
    std::unique_ptr<Impl> d;
};

} // namespace core
} // namespace diffsem
} // namespace gr

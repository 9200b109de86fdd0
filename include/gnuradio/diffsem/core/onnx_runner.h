/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Any graph with one streamed input and one streamed output: what flows in and out of it, worked out
 * from the file, its metadata and the user's word, and the conversion between both.
 */
#pragma once

#include <gnuradio/diffsem/core/ort.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Elements of a stream: float, gr_complex, 32-bit int.
enum class StreamType { real, complex, integer };
std::size_t stream_size(StreamType type); //!< bytes of one element
const char* stream_name(StreamType type); //!< "float", "complex", "int"

//! Empty strings: what the file says, else the default in brackets.
struct OnnxRunnerOptions {
    std::string input, output; //!< names in the graph [the first of each]
    std::string input_type;    //!< `float` `complex` [float]
    std::string output_type;   //!< `float` `complex` `int` [float; int for integer outputs]
    std::string layout;        //!< of complex: `planar` `interleaved` `magnitude_phase` [planar]
    std::string output_layout; //!< [as layout]
    std::vector<std::int64_t> shape; //!< one input item, in elements of the stream [the graph's]
    std::string batch_axis;          //!< `none` or a number [found from the shape]
    std::string constants;           //!< JSON, a number for each further input: {"h0": 0}
    std::size_t max_batch = 64;
    std::size_t max_model_bytes = LoadOptions().max_model_bytes;
    OrtOptions ort;
};

//! Not thread safe: one for each stream.
class OnnxRunner
{
public:
    //! Reads, checks and runs the graph once on zeros; throws Error.
    OnnxRunner(const std::string& path, const OnnxRunnerOptions& options);
    ~OnnxRunner();

    StreamType input_type() const;
    StreamType output_type() const;
    std::size_t input_elements() const;  //!< of the stream, for one inference
    std::size_t output_elements() const; //!< likewise
    std::size_t max_batch() const;       //!< inferences in one run
    bool fixed_batch() const;            //!< the graph always computes max_batch
    const std::string& note() const;     //!< what the user should know; empty: nothing

    /*!
     * \param in  batch x input_elements(), floats or complex
     * \param out batch x output_elements(), floats, complex or 32-bit ints (larger ones saturate)
     * Throws Error when the runtime reports one. Allocates nothing of ours.
     */
    void run(const void* in, std::size_t batch, void* out);

private:
    class Impl;
    std::unique_ptr<Impl> d;
};

} // namespace core
} // namespace diffsem
} // namespace gr

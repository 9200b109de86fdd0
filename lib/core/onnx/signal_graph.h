/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A graph from signals to a signal: the measurement that a network makes, its derivative, an encoder, a decoder.
 */
#pragma once

#include <gnuradio/diffsem/core/base/tensor.h>
#include <gnuradio/diffsem/core/onnx/ort.h>

#include "onnx/onnx_layout.h"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! One input or output, without the batch that comes first.
struct SignalPort {
    Domain domain = Domain::complex;
    Layout layout = Layout::planar; //!< of complex numbers
    std::vector<std::int64_t> shape;

    std::size_t elements() const { return element_count(shape); }
    std::size_t width() const { return elements() * (domain == Domain::complex ? 2 : 1); }
    std::vector<std::int64_t> graph_shape() const; //!< of one item, with the axis of two planes
};

/*!
 * The metadata `diffsem.domain`, `diffsem.layout` and `diffsem.shape` of a graph of this role. Throws Error where the role is
 * another, or what is said makes no sense.
 */
SignalPort read_signal_port(const OnnxFile& file, const std::string& role);

//! Immutable and shared: any thread may call run(), each call borrows buffers.
class SignalGraph
{
public:
    /*!
     * Checks the graph against what it must take, and runs it once for what it gives. Throws Error with file, tensor and remedy.
     * \param inputs what stands for `x`, and where it has a second input for `v`
     * \param output domain and layout; its shape is the graph's
     */
    SignalGraph(const OnnxFile& file,
                std::vector<SignalPort> inputs,
                SignalPort output,
                const OrtOptions& options);
    ~SignalGraph();

    const std::string& path() const;
    const std::vector<SignalPort>& inputs() const;
    const SignalPort& output() const;
    double macs() const; //!< multiply-adds of one item, about
    //! For so many callers at once run() will find its buffers made.
    void reserve(std::size_t callers) const;
    /*!
     * \param in  for each input batch x width() floats, complex numbers as (re, im)
     * \param out batch x output().width()
     * Throws Error when the runtime reports one.
     */
    void run(const float* x, std::size_t batch, float* out) const;
    void run(const float* x, const float* v, std::size_t batch, float* out) const;

private:
    void run(const float* const* in, std::size_t batch, float* out) const;

    class Impl;
    std::unique_ptr<Impl> d;
};

} // namespace core
} // namespace diffsem
} // namespace gr

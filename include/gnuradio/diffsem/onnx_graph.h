/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <string>
#include <vector>

namespace gr {
namespace diffsem {

/*!
 * What the blocks that run any .onnx graph can be told about it. What is left empty is taken from the metadata of
 * the file or of its sidecar `model.onnx.json`, then from the graph.
 */
struct onnx_graph_options {
    std::string input_type; //!< `float`, `complex` or `int`; without any hint: float
    //! As \p input_type, or `byte` of PDUs; without any hint: float, int for integers
    std::string output_type;
    /*!
     * How complex elements lie in the tensors: `planar` [2, ...] (re, im), `interleaved` [..., 2],
     * `magnitude_phase` [2, ...] (phase in radians)
     */
    std::string layout;
    std::string output_layout; //!< empty: as layout
    /*!
     * Shape of one input item in elements (complex ones count once), 1 to 4 dimensions; needed only where the graph
     * leaves dimensions open
     */
    std::vector<int> shape;
    std::string input, output; //!< names in the graph; empty: the first of each
    std::string batch_axis;    //!< `none`, or its number; empty: found from the shape
    std::string constants;     //!< JSON with a number for each further input: {"h0": 0}

    std::string device = "cpu"; //!< `cpu`, `cuda`, `cuda:N`; never replaced by another
    int intra_op_threads = 1;   //!< of ONNX Runtime, inside one operator
    bool spinning = false;      //!< its idle threads spin
    std::string onnxruntime;    //!< path of libonnxruntime.so; empty: searched
};

} // namespace diffsem
} // namespace gr

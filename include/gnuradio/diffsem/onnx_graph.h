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
    //! `float`, `double`, `complex` or `int`; without any hint as in the graph: double for float64, int for
    //! integers, float for the others
    std::string input_type;
    std::string output_type; //!< likewise, or `byte` of PDUs
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
    //! `none`, or its number; empty: the first dimension, if it is open or 1 and the graph keeps its rows apart
    std::string batch_axis;
    std::string
        constants; //!< JSON with a number or lists of them for each further input: {"h0": 0, "w": [1, 2]}
    //! JSON with inputs that take what an output gave in the inference before, {"h0": "hn"}; first \p constants, or 0
    std::string state;
    //! Name of the tag (of PDUs: of the key in their dictionary) by which the state begins anew
    std::string reset_tag = "diffsem_reset";

    std::string device = "cpu"; //!< `cpu`, `cuda`, `cuda:N`; never replaced by another
    int intra_op_threads = 1;   //!< of ONNX Runtime, inside one operator
    bool spinning = false;      //!< its idle threads spin
    std::string onnxruntime;    //!< path of libonnxruntime.so; empty: searched
};

} // namespace diffsem
} // namespace gr

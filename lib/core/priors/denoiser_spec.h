/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the metadata of a denoiser says, checked against its graph.
 */
#pragma once

#include <gnuradio/diffsem/core/onnx/ort.h>
#include <gnuradio/diffsem/core/priors/schedule.h>
#include <gnuradio/diffsem/core/priors/side_input.h>

#include "onnx/onnx_layout.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

enum class Prediction { x0, eps, v, score, flow };
enum class Scaling { ve, vp, flow };
enum class Embedding { sigma, log_sigma, timestep, alpha_bar, flow_time, none };

//! D = a x + b net(c x)
struct Coefficients {
    float a, b, c;
};

struct DenoiserSpec {
    Prediction prediction = Prediction::x0;
    Scaling scaling = Scaling::vp;
    Embedding embedding = Embedding::sigma;
    Layout layout = Layout::planar;
    bool is_complex = true;
    bool variance = false;
    bool level_per_element = false;
    std::vector<std::int64_t> shape; // of one item
    std::size_t elements = 0;        // in one item
    std::size_t width = 0;           // floats in one item
    std::size_t fixed_batch = 0;     // 0: dynamic
    float component_std = 1;
    float scale_in = 1, scale_out = 1; // between our units and those of the graph
    float sigma_min = 1e-3f, sigma_max = 1e3f;
    double macs = 0;
    ScheduleKeys schedule;      // its training's, as the file says it; without a type: not said
    std::vector<double> levels; // ln sigma of each timestep, rising, in the net's units
    bool to_data = false;       // a flow whose time runs from noise (0) to data (1)
    float clip = 0;             // limit of D's components, in our units; 0: none
    std::vector<SideInput> conditions;
    std::vector<OrtTensor> inputs,
        outputs; // inputs: x, the level if it is told, then the conditions

    std::size_t first_condition() const
    {
        return embedding == Embedding::none ? 1 : 2;
    } // of inputs

    //! sigma in the units of the net: the noise of one real component.
    Coefficients coefficients(float sigma) const;
    //! What the second input is told.
    float embed(float sigma) const;
    //! Between our layout (interleaved re, im) and the graph's, one item.
    void to_net(const float* item, float* net) const
    {
        to_layout(layout, domain(), elements, item, net);
    }
    void from_net(const float* net, float* item) const
    {
        from_layout(layout, domain(), elements, net, item);
    }
    Domain domain() const { return is_complex ? Domain::complex : Domain::real; }
    //! Items of one run when the caller has up to max_batch.
    std::size_t batch_of(std::size_t max_batch) const
    {
        return fixed_batch ? fixed_batch : max_batch;
    }
};

//! Throws Error where metadata and graph do not agree, naming both. condition: see make_onnx_prior().
DenoiserSpec read_denoiser_spec(const OnnxFile& file, const Json& condition = Json());

} // namespace core
} // namespace diffsem
} // namespace gr

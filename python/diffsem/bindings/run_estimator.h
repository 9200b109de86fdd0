/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An Estimator over NumPy arrays. Private.
 */
#pragma once

#include "bindings.h"

#include <gnuradio/diffsem/core/infer/estimator.h>

#include <cstddef>
#include <cstdint>

namespace gr {
namespace diffsem {

using complex_array =
    py::array_t<gr::diffsem::core::cfloat, py::array::c_style | py::array::forcecast>;
using float_array = py::array_t<float, py::array::c_style | py::array::forcecast>;

//! Options from Python: `observed` is a mask of N or a list of indices, `matrix` is M x N; both may be None.
core::EstimatorOptions estimator_options(const core::Scheme& scheme,
                                         std::size_t item_size,
                                         const py::object& observed,
                                         const py::object& matrix,
                                         int steps,
                                         float eta,
                                         std::uint64_t seed,
                                         std::uint64_t stream,
                                         std::size_t max_batch,
                                         float noise_freedom);

//! (mean, variance, info); y is [..., M], the results are [..., N] and info's arrays [...].
py::tuple run_estimator(core::Estimator& estimator,
                        const complex_array& y,
                        const float_array& noise_var,
                        std::uint64_t first);

} // namespace diffsem
} // namespace gr

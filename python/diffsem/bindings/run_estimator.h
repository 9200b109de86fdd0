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
#include <memory>
#include <vector>

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

//! As a run takes them.
struct noise_variances {
    std::vector<float> values;
    std::size_t stride = 1;
};
//! One for all, one for each item or one for each of the m elements of y. Throws Error.
noise_variances noise_from(const float_array& noise_var, py::ssize_t items, py::ssize_t m);

//! What was done to each item, as arrays of the batch's shape.
py::dict info_arrays(const std::vector<core::ItemInfo>& info,
                     const std::vector<py::ssize_t>& batch);

//! scheme.estimate() of a scheme of several unknowns.
py::tuple estimate_jointly(std::shared_ptr<const core::Scheme> scheme,
                           const complex_array& y,
                           const float_array& noise_var,
                           const py::object& observed,
                           const py::object& matrix,
                           int rounds,
                           float eta,
                           std::uint64_t seed,
                           std::uint64_t stream,
                           std::uint64_t first);

//! (mean, variance, info); y is [..., M], the results are [..., N] and info's arrays [...].
py::tuple run_estimator(core::Estimator& estimator,
                        const complex_array& y,
                        const float_array& noise_var,
                        std::uint64_t first);

} // namespace diffsem
} // namespace gr

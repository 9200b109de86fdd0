/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An Estimator over NumPy arrays. Private.
 */
#pragma once

#include "bindings.h"
#include "interruptible.h"

#include <gnuradio/diffsem/core/infer/estimator.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
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

//! {name: number or array of values} for an estimator that is being made; None: nothing.
std::map<std::string, std::vector<float>> conditions_from(const py::object& condition);

//! As numbers: one, or an array's in order. Throws Error that names it for what is none.
std::vector<float> condition_values(const std::string& name, const py::handle& values);

//! The array that an object is, or can be made into. Throws Error.
py::array array_of(const py::object& y);

//! The M x N of y = A x + n. Throws Error, for the name of a file too.
complex_array matrix_array(const py::object& matrix);

//! Throws Error for K draws of so many items that are none, or too many for memory.
void check_draw_count(const core::Estimator& estimator, py::ssize_t draws, std::size_t items);

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
                           std::uint64_t first,
                           std::size_t max_batch,
                           float noise_freedom,
                           const py::object& condition,
                           py::ssize_t draws);

/*!
 * (mean, variance, info); y is [..., M], the results are [..., N] and info's arrays [...]. Of a real scheme y is real, and
 * so is mean.
 * \param condition {name: values}, None: what was said before. Values hold for all items (the condition's own shape), or
 *                  are [..., shape]: a row for each item of this run
 */
py::tuple run_estimator(core::Estimator& estimator,
                        const py::object& measured,
                        const float_array& noise_var,
                        std::uint64_t first,
                        const py::object& condition = py::none());

//! The same of K draws of each item: (draws [K, ..., N], their own variance [..., N], info's arrays [K, ...]).
py::tuple draw_estimator(core::Estimator& estimator,
                         const py::object& measured,
                         const float_array& noise_var,
                         std::uint64_t first,
                         py::ssize_t draws,
                         const py::object& condition = py::none());

//! Of the conditions of one call those that hold for all its items, for an estimator that is made for it.
std::map<std::string, std::vector<float>>
constant_conditions(const core::Scheme& scheme, const py::object& condition, std::size_t items);

} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the bindings share. Private.
 */
#pragma once

#include <pybind11/complex.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;

void bind_scheme(py::module& m);
void bind_core(py::module& m);
void bind_estimate(py::module& m);
void bind_ofdm_chanest_vcvc(py::module& m);
void bind_ofdm_equalizer_diffsem(py::module& m);
void bind_soft_demapper_cf(py::module& m);
void bind_onnx_inference(py::module& m);
void bind_semantic(py::module& m);
void bind_photo(py::module& m);
void bind_picture(py::module& m);

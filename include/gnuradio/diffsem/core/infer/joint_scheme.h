/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a scheme of several unknowns has in the place of prior, start, sampler and plan.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/driver.h>
#include <gnuradio/diffsem/core/infer/scheme.h>
#include <gnuradio/diffsem/core/operators/bilinear.h>

#include <memory>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Immutable, shared between threads.
struct JointParts {
    const BilinearEntry* entry = nullptr;
    std::shared_ptr<const BilinearOperator> op;
    const DriverEntry* driver = nullptr;
    DriverParameters parameters;
    //! Of each unknown, in the operator's order: a scheme of one unknown, which measures through blocks.
    std::vector<std::shared_ptr<const Scheme>> schemes;
};

} // namespace core
} // namespace diffsem
} // namespace gr

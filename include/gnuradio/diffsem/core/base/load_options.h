/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What whoever loads models may choose.
 */
#pragma once

#include <cstddef>
#include <string>

namespace gr {
namespace diffsem {
namespace core {

//! Where packages are searched and which runtime library is used; empty members mean the defaults.
struct LoadOptions {
    std::string models_path; //!< colon list searched before the installed packages
    std::string onnxruntime; //!< path of libonnxruntime.so; empty: search
    std::string device =
        "cpu";                //!< of networks: `cpu`, `cuda` or `cuda:N`; never replaced by another
    int intra_op_threads = 1; //!< ONNX Runtime threads inside one operator
    bool spinning = false;    //!< ONNX Runtime threads spin while idle
    std::size_t max_model_bytes = std::size_t(512) << 20; //!< larger files are refused
};

} // namespace core
} // namespace diffsem
} // namespace gr

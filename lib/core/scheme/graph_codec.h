/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A codec of two graphs, as a member names them.
 */
#pragma once

#include <gnuradio/diffsem/core/base/fields.h>
#include <gnuradio/diffsem/core/infer/codec.h>
#include <gnuradio/diffsem/core/operators/operator.h>

#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

const std::vector<std::string>& codec_keys();

//! Throws Error where the decoder does not take the signal, gives what is not finite, or does not fit the encoder.
std::shared_ptr<const Codec> read_codec(const Fields& fields, const SignalShape& signal);

} // namespace core
} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/diffsem/core/base/json.h>
#include <gnuradio/diffsem/core/onnx/onnx_file.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * Fills file.metadata up from `<path>.json`, where there is one. The sidecar is for files made
 * elsewhere: it adds what the file does not say; a key in both with different values is refused.
 */
void read_sidecar(OnnxFile& file);

//! Refuses a file whose contract this library does not know; `required`: also one without any.
void check_contract(const OnnxFile& file, bool required);

//! A metadata value that the contract calls JSON; null when absent. Errors name file and key.
Json meta_json(const OnnxFile& file, const std::string& key);

//! A list of 1 to 4 positive integers; `what` is named in the error.
std::vector<std::int64_t> json_shape(const Json& json, const std::string& what);

//! Such a list from the metadata ("diffsem.shape"); empty when absent.
std::vector<std::int64_t> meta_shape(const OnnxFile& file, const std::string& key);

//! One of `allowed`; `fallback` when absent, refused with the list otherwise.
std::string meta_choice(const OnnxFile& file,
                        const std::string& key,
                        const std::vector<std::string>& allowed,
                        const std::string& fallback);

} // namespace core
} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a manifest's keys to the five choices of a scheme. Each refusal is an Error that names file, key and remedy.
 */
#pragma once

#include "package.h"
#include "scheme_impl.h"

#include <gnuradio/diffsem/core/npy.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! A string, or an object with a "type" ({"type": "mask"}), as such an object.
Json typed(const Json& value, const char* fallback);

//! The .npy file that a key names, of the given shape (-1: any length).
NpyArray tensor_file(const Package& package,
                     const Fields& fields,
                     const std::string& key,
                     const std::string& where,
                     const std::vector<std::int64_t>& shape,
                     const LoadOptions& options);

//! member["prior"], of the type info.prior; null for `none`.
std::shared_ptr<const Prior> load_prior(const Package& package,
                                        const Json& member,
                                        const std::string& where,
                                        const SchemeInfo& info,
                                        const LoadOptions& options);

float read_realism(const Fields& fields);

//! A member for photographs: docs/model_contract.md. Prior and operator are given; the plan says how they alternate.
void resolve_photo(const Package& package,
                   const Json& signal,
                   const Json& member,
                   const std::string& signal_where,
                   const std::string& where,
                   SchemeImpl& s,
                   const LoadOptions& options);

//! Any other member, its manifest's sections overridden by the string already.
void resolve_signal(const Package& package,
                    const Json& signal,
                    const Json& member,
                    const std::string& signal_where,
                    const std::string& where,
                    SchemeImpl& s,
                    const LoadOptions& options);

} // namespace core
} // namespace diffsem
} // namespace gr

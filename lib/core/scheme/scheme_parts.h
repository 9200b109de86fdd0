/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a manifest's keys to the five choices of a scheme. Each refusal is an Error that names file, key and remedy.
 */
#pragma once

#include "scheme/package.h"
#include "scheme/scheme_impl.h"

#include <gnuradio/diffsem/core/base/npy.h>

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

//! A member as the manifest and the string have it, and where it stands.
struct MemberText {
    const Package& package;
    const Json &signal, &member;
    const std::string signal_where, where;
    const LoadOptions& options;
};

//! Photographs: docs/model_contract.md. Prior and operator are given; the plan says how they alternate.
void resolve_photo(const MemberText& text, SchemeImpl& s);

//! Any other signal.
void resolve_signal(const MemberText& text, SchemeImpl& s);

} // namespace core
} // namespace diffsem
} // namespace gr

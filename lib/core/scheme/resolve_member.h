/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a manifest's keys to the five choices of a scheme. Each refusal is an Error that names file, key and remedy.
 */
#pragma once

#include "scheme/package.h"

#include <gnuradio/diffsem/core/infer/scheme.h>
#include <gnuradio/diffsem/core/priors/prior.h>

#include <string>

namespace gr {
namespace diffsem {
namespace core {

//! A member as the manifest and the string have it, and where it stands.
struct MemberText {
    const Package& package;
    const Json &signal, &member;
    const std::string signal_where, where;
    const LoadOptions& options;
};

//! Fills in what the text says of signal, prior, operator, start, sampler and plan.
void resolve_member(const MemberText& text, SchemeInfo& info, SchemeParts& parts);

//! What answers: of the prior under its guidance. Where only the flowgraph can complete the operator, what is sure of it.
Traits posterior_traits(const SchemeInfo& info, const SchemeParts& parts);

} // namespace core
} // namespace diffsem
} // namespace gr

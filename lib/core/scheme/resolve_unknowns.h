/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a manifest's member with `unknowns` to a scheme of several. Each refusal is an Error that names file, key and remedy.
 */
#pragma once

#include "scheme/resolve_member.h"

namespace gr {
namespace diffsem {
namespace core {

//! Fills in operator, driver and a scheme for each unknown.
void resolve_unknowns(const MemberText& text, SchemeInfo& info, SchemeParts& parts);

} // namespace core
} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Keys of a scheme string that a noun's entries read: where they go, and what their text means.
 */
#pragma once

#include "scheme/scheme_string.h"

#include <gnuradio/diffsem/core/base/entry.h>
#include <gnuradio/diffsem/core/base/json.h>
#include <gnuradio/diffsem/core/base/load_options.h>

#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! One noun whose keys may stand in the string.
struct StringTable {
    const char* noun;
    std::vector<const Entry*> entries;
};

/*!
 * In the order in which a key is looked for: the first noun that has one of its name takes it. `noun.key` goes to that noun
 * alone.
 */
std::vector<StringTable> string_tables();

//! The key of that name that some entry reads, or null.
const Key* find_key(const std::vector<const Entry*>& entries, const std::string& name);

//! A noun's table as plain entries.
template <typename T>
std::vector<const Entry*> entries(const std::vector<const T*>& table)
{
    return {table.begin(), table.end()};
}

//! The value of a key, from its text. Throws Error.
Json value_of(const Spec& spec, const Key& key, const std::string& text);

//! Puts each key into the object of its noun: (noun, object), as a manifest has them. Throws Error.
void place_keys(const Spec& spec, const std::vector<std::pair<std::string, Json*>>& nouns);

//! The same object, or a fresh one where the string names another type than it has.
Json chosen(const Spec& spec, const char* noun, const Json& object);

//! `device` and `max_model_mb` of the string, else as given. Throws Error.
LoadOptions load_options(const Spec& spec, LoadOptions options);

} // namespace core
} // namespace diffsem
} // namespace gr

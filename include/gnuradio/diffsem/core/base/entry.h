/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What can be chosen by name: one table for each noun (prior, operator, start, sampler, plan). The tables are explicit,
 * because a static library drops objects that only register themselves.
 */
#pragma once

#include <gnuradio/diffsem/core/base/error.h>

#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! A key that an entry reads.
struct Key {
    const char* name;
    const char* documentation; //!< unit, range, default
    bool flag = false;         //!< true or false, not a number
    bool text = false;         //!< a word
    bool list = false;         //!< numbers; in a scheme string with ';' between them
    bool file = false;         //!< of a package: not to be named in a scheme string
};
inline Key text_key(const char* name, const char* documentation)
{
    return {name, documentation, false, true};
}
inline Key list_key(const char* name, const char* documentation)
{
    return {name, documentation, false, false, true};
}
inline Key file_key(const char* name, const char* documentation)
{
    return {name, documentation, false, false, false, true};
}

//! What all entries have. `gr-diffsem list --verbose`, docs/reference.md and the contract tests are made from it.
struct Entry {
    const char* name;
    const char* documentation; //!< a sentence or two, with the source
    std::vector<Key> keys;
};

std::vector<std::string> key_names(const Entry& entry); //!< and "type"

//! "; did you mean 'x'?" or the list of what is known: the end of a sentence about an unknown name.
std::string suggestion(const std::string& name, const std::vector<std::string>& known);

template <typename T>
std::vector<std::string> entry_names(const std::vector<const T*>& table)
{
    std::vector<std::string> names;
    for (const T* entry : table)
        names.push_back(entry->name);
    return names;
}

//! Throws Error, with what the noun is called and the nearest name, where there is no such entry.
template <typename T>
const T& find_entry(const std::vector<const T*>& table, const char* noun, const std::string& name)
{
    for (const T* entry : table)
        if (name == entry->name)
            return *entry;
    throw Error(std::string(noun) + " '" + name + "' is unknown" +
                suggestion(name, entry_names(table)));
}

} // namespace core
} // namespace diffsem
} // namespace gr

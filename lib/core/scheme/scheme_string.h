/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The grammar of the string that names a scheme. Untrusted input; every refusal is an Error that names key and remedy.
 */
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! NAME[/MEMBER][:key=value,...]
struct Spec {
    std::string name; //!< of a package, or a path
    std::string member;
    std::vector<std::pair<std::string, std::string>> overrides;

    //! Value of an override, null when it is not given.
    const std::string* find(const std::string& key) const;
};
//! Keys that nobody knows are let through: they may be conditions of the package's prior (check_keys()).
Spec parse_spec(const std::string& text);

//! Whether the grammar itself reads this key.
bool is_key(const std::string& name);
//! Throws Error for an override that is neither a key nor a condition of this name.
void check_keys(const Spec& spec,
                const std::string& text,
                const std::vector<std::string>& conditions = {});

} // namespace core
} // namespace diffsem
} // namespace gr

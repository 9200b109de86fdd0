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
Spec parse_spec(const std::string& text);

} // namespace core
} // namespace diffsem
} // namespace gr

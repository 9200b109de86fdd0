/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From the string that names a scheme to the checked choice of its parts.
 */
#pragma once

#include <gnuradio/diffsem/core/base/load_options.h>
#include <gnuradio/diffsem/core/infer/scheme.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! NAME[/MEMBER][:key=value,...]: a package, a path, or what is built in. Throws Error when anything does not fit.
std::shared_ptr<const Scheme> load_scheme(const std::string& spec, const LoadOptions& options = {});

//! Packages found on the search path: name and folder.
std::vector<std::pair<std::string, std::string>> find_packages(const LoadOptions& options = {});

//! Everything that can be chosen by name: (noun, its entries).
std::vector<std::pair<std::string, std::vector<const Entry*>>> nouns();

} // namespace core
} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Questions about paths and texts that name packages.
 */
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

inline std::vector<std::string> split(const std::string& text, char separator)
{
    std::vector<std::string> parts;
    for (std::size_t begin = 0; begin <= text.size();) {
        const auto end = std::min(text.find(separator, begin), text.size());
        parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

inline std::string expand_home(const std::string& path)
{
    const char* home = std::getenv("HOME");
    return home && !path.empty() && path[0] == '~' && (path.size() == 1 || path[1] == '/')
               ? home + path.substr(1)
               : path;
}

inline bool is_file(const std::filesystem::path& path)
{
    std::error_code error;
    return std::filesystem::is_regular_file(path, error);
}

inline bool is_package(const std::filesystem::path& path)
{
    return is_file(path / "manifest.json");
}

inline bool looks_like_path(const std::string& name)
{
    return name.compare(0, 1, "/") == 0 || name.compare(0, 2, "./") == 0 ||
           name.compare(0, 3, "../") == 0 || name.compare(0, 1, "~") == 0;
}

} // namespace core
} // namespace diffsem
} // namespace gr

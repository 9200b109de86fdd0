/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/base/entry.h>

#include <algorithm>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

// Levenshtein distance, one row at a time.
std::size_t distance(const std::string& a, const std::string& b)
{
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); j++)
        row[j] = j;
    for (std::size_t i = 1; i <= a.size(); i++) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); j++) {
            const std::size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row[b.size()];
}

} // namespace

std::vector<std::string> key_names(const Entry& entry)
{
    std::vector<std::string> names = {"type"};
    for (const Key& key : entry.keys)
        names.push_back(key.name);
    return names;
}

std::string suggestion(const std::string& name, const std::vector<std::string>& known)
{
    if (known.empty())
        return "";
    std::string text;
    if (name.size() <= 64) {
        const auto nearest =
            std::min_element(known.begin(), known.end(), [&](const auto& a, const auto& b) {
                return distance(name, a) < distance(name, b);
            });
        if (distance(name, *nearest) <= std::max<std::size_t>(2, name.size() / 3))
            text += "; did you mean '" + *nearest + "'?";
    }
    text += text.empty() ? "; known are " : " Known are ";
    for (std::size_t i = 0; i < known.size(); i++)
        text += (i ? ", " : "") + known[i];
    return text;
}

} // namespace core
} // namespace diffsem
} // namespace gr

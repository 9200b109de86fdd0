/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Seeded mutations: bits, bytes, numbers at the edges, pieces removed, doubled or taken from another file.
 */
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

inline std::string mutate(const std::vector<std::string>& corpus, std::mt19937_64& random)
{
    const auto below = [&](std::size_t n) { return n ? std::size_t(random() % n) : 0; };
    static const std::string edges[] = {std::string("\0", 1),
                                        "\x01",
                                        "\x7f",
                                        "\x80",
                                        "\xff",
                                        std::string("\xff\xff\xff\xff\x0f"),
                                        std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                                        std::string("\x80\x80\x80\x80\x10"),
                                        "-1",
                                        "0",
                                        "1e309",
                                        "1e-400",
                                        "99999999999999999999",
                                        "268435456",
                                        "[",
                                        "{",
                                        "\"",
                                        "\\ud800",
                                        "null",
                                        "NaN",
                                        "../",
                                        ","};
    std::string s = corpus[below(corpus.size())];
    for (std::size_t left = 1 + below(4); left > 0; left--) {
        const std::size_t at = below(s.size() + 1);
        const std::size_t length = 1 + below(random() % 4 ? 8 : 64);
        switch (random() % 8) {
        case 0:
            if (!s.empty())
                s[at % s.size()] ^= char(1 << below(8));
            break;
        case 1:
            if (!s.empty())
                s[at % s.size()] = char(random());
            break;
        case 2:
            s.insert(at, edges[below(sizeof edges / sizeof *edges)]);
            break;
        case 3:
            s.erase(at, length);
            break;
        case 4:
            s.insert(at, s.substr(below(s.size() + 1), length));
            break;
        case 5: {
            const std::string& other = corpus[below(corpus.size())];
            const std::string piece = other.substr(below(other.size() + 1), 4 * length);
            s.replace(at, random() % 2 ? piece.size() : 0, piece);
            break;
        }
        case 6: {
            const std::string& edge = edges[below(sizeof edges / sizeof *edges)];
            s.replace(at, edge.size(), edge);
            break;
        }
        default:
            s.resize(random() % 4 ? s.size() : at);
        }
    }
    return s;
}

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mutations that leave a protobuf message well formed: fields changed, dropped, doubled or changed with one
 * another, at any depth, the lengths around them corrected. What bytes at random seldom are, these mostly are: past a
 * parser, and wrong behind it.
 */
#pragma once

#include "mutate.h"

#include <cstring>
#include <utility>

struct MessageField {
    std::uint64_t key = 0; // number << 3 | wire type
    std::uint64_t value = 0;
    std::string bytes;
};

//! False if these bytes are no message.
inline bool parse_message(const std::string& text, std::vector<MessageField>& fields)
{
    std::size_t at = 0;
    const auto varint = [&](std::uint64_t& value) {
        value = 0;
        for (int shift = 0; shift < 64 && at < text.size(); shift += 7) {
            const auto byte = static_cast<unsigned char>(text[at++]);
            value |= std::uint64_t(byte & 127) << shift;
            if (byte < 128)
                return true;
        }
        return false;
    };
    while (at < text.size()) {
        MessageField f;
        std::uint64_t size = 0;
        if (!varint(f.key) || f.key < 8)
            return false;
        switch (f.key & 7) {
        case 0:
            if (!varint(f.value))
                return false;
            break;
        case 1:
        case 5:
            size = (f.key & 7) == 1 ? 8 : 4;
            break;
        case 2:
            if (!varint(size))
                return false;
            break;
        default:
            return false;
        }
        if (size > text.size() - at)
            return false;
        f.bytes = text.substr(at, size);
        at += size;
        fields.push_back(std::move(f));
    }
    return true;
}

inline std::string write_message(const std::vector<MessageField>& fields)
{
    std::string text;
    const auto varint = [&](std::uint64_t value) {
        for (; value > 127; value >>= 7)
            text += char(value | 128);
        text += char(value);
    };
    for (const auto& f : fields) {
        varint(f.key);
        if ((f.key & 7) == 0)
            varint(f.value);
        else if ((f.key & 7) == 2)
            varint(f.bytes.size());
        text += f.bytes;
    }
    return text;
}

//! One mutation; `words` are texts that a name or a kind may become.
inline std::string mutate_message(const std::string& text,
                                  const std::vector<std::string>& words,
                                  std::mt19937_64& random,
                                  int depth = 0)
{
    const auto below = [&](std::size_t n) { return n ? std::size_t(random() % n) : 0; };
    static const std::uint64_t edges[] = {0,
                                          1,
                                          2,
                                          3,
                                          7,
                                          8,
                                          16,
                                          127,
                                          255,
                                          1000,
                                          1 << 16,
                                          1 << 20,
                                          1 << 28,
                                          1ull << 31,
                                          0xffffffffull,
                                          ~0ull,
                                          ~0ull - 1,
                                          1ull << 40,
                                          1ull << 63};
    const auto edge = [&] { return edges[below(sizeof edges / sizeof *edges)]; };
    std::vector<MessageField> fields;
    if (text.empty() || !parse_message(text, fields)) {
        if (!text.empty() && text.size() % 8 == 0 && random() % 2) { // dimensions, maybe
            std::string numbers = text;
            const std::uint64_t value = edge();
            std::memcpy(&numbers[8 * below(text.size() / 8)], &value, 8);
            return numbers;
        }
        return random() % 3 ? words[below(words.size())] : mutate({text}, random);
    }
    // Half by fields, half by their size: a graph lies beside fifteen lines of metadata.
    std::size_t chosen = below(fields.size());
    if (random() % 2) {
        std::size_t total = 0;
        for (const auto& f : fields)
            total += 2 + f.bytes.size();
        for (std::size_t at = below(total), i = 0, end = 0; i < fields.size(); i++) {
            end += 2 + fields[i].bytes.size();
            if (at < end) {
                chosen = i;
                break;
            }
        }
    }
    auto& f = fields[chosen];
    if ((f.key & 7) == 2 && depth < 12 && random() % 8) {
        f.bytes = mutate_message(f.bytes, words, random, depth + 1);
        return write_message(fields);
    }
    switch (random() % 6) {
    case 0:
        fields.erase(fields.begin() + std::ptrdiff_t(chosen));
        break;
    case 1: {
        const auto copy = f;
        fields.insert(fields.begin() + std::ptrdiff_t(below(fields.size() + 1)), copy);
        break;
    }
    case 2:
        std::swap(f.bytes, fields[below(fields.size())].bytes);
        break;
    case 3:
        f.key = (f.key & 7) | std::uint64_t(1 + below(30)) << 3;
        break;
    default:
        if ((f.key & 7) == 0)
            f.value = random() % 4 ? edge() : f.value + random() % 5 - 2;
        else
            f.bytes = (f.key & 7) == 2 && random() % 2 ? words[below(words.size())]
                                                       : mutate({f.bytes}, random);
    }
    // Four and eight bytes stay four and eight.
    for (auto& g : fields)
        if ((g.key & 7) == 1 || (g.key & 7) == 5)
            g.bytes.resize((g.key & 7) == 1 ? 8 : 4);
        else if ((g.key & 7) == 0)
            g.bytes.clear();
    return write_message(fields);
}

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A cursor over protobuf wire format. It never copies, allocates or reads past its end; every
 * length is checked against what remains before it is used.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace gr {
namespace diffsem {
namespace core {

//! The bytes are not a protobuf message, or end too early.
class WireError : public std::runtime_error
{
public:
    WireError(const std::string& what, bool truncated)
        : std::runtime_error(what),
          d_truncated(truncated)
    {
    }
    bool truncated() const { return d_truncated; }

private:
    bool d_truncated;
};

class ProtobufReader
{
public:
    enum Wire { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

    ProtobufReader(const char* data, std::size_t size)
        : d_at(data),
          d_end(data + size),
          d_begin(data)
    {
    }

    //! Advances to the next field; false at the end of the message.
    bool next()
    {
        if (d_at == d_end)
            return false;
        const std::uint64_t key = read_varint();
        d_field = key >> 3;
        d_wire = static_cast<int>(key & 7);
        if (d_field == 0 || d_field > 0x1fffffff)
            throw WireError("field number " + std::to_string(d_field), false);
        switch (d_wire) {
        case varint:
            d_value = read_varint();
            break;
        case fixed64:
            take(8);
            break;
        case fixed32:
            take(4);
            break;
        case bytes:
            take(read_varint());
            break;
        default:
            throw WireError("wire type " + std::to_string(d_wire), false);
        }
        return true;
    }

    std::uint64_t field() const { return d_field; }
    int wire() const { return d_wire; }
    bool is(std::uint64_t field, Wire wire) const { return d_field == field && d_wire == wire; }

    std::uint64_t value() const { return d_value; }
    std::int64_t signed_value() const { return static_cast<std::int64_t>(d_value); }
    std::size_t size() const { return d_size; }
    std::string text() const { return std::string(d_data, d_size); }
    ProtobufReader message() const { return ProtobufReader(d_data, d_size); }
    std::size_t total() const { return static_cast<std::size_t>(d_end - d_begin); }

    //! For packed repeated integers: the next bare varint of this range.
    bool next_packed(std::uint64_t& out)
    {
        if (d_at == d_end)
            return false;
        out = read_varint();
        return true;
    }

private:
    std::uint64_t read_varint()
    {
        std::uint64_t result = 0;
        for (int shift = 0; shift < 70; shift += 7) {
            if (d_at == d_end)
                throw WireError("ends inside a number", true);
            const auto byte = static_cast<unsigned char>(*d_at++);
            if (shift == 63 && byte > 1)
                break;
            result |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (!(byte & 0x80))
                return result;
        }
        throw WireError("a number of more than 64 bits", false);
    }

    void take(std::uint64_t size)
    {
        const auto left = static_cast<std::uint64_t>(d_end - d_at);
        if (size > left)
            throw WireError("field " + std::to_string(d_field) + " needs " + std::to_string(size) +
                                " bytes, " + std::to_string(left) + " are left",
                            true);
        d_data = d_at;
        d_size = static_cast<std::size_t>(size);
        d_at += size;
    }

    const char* d_at;
    const char* d_end;
    const char* d_begin;
    std::uint64_t d_field = 0;
    int d_wire = 0;
    std::uint64_t d_value = 0;
    const char* d_data = nullptr;
    std::size_t d_size = 0;
};

} // namespace core
} // namespace diffsem
} // namespace gr

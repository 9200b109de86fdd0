/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/base/npy.h>

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/sha256.h>

#include <cstring>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t max_rank = 8;

[[noreturn]] void fail(const std::string& name, const std::string& what)
{
    throw Error(name + ": " + what +
                "; write it with numpy.save() as float32, float64, "
                "complex64, complex128 or int64 in C order");
}

// Text after "'key':" in the header, a Python dict literal of fixed form (NEP 1).
std::string header_value(const std::string& header, const std::string& key, const std::string& name)
{
    const auto at = header.find("'" + key + "':");
    if (at == std::string::npos)
        fail(name, "header without '" + key + "'");
    auto begin = header.find_first_not_of(' ', at + key.size() + 3);
    if (begin == std::string::npos)
        fail(name, "header cut off after '" + key + "'");
    const auto end =
        header[begin] == '(' ? header.find(')', begin) : header.find_first_of(",}", begin);
    if (end == std::string::npos)
        fail(name, "header cut off after '" + key + "'");
    return header.substr(begin, end - begin);
}

template <typename T>
void convert(const char* bytes, std::vector<double>& out)
{
    for (std::size_t i = 0; i < out.size(); i++) {
        T v;
        std::memcpy(&v, bytes + i * sizeof(T), sizeof(T));
        out[i] = static_cast<double>(v);
    }
}

} // namespace

NpyArray parse_npy(const std::string& bytes, const std::string& name)
{
    if (bytes.size() < 10 || bytes.compare(0, 6, "\x93NUMPY") != 0)
        fail(name, "not a .npy file");
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const int major = byte(6);
    std::size_t offset = 10, length = byte(8) + 256u * byte(9);
    if (major == 2 || major == 3) {
        if (bytes.size() < 12)
            fail(name, "truncated header");
        offset = 12;
        length += (std::size_t(byte(10)) << 16) + (std::size_t(byte(11)) << 24);
    } else if (major != 1) {
        fail(name, "unknown format version " + std::to_string(major));
    }
    if (length > bytes.size() - offset)
        fail(name, "truncated header");
    const std::string header = bytes.substr(offset, length);
    offset += length;

    NpyArray array;
    if (header_value(header, "fortran_order", name).compare(0, 5, "False") != 0)
        fail(name, "Fortran order");
    std::size_t count = 1, rank = 0;
    const std::string shape = header_value(header, "shape", name);
    for (std::size_t i = 0; i < shape.size(); i++) {
        if (shape[i] < '0' || shape[i] > '9')
            continue;
        std::uint64_t n = 0;
        for (; i < shape.size() && shape[i] >= '0' && shape[i] <= '9'; i++)
            // Saturates far above any size that could pass the check against the file below.
            n = n > bytes.size() ? n : 10 * n + std::uint64_t(shape[i] - '0');
        if (++rank > max_rank || (n && count > (bytes.size() + 1) / n))
            fail(name, "shape " + shape + ") is larger than the file");
        count *= n;
        array.shape.push_back(static_cast<std::int64_t>(n));
    }

    const std::string descr = header_value(header, "descr", name);
    const std::string type = descr.size() >= 5 ? descr.substr(1, 3) : descr;
    array.is_complex = type == "<c8" || descr == "'<c16'";
    const std::size_t width = descr == "'<c16'"                                 ? 16
                              : type == "<f4"                                   ? 4
                              : type == "<f8" || type == "<c8" || type == "<i8" ? 8
                                                                                : 0;
    if (!width)
        fail(name, "element type " + descr + " is not supported");
    if (count > (bytes.size() - offset) / width || count * width != bytes.size() - offset)
        fail(name,
             "shape " + shape + ") of " + descr + " needs " + std::to_string(count * width) +
                 " bytes, the file has " + std::to_string(bytes.size() - offset));
    array.data.resize(array.is_complex ? 2 * count : count);
    const char* p = bytes.data() + offset;
    if (type == "<i8")
        convert<std::int64_t>(p, array.data);
    else if (type == "<f4" || type == "<c8")
        convert<float>(p, array.data);
    else
        convert<double>(p, array.data);
    return array;
}

NpyArray read_npy(const std::string& path, std::size_t max_bytes)
{
    return parse_npy(read_file(path, max_bytes), path);
}

} // namespace core
} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reader of NumPy's .npy files (format 1.0 - 3.0): little-endian f4, f8, c8, c16, i8, C order.
 */
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

struct NpyArray {
    std::vector<std::int64_t> shape;
    bool is_complex = false;
    std::vector<double> data; //!< (re, im) pairs when complex

    std::size_t count() const { return data.size() / (is_complex ? 2 : 1); }
    double real(std::size_t i) const { return data[is_complex ? 2 * i : i]; }
    std::complex<double> value(std::size_t i) const
    {
        return is_complex ? std::complex<double>(data[2 * i], data[2 * i + 1])
                          : std::complex<double>(data[i], 0);
    }
};

//! Throws Error naming the file and what is wrong with it.
NpyArray read_npy(const std::string& path, std::size_t max_bytes = std::size_t(512) << 20);
NpyArray parse_npy(const std::string& bytes, const std::string& name);

} // namespace core
} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * SHA-256 (FIPS 180-4) of model packages.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace gr {
namespace diffsem {
namespace core {

class Sha256
{
public:
    Sha256();
    void update(const void* data, std::size_t bytes);
    std::string hex(); //!< finishes; the object is used up

private:
    void block(const std::uint8_t* p);
    std::uint32_t d_h[8];
    std::uint8_t d_buffer[64];
    std::size_t d_used = 0;
    std::uint64_t d_bytes = 0;
};

std::string sha256_hex(const std::string& bytes);
//! Throws Error when the file cannot be read.
std::string sha256_file(const std::string& path);

/*!
 * Whole content of a regular file. Throws Error, naming path and limit, when it is missing, not a
 * regular file or larger than max_bytes.
 */
std::string read_file(const std::string& path, std::size_t max_bytes);

} // namespace core
} // namespace diffsem
} // namespace gr

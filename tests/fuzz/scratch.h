/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A folder for what must be a file to be read; in memory where the system has that, and gone at the end.
 */
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

class Scratch
{
public:
    Scratch()
    {
        std::string name = std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp";
        name += "/diffsem-fuzz-XXXXXX";
        if (!mkdtemp(&name[0]))
            std::abort();
        d_folder = name;
    }
    ~Scratch()
    {
        std::error_code ec;
        std::filesystem::remove_all(d_folder, ec);
    }
    std::string path(const std::string& name) const { return d_folder + "/" + name; }
    void write(const std::string& name, const std::string& text) const
    {
        std::ofstream(path(name), std::ios::binary | std::ios::trunc) << text;
    }

private:
    std::string d_folder;
};

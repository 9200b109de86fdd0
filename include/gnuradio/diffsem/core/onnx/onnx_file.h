/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What an .onnx file says of itself, read by our own bounded reader before any runtime sees the
 * file. A model is untrusted input: nothing here allocates by a number that the file claims, and
 * whatever could reach outside its folder or needs foreign code is refused by name.
 */
#pragma once

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/load_options.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Element types of ONNX, by their numbers in the format.
enum class ElemType : int {
    undefined = 0,
    float32 = 1,
    uint8 = 2,
    int8 = 3,
    uint16 = 4,
    int16 = 5,
    int32 = 6,
    int64 = 7,
    string = 8,
    boolean = 9,
    float16 = 10,
    float64 = 11,
    uint32 = 12,
    uint64 = 13,
    complex64 = 14,
    complex128 = 15,
    bfloat16 = 16,
};

//! "float32", "int64", ...; "type 17" for one without a name here.
std::string elem_type_name(ElemType type);

//! One input or output of a graph.
struct TensorInfo {
    static constexpr std::int64_t dynamic = -1;

    std::string name;
    ElemType type = ElemType::undefined; //!< undefined: not a tensor (a sequence, a map, ...)
    bool has_shape = false;
    std::vector<std::int64_t> shape; //!< `dynamic` where symbolic or not given
    std::vector<std::string> dims;   //!< name of each symbolic dimension, else empty

    std::string describe() const; //!< "x: float32 [batch, 2, 64]"
};

//! The header of an .onnx file and the bytes that were checked, so that these are what is run.
struct OnnxFile {
    std::string path;
    std::string bytes;
    std::int64_t ir_version = 0;
    std::string producer;
    std::map<std::string, std::int64_t> opsets;  //!< domain ("" = ai.onnx) -> version
    std::map<std::string, std::string> metadata; //!< metadata_props, filled up from the sidecar
    std::string sidecar;                         //!< path of the sidecar, empty without one
    std::vector<TensorInfo> inputs;              //!< without initialisers
    std::vector<TensorInfo> outputs;
    std::size_t nodes = 0;
    std::uint64_t parameters = 0; //!< elements of all initialisers
    bool external_data = false;   //!< some weights lie in other files of the folder
    bool fold_constants = true;   //!< what a runtime computes while it loads the file is bounded

    //! A metadata value, or `fallback` when the key is absent.
    std::string meta(const std::string& key, const std::string& fallback = "") const;
};

/*!
 * Reads and checks a file; throws Error with the file, what is wrong, and the remedy.
 * Refused: no such file, not a regular file, larger than max_bytes (with its external data), not
 * ONNX, truncated, absurd shapes, operators from a domain other than ai.onnx, ai.onnx.ml and
 * com.microsoft (unless the file defines them as functions), external data outside its folder.
 */
OnnxFile read_onnx_file(const std::string& path,
                        std::size_t max_bytes = LoadOptions().max_model_bytes);

/*!
 * As read_onnx_file for bytes in memory, without the sidecar.
 * \param path names the file in errors; its folder is where external data may lie
 */
OnnxFile parse_onnx(std::string bytes, const std::string& path, std::size_t max_bytes);

} // namespace core
} // namespace diffsem
} // namespace gr

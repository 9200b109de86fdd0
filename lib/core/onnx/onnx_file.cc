/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/onnx/onnx_file.h>

#include "onnx/onnx_sidecar.h"
#include "onnx/onnx_walker.h"
#include "onnx/protobuf_reader.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

namespace gr {
namespace diffsem {
namespace core {
namespace {

namespace fs = std::filesystem;

std::string read_bytes(const std::string& path, std::size_t max_bytes)
{
    std::error_code ec;
    const auto status = fs::status(path, ec);
    if (!fs::exists(status))
        refuse_file(path,
                    "no such file. Check the path; a relative one starts at the working directory");
    if (!fs::is_regular_file(status))
        refuse_file(path, "is not a file. Give the path of an .onnx file");
    std::ifstream in(path, std::ios::binary);
    in.seekg(0, std::ios::end);
    const std::streamoff size = in ? std::streamoff(in.tellg()) : -1;
    if (size < 0)
        refuse_file(path, "cannot be read. Check its permissions");
    if (static_cast<std::uint64_t>(size) > max_bytes)
        refuse_file(path,
                    "is " + megabytes(size) + ", more than the limit of " + megabytes(max_bytes) +
                        ". Raise max_model_bytes if you trust it");
    std::string bytes(static_cast<std::size_t>(size), '\0');
    in.seekg(0);
    in.read(&bytes[0], size);
    if (in.gcount() != size)
        refuse_file(path, "cannot be read to its end. Get the file again");
    return bytes;
}

} // namespace

std::string elem_type_name(ElemType type)
{
    static const char* const names[] = {"not a tensor",
                                        "float32",
                                        "uint8",
                                        "int8",
                                        "uint16",
                                        "int16",
                                        "int32",
                                        "int64",
                                        "string",
                                        "bool",
                                        "float16",
                                        "float64",
                                        "uint32",
                                        "uint64",
                                        "complex64",
                                        "complex128",
                                        "bfloat16"};
    const auto index = static_cast<std::size_t>(type);
    return index < sizeof names / sizeof *names ? names[index] : "type " + std::to_string(index);
}

std::string TensorInfo::describe() const
{
    std::string text = name + ": " + elem_type_name(type);
    if (!has_shape)
        return text;
    text += " [";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        text += i ? ", " : "";
        text += shape[i] >= 0 ? std::to_string(shape[i]) : dims[i].empty() ? "?" : dims[i];
    }
    return text + "]";
}

std::string OnnxFile::meta(const std::string& key, const std::string& fallback) const
{
    const auto it = metadata.find(key);
    return it == metadata.end() ? fallback : it->second;
}

namespace {

/*!
 * What other kinds of model files begin with, and what to do with one; null for none of them. Looked at before the
 * file is read as ONNX: their bytes may well look like a damaged one.
 */
const char* other_format(const std::string& bytes)
{
    static const struct {
        std::size_t at;
        const char* mark;
        const char* remedy;
    } known[] = {
        {4,
         "ORTM",
         "is in ONNX Runtime's own format (.ort), which can be neither checked nor bounded here. "
         "Give the "
         ".onnx file that it was made from"},
        {4, "TFL3", "is a TensorFlow Lite model. Convert it: python -m tf2onnx.convert --tflite"},
        {0,
         "PK\x03\x04",
         "is a zip archive, as PyTorch (.pt) and Keras (.keras) save models. Export it to .onnx, "
         "with "
         "torch.onnx.export or tf2onnx"},
        {0,
         "\x80\x02",
         "is a Python pickle. Export the model to .onnx, with torch.onnx.export or skl2onnx"},
        {0,
         "\x80\x04",
         "is a Python pickle. Export the model to .onnx, with torch.onnx.export or skl2onnx"},
        {0,
         "\x80\x05",
         "is a Python pickle. Export the model to .onnx, with torch.onnx.export or skl2onnx"},
        {0,
         "\x89HDF",
         "is an HDF5 file, as Keras (.h5) saves models. Export it to .onnx, with tf2onnx"},
        {8,
         "{\"",
         "is a safetensors file, which holds weights but no graph. Export the model to .onnx"},
        {0, "GGUF", "is a GGUF file. Give the model as .onnx"},
        {0, "\x1f\x8b", "is compressed with gzip. Unpack it first"},
        {0,
         "<?xml",
         "is XML, as OpenVINO keeps its models. Give the .onnx file that it was made from"},
    };
    for (const auto& k : known)
        if (bytes.size() > k.at && bytes.compare(k.at, std::strlen(k.mark), k.mark) == 0)
            return k.remedy;
    return nullptr;
}

} // namespace

OnnxFile parse_onnx(std::string bytes, const std::string& path, std::size_t max_bytes)
{
    OnnxFile file;
    file.path = path;
    file.bytes = std::move(bytes);
    if (file.bytes.empty())
        refuse_file(path, "is empty. Get the file again");
    if (file.bytes.compare(0, 24, "version https://git-lfs.") == 0)
        refuse_file(
            path, "is a Git LFS pointer, not the model itself. Run `git lfs pull` in its checkout");
    if (const char* remedy = other_format(file.bytes))
        refuse_file(path, remedy);
    try {
        walk_onnx(file, max_bytes);
    } catch (const WireError& e) {
        // What starts as a model and merely ends too soon was cut, not mistaken for another file.
        if (e.truncated() && file.ir_version > 0)
            refuse_file(path,
                        "is truncated (" + std::string(e.what()) + ", file of " +
                            megabytes(file.bytes.size()) + "). Get the file again");
        refuse_file(path,
                    "is not an ONNX model (" + std::string(e.what()) +
                        "). Give an .onnx file made by an exporter");
    }
    return file;
}

OnnxFile read_onnx_file(const std::string& path, std::size_t max_bytes)
{
    OnnxFile file = parse_onnx(read_bytes(path, max_bytes), path, max_bytes);
    read_sidecar(file);
    return file;
}

} // namespace core
} // namespace diffsem
} // namespace gr

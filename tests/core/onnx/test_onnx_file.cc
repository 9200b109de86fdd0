/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The reader of .onnx files against whatever a stranger may hand it, and the search for ONNX Runtime.
 */
#include "onnx_test.h"

#include <gnuradio/diffsem/core/onnx/onnx_file.h>
#include <gnuradio/diffsem/core/onnx/ort.h>
#include <gnuradio/diffsem/core/priors/prior.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <unistd.h>

using namespace gr::diffsem::core;
namespace fs = std::filesystem;

namespace {

fs::path scratch()
{
    static const fs::path folder =
        fs::temp_directory_path() / ("diffsem_test_onnx_" + std::to_string(getpid()));
    fs::create_directories(folder);
    return folder;
}

std::string slurp(const std::string& path)
{
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

std::string write(const std::string& name, const std::string& bytes)
{
    const std::string path = (scratch() / name).string();
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
}

const std::string good = data_file("priors/variance.onnx");

void header()
{
    const OnnxFile file = read_onnx_file(good);
    CHECK(file.ir_version == 8);
    CHECK(file.producer == "make_onnx_priors");
    CHECK(file.opsets.at("") == 17);
    CHECK(file.meta("diffsem.prediction") == "flow");
    CHECK(file.meta("diffsem.none", "absent") == "absent");
    CHECK(file.inputs.size() == 2 && file.outputs.size() == 2);
    CHECK(file.inputs[0].describe() == "x: float32 [batch, 2, 4]");
    CHECK(file.outputs[1].describe() == "log_variance: float32 [batch, 1, 4]");
    CHECK(file.nodes > 10 && file.parameters > 8);
    const Json meta = read_onnx_metadata(good, LoadOptions());
    CHECK(meta["diffsem.shape"].is_array() && meta["diffsem.role"].as_string() == "denoiser");
}

void bad_files()
{
    const std::string bytes = slurp(good);
    CHECK_THROWS(read_onnx_file("/nowhere/model.onnx"), "no such file");
    CHECK_THROWS(read_onnx_file(scratch().string()), "is not a file");
    CHECK_THROWS(read_onnx_file("/dev/zero"), "is not a file");
    CHECK_THROWS(read_onnx_file(write("empty.onnx", "")), "is empty");
    CHECK_THROWS(read_onnx_file(write("half.onnx", bytes.substr(0, bytes.size() / 2))),
                 "truncated");
    CHECK_THROWS(read_onnx_file(good, 100), "limit");
    CHECK_THROWS(read_onnx_file(write("text.onnx", "<!DOCTYPE html><html>...")),
                 "not an ONNX model");
    CHECK_THROWS(read_onnx_file(write("png.onnx", "\x89PNG\r\n\x1a\n....")), "not an ONNX model");
    CHECK_THROWS(read_onnx_file(write("lfs.onnx", "version https://git-lfs.github.com/spec/v1\n")),
                 "git lfs pull");
    CHECK_THROWS(read_onnx_file(data_file("priors/bad_custom_op.onnx")), "acme.radio::Demap");
    CHECK_THROWS(read_onnx_file(data_file("priors/bad_external_escape.onnx")), "outside");
    CHECK_THROWS(read_onnx_file(data_file("priors/bad_external_absolute.onnx")), "/etc/passwd");
    CHECK_THROWS(read_onnx_file(data_file("priors/bad_external_missing.onnx")), "nowhere.bin");
    CHECK_THROWS(read_onnx_file(data_file("priors/bad_huge_tensor.onnx")), "more elements");
}

void external_data()
{
    const std::string name = data_file("priors/external_inside.onnx");
    const OnnxFile file = read_onnx_file(name);
    CHECK(file.external_data);
    CHECK(OrtSession::create(file) != nullptr);
    CHECK_THROWS(read_onnx_file(name, file.bytes.size() + 8), "limit");

    // A link out of the folder is no better than a path out of it.
    const std::string copy = write("linked.onnx", file.bytes);
    fs::remove(scratch() / "external_inside.bin");
    fs::create_symlink("/etc/passwd", scratch() / "external_inside.bin");
    CHECK_THROWS(read_onnx_file(copy), "link");
}

void sidecars()
{
    const std::string path = write("side.onnx", slurp(good));
    write("side.onnx.json", "{\"diffsem.title\": \"mine\", \"diffsem.shape\": [4]}");
    const OnnxFile file = read_onnx_file(path);
    CHECK(file.meta("diffsem.title") == "mine");
    CHECK(file.sidecar == path + ".json");
    write("side.onnx.json", "{\"diffsem.shape\": [8]}");
    CHECK_THROWS(read_onnx_file(path), "the .onnx itself says '[4]'");
    write("side.onnx.json", "{\"diffsem.layuot\": \"planar\"}");
    CHECK_THROWS(read_onnx_file(path), "diffsem.layout");
    write("side.onnx.json", "{\"diffsem.shape\": ");
    CHECK_THROWS(read_onnx_file(path), "side.onnx.json");
    write("side.onnx.json", "[1]");
    CHECK_THROWS(read_onnx_file(path), "one JSON object");
}

//! Cut anywhere, or with bytes changed anywhere: an Error or a header, never anything else.
void survives_damage()
{
    const std::string bytes = slurp(good);
    std::size_t read = 0;
    const auto attempt = [&](std::string damaged) {
        try {
            parse_onnx(std::move(damaged), good, 1 << 20);
            ++read;
        } catch (const Error&) {
        }
    };
    for (std::size_t length = 0; length < bytes.size(); ++length)
        attempt(bytes.substr(0, length));
    std::mt19937 random(1);
    for (int round = 0; round < 20000; ++round) {
        std::string damaged = bytes;
        for (int k = 0; k < 1 + round % 4; ++k)
            damaged[random() % damaged.size()] = static_cast<char>(random());
        attempt(std::move(damaged));
    }
    CHECK(read > 0);
    // Nesting without end must not end the stack.
    std::string nested;
    for (int depth = 0; depth < 2000; ++depth) {
        const auto wrap = [&](char key) {
            std::string length;
            for (std::size_t n = nested.size();; n >>= 7) {
                length += static_cast<char>((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
                if (n <= 0x7f)
                    break;
            }
            nested = key + length + nested;
        };
        wrap(0x32); // attribute.g
        wrap(0x2a); // node.attribute
        wrap(0x0a); // graph.node
    }
    std::string length;
    for (std::size_t n = nested.size(); n; n >>= 7)
        length += static_cast<char>((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
    CHECK_THROWS(parse_onnx("\x08\x08\x3a" + length + nested, "deep.onnx", 1 << 20), "nested");
}

void runtime_refusals()
{
    const OnnxFile file = read_onnx_file(good);
    OrtOptions options;
    options.library = "/nowhere/libonnxruntime.so";
    CHECK_THROWS(OrtSession::create(file, options), "/nowhere/libonnxruntime.so");
    CHECK_THROWS(OrtSession::create(file, options), "pip install onnxruntime");
    options.library = "libm.so.6";
    CHECK_THROWS(OrtSession::create(file, options), "not ONNX Runtime");
    options = OrtOptions();
    options.device = "tpu";
    CHECK_THROWS(OrtSession::create(file, options), "cpu, cuda or cuda:N");
    options.device = "cuda:x";
    CHECK_THROWS(OrtSession::create(file, options), "cpu, cuda or cuda:N");
    options = OrtOptions();
    options.intra_op_threads = 0;
    CHECK_THROWS(OrtSession::create(file, options), "intra_op_threads is 0");
    setenv("DIFFSEM_ONNXRUNTIME", "/nowhere/else.so", 1);
    CHECK_THROWS(find_onnxruntime(), "DIFFSEM_ONNXRUNTIME is '/nowhere/else.so'");
    unsetenv("DIFFSEM_ONNXRUNTIME");
    const OrtLibrary found = find_onnxruntime();
    CHECK(!found.version.empty());
    CHECK(find_onnxruntime(found.path).version == found.version); // the same one, by another name
    CHECK(std::string(getenv("ORT_DISABLE_TELEMETRY")) == "1");
}

//! A few octets that ask for gigabytes, in a process of its own: the limit holds from the first model on.
void memory_is_limited()
{
    const std::string folder = data_file("../fuzz/corpus/mutants/");
    const OnnxFile small = read_onnx_file(folder + "expand.onnx");
    const OrtTensor x{"x", ElemType::float32, {1, 2, 4}};
    setenv("DIFFSEM_ONNXRUNTIME_MB", "none", 1);
    CHECK_THROWS(find_onnxruntime(), "DIFFSEM_ONNXRUNTIME_MB is 'none'");
    setenv("DIFFSEM_ONNXRUNTIME_MB", "64", 1);
    const auto session = OrtSession::create(small);
    CHECK(session->probe({x}, {"y"}, 1)[0].elements(1) == 24);
    std::string bytes = small.bytes;
    const std::size_t at = bytes.find(std::string("\3\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 16));
    bytes.replace(at, 8, std::string("\0\0\0\1\0\0\0\0", 8)); // 3 -> 2^24
    const auto large = OrtSession::create(parse_onnx(bytes, "large.onnx", 1 << 20));
    CHECK_THROWS(large->probe({x}, {"y"}, 1), "large.onnx: ONNX Runtime cannot run");
    CHECK(session->probe({x}, {"y"}, 1)[0].elements(1) == 24);
    unsetenv("DIFFSEM_ONNXRUNTIME_MB");
}

//! What would be computed while a model is loaded, where no limit of ours holds.
void folding()
{
    const std::string folder = data_file("../fuzz/corpus/mutants/");
    CHECK(!read_onnx_file(folder + "constant_of_shape.onnx").fold_constants);
    CHECK(!read_onnx_file(folder + "range.onnx").fold_constants);
    for (const char* name : {"expand", "loop", "conv", "slice_concat"}) // nothing there is constant
        CHECK_MSG(read_onnx_file(folder + name + ".onnx").fold_constants, name);
    for (const char* name : {"ofdm_chanest/diffusion", "photo_mmse/net", "known_mixture/diffusion"})
        CHECK_MSG(read_onnx_file(std::string(DIFFSEM_SOURCE_MODELS_DIR "/") + name + ".onnx")
                      .fold_constants,
                  name);
}

} // namespace

int main()
{
    memory_is_limited(); // first: the library takes its limit when it is opened
    folding();
    header();
    bad_files();
    sidecars();
    survives_damage();
    runtime_refusals();
    external_data();
    fs::remove_all(scratch());
    return report("onnx file");
}

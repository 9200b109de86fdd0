/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx/onnx_walker.h"

#include "onnx/onnx_folding.h"
#include "onnx/protobuf_reader.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

void refuse_file(const std::string& path, const std::string& what)
{
    throw Error(path + ": " + what);
}

std::string megabytes(std::uint64_t bytes)
{
    if (bytes < 100000)
        return std::to_string(bytes) + " bytes";
    return std::to_string((bytes + 50000) / 1000000) + "." +
           std::to_string((bytes + 50000) / 100000 % 10) + " MB";
}

namespace {

namespace fs = std::filesystem;

constexpr int max_depth = 32; // subgraphs within subgraphs
constexpr std::size_t max_rank = 16;
constexpr std::int64_t max_elements = std::int64_t(1) << 24;    // of one input or output
constexpr std::uint64_t max_dimension = std::uint64_t(1) << 31; // of a tensor

using Entry = std::pair<std::string, std::string>;

Entry read_entry(ProtobufReader r)
{
    Entry entry;
    while (r.next()) {
        if (r.is(1, ProtobufReader::bytes))
            entry.first = r.text();
        else if (r.is(2, ProtobufReader::bytes))
            entry.second = r.text();
    }
    return entry;
}

//! Walks a model once; collects the header and refuses what must not reach a runtime.
class Walker
{
public:
    Walker(OnnxFile& file, std::size_t max_bytes) : d_file(file), d_budget(max_bytes) {}

    void model()
    {
        ProtobufReader r(d_file.bytes.data(), d_file.bytes.size());
        while (r.next()) {
            if (r.is(1, ProtobufReader::varint))
                d_file.ir_version = r.signed_value();
            else if (r.is(2, ProtobufReader::bytes))
                d_file.producer = r.text();
            else if (r.is(7, ProtobufReader::bytes)) {
                d_has_graph = true;
                graph(r.message(), 0, true);
            } else if (r.is(8, ProtobufReader::bytes))
                opset(r.message());
            else if (r.is(14, ProtobufReader::bytes))
                d_file.metadata.insert(read_entry(r.message()));
            else if (r.is(20, ProtobufReader::bytes))
                training(r.message());
            else if (r.is(25, ProtobufReader::bytes))
                function(r.message());
        }
    }

    //! What can only be judged once all was seen (functions may follow the graph).
    void finish()
    {
        if (!d_has_graph || d_file.ir_version <= 0)
            refuse_file(
                d_file.path,
                "is not an ONNX model (no graph in it). Give an .onnx file made by an exporter");
        for (const auto& op : d_foreign_ops)
            if (!d_functions.count(op))
                refuse_file(d_file.path,
                            "needs the custom operator '" + op.first + "::" + op.second +
                                "'; libraries of custom operators are not loaded. Export with "
                                "operators of ai.onnx, ai.onnx.ml or com.microsoft only");
        auto& in = d_file.inputs;
        in.erase(
            std::remove_if(in.begin(),
                           in.end(),
                           [this](const TensorInfo& t) { return d_initialisers.count(t.name); }),
            in.end());
        if (in.empty())
            refuse_file(d_file.path, "its graph has no input. Export the model with its input");
        if (d_file.outputs.empty())
            refuse_file(d_file.path, "its graph has no output. Export the model with its output");
        for (const auto& t : in)
            bounded(t);
        for (const auto& t : d_file.outputs)
            bounded(t);
        d_file.fold_constants =
            d_functions.empty() &&
            folding_is_bounded(d_nodes, std::move(d_constants), d_file.parameters);
    }

private:
    using Op = std::pair<std::string, std::string>; // domain, type

    void deeper(int depth) const
    {
        if (depth > max_depth)
            refuse_file(d_file.path,
                        "graphs nested more than " + std::to_string(max_depth) +
                            " deep. Simplify the model before exporting it");
    }

    void opset(ProtobufReader r)
    {
        std::string domain;
        std::int64_t version = 0;
        while (r.next()) {
            if (r.is(1, ProtobufReader::bytes))
                domain = r.text();
            else if (r.is(2, ProtobufReader::varint))
                version = r.signed_value();
        }
        d_file.opsets[domain == "ai.onnx" ? "" : domain] = version;
    }

    void training(ProtobufReader r)
    {
        while (r.next())
            if (r.is(1, ProtobufReader::bytes) || r.is(2, ProtobufReader::bytes))
                graph(r.message(), 1, false);
    }

    void function(ProtobufReader r)
    {
        Op op;
        while (r.next()) {
            if (r.is(1, ProtobufReader::bytes))
                op.second = r.text();
            else if (r.is(10, ProtobufReader::bytes))
                op.first = r.text();
            else if (r.is(7, ProtobufReader::bytes))
                node(r.message(), 1);
            else if (r.is(11, ProtobufReader::bytes))
                attribute(r.message(), 1);
        }
        d_functions.insert(op);
    }

    void graph(ProtobufReader r, int depth, bool main)
    {
        deeper(depth);
        while (r.next()) {
            if (r.wire() != ProtobufReader::bytes)
                continue;
            switch (r.field()) {
            case 1:
                node(r.message(), depth);
                break;
            case 5: {
                const std::string name = tensor(r.message());
                if (main)
                    d_initialisers.insert(name);
                break;
            }
            case 11:
                if (main)
                    d_file.inputs.push_back(value(r.message()));
                break;
            case 12:
                if (main)
                    d_file.outputs.push_back(value(r.message()));
                break;
            case 15: {
                const std::string name = sparse(r.message());
                if (main)
                    d_initialisers.insert(name);
                break;
            }
            default:
                break;
            }
        }
    }

    void node(ProtobufReader r, int depth)
    {
        Op op;
        FoldNode said{"", {}, {}, r.total()};
        while (r.next()) {
            if (r.is(1, ProtobufReader::bytes))
                said.inputs.push_back(r.text());
            else if (r.is(2, ProtobufReader::bytes))
                said.outputs.push_back(r.text());
            else if (r.is(4, ProtobufReader::bytes))
                op.second = r.text();
            else if (r.is(7, ProtobufReader::bytes))
                op.first = r.text();
            else if (r.is(5, ProtobufReader::bytes))
                attribute(r.message(), depth);
        }
        ++d_file.nodes;
        said.kind = op.second;
        d_nodes.push_back(std::move(said));
        static const std::set<std::string> known = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"};
        if (!known.count(op.first))
            d_foreign_ops.insert(op);
    }

    void attribute(ProtobufReader r, int depth)
    {
        while (r.next()) {
            if (r.wire() != ProtobufReader::bytes)
                continue;
            if (r.field() == 5 || r.field() == 10)
                tensor(r.message());
            else if (r.field() == 6 || r.field() == 11)
                graph(r.message(), depth + 1, false);
            else if (r.field() == 22 || r.field() == 23)
                sparse(r.message());
        }
    }

    std::string sparse(ProtobufReader r)
    {
        std::string name; // a sparse initialiser goes by the name of its values
        while (r.next()) {
            if (r.is(1, ProtobufReader::bytes))
                name = tensor(r.message());
            else if (r.is(2, ProtobufReader::bytes))
                tensor(r.message());
        }
        return name;
    }

    std::string tensor(ProtobufReader r)
    {
        std::string name;
        std::vector<Entry> external;
        std::uint64_t elements = 1;
        bool sane = true;
        const auto dimension = [&](std::uint64_t value) {
            sane = sane && value <= max_dimension &&
                   (value == 0 || elements <= (std::uint64_t(1) << 62) / value);
            elements = sane ? elements * value : elements;
        };
        while (r.next()) {
            if (r.is(1, ProtobufReader::varint))
                dimension(r.value());
            else if (r.is(1, ProtobufReader::bytes)) {
                ProtobufReader packed = r.message();
                for (std::uint64_t value; packed.next_packed(value);)
                    dimension(value);
            } else if (r.is(8, ProtobufReader::bytes))
                name = r.text();
            else if (r.is(13, ProtobufReader::bytes))
                external.push_back(read_entry(r.message()));
        }
        const std::uint64_t held = external.empty() ? r.total() : external_bytes(name, external);
        // Four-bit types put two elements into a byte; nothing puts more.
        if (!sane || elements > 2 * held)
            refuse_file(
                d_file.path,
                "the tensor '" + name +
                    "' claims more elements than it holds: damaged, or not made by an exporter. "
                    "Get the file again");
        d_file.parameters += elements;
        d_constants[name] = elements;
        return name;
    }

    //! Checks where external data lies; returns how many bytes of it there are.
    std::uint64_t external_bytes(const std::string& name, const std::vector<Entry>& entries)
    {
        std::string location;
        for (const auto& entry : entries)
            if (entry.first == "location") {
                location = entry.second;
                external_file(name, location);
            }
        if (location.empty())
            refuse_file(d_file.path, "the weights '" + name + "' are external but name no file");
        return d_external[location];
    }

    void external_file(const std::string& name, const std::string& location)
    {
        if (d_external.count(location))
            return;
        const std::string which = "the weights '" + name + "' lie in '" + location + "', ";
        const fs::path relative(location);
        const bool climbs = std::find(relative.begin(), relative.end(), "..") != relative.end();
        if (location.empty() || location.find('\0') != std::string::npos || climbs ||
            relative.is_absolute())
            refuse_file(d_file.path,
                        which + "outside the model's folder, which is not allowed. Export with the "
                                "weights inside the .onnx file");
        std::error_code ec;
        const fs::path folder = fs::canonical(fs::absolute(d_file.path).parent_path(), ec);
        const fs::path target = ec ? fs::path() : fs::canonical(folder / relative, ec);
        if (ec || !fs::is_regular_file(target, ec))
            refuse_file(d_file.path,
                        which +
                            "which is not there. Put that file beside the .onnx, or export with "
                            "the weights inside");
        const auto mismatch =
            std::mismatch(folder.begin(), folder.end(), target.begin(), target.end());
        if (mismatch.first != folder.end())
            refuse_file(d_file.path,
                        which +
                            "a link that leads outside the model's folder, which is not allowed. "
                            "Copy the weights beside the .onnx");
        const std::uint64_t size = fs::file_size(target, ec);
        d_external_total += size;
        if (ec || d_external_total + d_file.bytes.size() > d_budget)
            refuse_file(d_file.path,
                        which + "and with it the model is larger than the limit of " +
                            megabytes(d_budget) + ". Raise max_model_bytes if you trust it");
        d_external[location] = size;
        d_file.external_data = true;
    }

    TensorInfo value(ProtobufReader r)
    {
        TensorInfo info;
        while (r.next()) {
            if (r.is(1, ProtobufReader::bytes))
                info.name = r.text();
            else if (r.is(2, ProtobufReader::bytes)) {
                ProtobufReader type = r.message();
                while (type.next())
                    if (type.is(1, ProtobufReader::bytes))
                        tensor_type(type.message(), info);
            }
        }
        return info;
    }

    void tensor_type(ProtobufReader r, TensorInfo& info)
    {
        while (r.next()) {
            if (r.is(1, ProtobufReader::varint))
                info.type = static_cast<ElemType>(std::min<std::uint64_t>(r.value(), 1000));
            else if (r.is(2, ProtobufReader::bytes)) {
                info.has_shape = true;
                ProtobufReader shape = r.message();
                while (shape.next())
                    if (shape.is(1, ProtobufReader::bytes))
                        dim(shape.message(), info);
            }
        }
    }

    void dim(ProtobufReader r, TensorInfo& info)
    {
        std::int64_t value = TensorInfo::dynamic;
        std::string symbol;
        while (r.next()) {
            if (r.is(1, ProtobufReader::varint))
                value = r.signed_value();
            else if (r.is(2, ProtobufReader::bytes))
                symbol = r.text();
        }
        if (info.shape.size() == max_rank)
            refuse_file(d_file.path,
                        "'" + info.name + "' has more than " + std::to_string(max_rank) +
                            " dimensions");
        // Some exporters write 0 or -1 for "any".
        info.shape.push_back(value > 0 ? value : TensorInfo::dynamic);
        info.dims.push_back(value > 0 ? std::string() : symbol);
    }

    void bounded(const TensorInfo& t) const
    {
        std::int64_t elements = 1;
        for (const std::int64_t d : t.shape) {
            const std::int64_t factor = std::max<std::int64_t>(d, 1);
            if (factor > max_elements / elements)
                refuse_file(
                    d_file.path,
                    "'" + t.describe() + "' has more than " + std::to_string(max_elements) +
                        " elements, which no block can carry. Export it with smaller items");
            elements *= factor;
        }
    }

    OnnxFile& d_file;
    std::uint64_t d_budget;
    bool d_has_graph = false;
    std::set<std::string> d_initialisers;
    std::vector<FoldNode> d_nodes;
    std::map<std::string, std::uint64_t> d_constants; // name -> elements
    std::set<Op> d_foreign_ops, d_functions;
    std::map<std::string, std::uint64_t> d_external; // location -> size
    std::uint64_t d_external_total = 0;
};

} // namespace

void walk_onnx(OnnxFile& file, std::size_t max_bytes)
{
    Walker walker(file, max_bytes);
    walker.model();
    walker.finish();
}

} // namespace core
} // namespace diffsem
} // namespace gr

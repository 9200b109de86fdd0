/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "priors/photo_net.h"

#include "onnx/onnx_sidecar.h"

#include <gnuradio/diffsem/core/base/json.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

std::size_t rounded_up(std::size_t n, std::size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

void check_tensor(const OnnxFile& file,
                  const std::vector<TensorInfo>& all,
                  std::size_t index,
                  const char* name,
                  const std::vector<std::int64_t>& shape)
{
    bool fits = index < all.size() && all[index].name == name &&
                all[index].type == ElemType::float32 && all[index].shape.size() == shape.size();
    for (std::size_t i = 0; fits && i < shape.size(); i++)
        fits = all[index].shape[i] == shape[i];
    if (!fits)
        throw Error(
            file.path + ": " +
            (index < all.size() ? "'" + all[index].describe() + "'" : std::string("nothing")) +
            " stands where an image_denoiser has float32 '" + name +
            "' with dynamic batch, rows and columns: export it as docs/model_contract.md, "
            "\"Photographs\", says");
}

double positive(const OnnxFile& file, const char* key, double most)
{
    const Json json = meta_json(file, key);
    if (!json.is_number() || !(json.as_double() > 0) || json.as_double() > most)
        throw Error(file.path + ": " + key + " is '" + file.meta(key) + "'. Give a number up to " +
                    std::to_string(int(most)));
    return json.as_double();
}

std::vector<OrtTensor> inputs(std::int64_t rows, std::int64_t columns)
{
    return {{"x", ElemType::float32, {1, 3, rows, columns}},
            {"level", ElemType::float32, {1, std::int64_t(2 * photo_bands)}}};
}

} // namespace

PhotoNet::PhotoNet(const std::string& path, const LoadOptions& options)
{
    const OnnxFile file = read_onnx_file(path, options.max_model_bytes);
    check_contract(file, true);
    if (file.meta("diffsem.role") != "image_denoiser")
        throw Error(path + ": diffsem.role is '" + file.meta("diffsem.role") +
                    "', a scheme of photographs needs an 'image_denoiser'");
    d_multiple = std::size_t(positive(file, "diffsem.multiple", 256));
    d_scale = positive(file, "diffsem.scale", 1000);
    const Json edges = meta_json(file, "diffsem.band_edges");
    for (std::size_t i = 0; edges.is_array() && i < edges.size(); i++)
        if (edges.items()[i].is_number())
            d_edges.push_back(edges.items()[i].as_double());
    if (d_edges.size() != photo_bands / 2 - 1 || !std::is_sorted(d_edges.begin(), d_edges.end()))
        throw Error(path + ": diffsem.band_edges is '" + file.meta("diffsem.band_edges") +
                    "'. Give four rising numbers");
    constexpr auto any = TensorInfo::dynamic;
    check_tensor(file, file.inputs, 0, "x", {any, 3, any, any});
    check_tensor(file, file.inputs, 1, "level", {any, std::int64_t(2 * photo_bands)});
    if (file.inputs.size() != 2 || file.outputs.size() != 2 || file.outputs[0].name != "mean" ||
        file.outputs[1].name != "log_variance")
        throw Error(path +
                    ": an image_denoiser has the inputs x and level, and the outputs mean and "
                    "log_variance");
    OrtOptions ort(options);
    ort.run_limit *= 10; // a run is a whole picture
    d_session = OrtSession::create(file, ort);
    const std::int64_t side = std::int64_t(rounded_up(16, d_multiple));
    const auto found = d_session->probe(inputs(side, side), {"mean", "log_variance"}, 1);
    if (found[0].elements(1) != std::size_t(3 * side * side) ||
        found[1].elements(1) != photo_bands || found[0].type != ElemType::float32 ||
        found[1].type != ElemType::float32)
        throw Error(path + ": its outputs at " + std::to_string(side) + " x " +
                    std::to_string(side) +
                    " pixels are not float32 [1, 3, rows, columns] and [1, 10]");
}

std::size_t PhotoNet::band(double squared_frequency) const
{
    const double f = std::sqrt(squared_frequency);
    std::size_t band = 0;
    while (band < d_edges.size() && f >= d_edges[band])
        band++;
    return band;
}

PhotoNet::Run::Run(const PhotoNet& net, std::size_t rows, std::size_t columns)
    : d_rows(rows),
      d_columns(columns),
      d_wide_rows(rounded_up(std::max<std::size_t>(rows, 16), net.d_multiple)),
      d_wide_columns(rounded_up(std::max<std::size_t>(columns, 16), net.d_multiple)),
      d_run(net.d_session,
            inputs(std::int64_t(d_wide_rows), std::int64_t(d_wide_columns)),
            {{"mean",
              ElemType::float32,
              {1, 3, std::int64_t(d_wide_rows), std::int64_t(d_wide_columns)}},
             {"log_variance", ElemType::float32, {1, std::int64_t(photo_bands)}}},
            1)
{
}

// The picture is continued by its last row and column, and the answer cut.
void PhotoNet::Run::operator()(float* image,
                               const std::array<float, 2 * photo_bands>& level,
                               std::array<float, photo_bands>& log_variance)
{
    auto* in = d_run.input_as<float>(0);
    for (std::size_t c = 0; c < 3; c++)
        for (std::size_t i = 0; i < d_wide_rows; i++) {
            const float* from = image + (c * d_rows + std::min(i, d_rows - 1)) * d_columns;
            float* to = in + (c * d_wide_rows + i) * d_wide_columns;
            std::copy(from, from + d_columns, to);
            std::fill(to + d_columns, to + d_wide_columns, from[d_columns - 1]);
        }
    std::copy(level.begin(), level.end(), d_run.input_as<float>(1));
    d_run.run(1);
    const auto* out = d_run.output_as<float>(0);
    for (std::size_t c = 0; c < 3; c++)
        for (std::size_t i = 0; i < d_rows; i++) {
            const float* from = out + (c * d_wide_rows + i) * d_wide_columns;
            std::copy(from, from + d_columns, image + (c * d_rows + i) * d_columns);
        }
    const auto* v = d_run.output_as<float>(1);
    std::copy(v, v + photo_bands, log_variance.begin());
}

} // namespace core
} // namespace diffsem
} // namespace gr

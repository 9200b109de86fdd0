/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "priors/picture_prior.h"

#include <gnuradio/diffsem/core/onnx/ort.h>

#include "onnx/onnx_sidecar.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t bands = 10; // five of luma, five of both other colours
constexpr float least_log_variance = -16, most_log_variance = 8; // a net's word is held within

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
            {"level", ElemType::float32, {1, std::int64_t(2 * bands)}}};
}

// What the network is bound to, for one size.
class Pass
{
public:
    Pass(const std::shared_ptr<const OrtSession>& session,
         std::size_t rows,
         std::size_t columns,
         std::size_t multiple,
         const std::vector<double>& edges)
        : d_rows(rows),
          d_columns(columns),
          d_wide_rows(rounded_up(std::max<std::size_t>(rows, 16), multiple)),
          d_wide_columns(rounded_up(std::max<std::size_t>(columns, 16), multiple)),
          d_band(rows * columns),
          d_run(session,
                inputs(std::int64_t(d_wide_rows), std::int64_t(d_wide_columns)),
                {{"mean",
                  ElemType::float32,
                  {1, 3, std::int64_t(d_wide_rows), std::int64_t(d_wide_columns)}},
                 {"log_variance", ElemType::float32, {1, std::int64_t(bands)}}},
                1)
    {
        for (std::size_t i = 0; i < rows; i++)
            for (std::size_t j = 0; j < columns; j++) {
                const double f = std::sqrt(std::pow(double(i) / double(rows), 2) +
                                           std::pow(double(j) / double(columns), 2));
                std::size_t band = 0;
                while (band < edges.size() && f >= edges[band])
                    band++;
                d_band[i * columns + j] = std::uint8_t(band);
            }
    }
    bool fits(std::size_t rows, std::size_t columns) const
    {
        return rows == d_rows && columns == d_columns;
    }
    std::size_t band(std::size_t k) const
    {
        const std::size_t plane = d_rows * d_columns;
        return d_band[k % plane] + (k < plane ? 0 : bands / 2);
    }

    // image [3, rows, columns] and level in units of the net; mean replaces image. The picture is continued by its
    // last row and column, and the answer cut.
    void operator()(float* image,
                    const std::array<float, 2 * bands>& level,
                    std::array<float, bands>& log_variance)
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
        std::copy(v, v + bands, log_variance.begin());
    }

private:
    std::size_t d_rows, d_columns, d_wide_rows, d_wide_columns;
    std::vector<std::uint8_t> d_band; // 0..4 of each coefficient of a plane
    OrtRun d_run;
};

struct PictureWorkspace : public Workspace {
    std::unique_ptr<Pass> pass; // of the last size
};

class PicturePrior : public Prior
{
public:
    PicturePrior(const OnnxFile& file, const LoadOptions& options)
    {
        check_contract(file, true);
        d_multiple = std::size_t(positive(file, "diffsem.multiple", 256));
        d_scale = float(positive(file, "diffsem.scale", 1000));
        const Json edges = meta_json(file, "diffsem.band_edges");
        for (std::size_t i = 0; edges.is_array() && i < edges.size(); i++)
            if (edges.items()[i].is_number())
                d_edges.push_back(edges.items()[i].as_double());
        if (d_edges.size() != bands / 2 - 1 || !std::is_sorted(d_edges.begin(), d_edges.end()))
            throw Error(file.path + ": diffsem.band_edges is '" + file.meta("diffsem.band_edges") +
                        "'. Give four rising numbers");
        constexpr auto any = TensorInfo::dynamic;
        check_tensor(file, file.inputs, 0, "x", {any, 3, any, any});
        check_tensor(file, file.inputs, 1, "level", {any, std::int64_t(2 * bands)});
        if (file.inputs.size() != 2 || file.outputs.size() != 2 || file.outputs[0].name != "mean" ||
            file.outputs[1].name != "log_variance")
            throw Error(file.path +
                        ": an image_denoiser has the inputs x and level, and the outputs mean and "
                        "log_variance");
        OrtOptions ort(options);
        ort.run_limit *= 10; // a run is a whole picture
        d_session = OrtSession::create(file, ort);
        const std::int64_t side = std::int64_t(rounded_up(16, d_multiple));
        const auto found = d_session->probe(inputs(side, side), {"mean", "log_variance"}, 1);
        if (found[0].elements(1) != std::size_t(3 * side * side) || found[1].elements(1) != bands ||
            found[0].type != ElemType::float32 || found[1].type != ElemType::float32)
            throw Error(file.path + ": its outputs at " + std::to_string(side) + " x " +
                        std::to_string(side) +
                        " pixels are not float32 [1, 3, rows, columns] and [1, 10]");
        d_traits.learned = true;
        d_traits.domain = Domain::real;
        d_traits.shape = {3, -1, -1};
        d_traits.tensor_sigma = d_traits.variance = true;
    }

    const char* type() const override { return "onnx"; }
    const Traits& traits() const override { return d_traits; }
    std::unique_ptr<Workspace> make_workspace(std::size_t) const override
    {
        return std::make_unique<PictureWorkspace>();
    }

    void
    denoise(const Tensor& x, const Sigma& sigma, Workspace& workspace, Estimate& out) const override
    {
        auto& w = static_cast<PictureWorkspace&>(workspace);
        const std::size_t rows = std::size_t(x.shape()[1]), columns = std::size_t(x.shape()[2]);
        const Unknown* spectrum = w.context ? w.context->find("spectrum") : nullptr;
        if (!spectrum || spectrum->x.elements() != x.elements())
            throw std::runtime_error("the picture came without its spectrum");
        if (!w.pass || !w.pass->fits(rows, columns)) {
            w.pass.reset(); // its memory first
            w.pass = std::make_unique<Pass>(d_session, rows, columns, d_multiple, d_edges);
        }
        out.set_batch(x.batch());
        out.has_variance = true;
        for (std::size_t b = 0; b < x.batch(); b++)
            one(x.item(b), sigma, b, spectrum->x.item(0), *w.pass, out);
    }

private:
    void one(const float* x,
             const Sigma& sigma,
             std::size_t b,
             const float* spectrum,
             Pass& pass,
             Estimate& out) const
    {
        const std::size_t n = out.mean.elements();
        std::array<double, 2 * bands> sum{};
        std::array<double, bands> count{};
        for (std::size_t k = 0; k < n; k++) {
            const std::size_t band = pass.band(k);
            sum[band] += double(sigma.at(b, k)) * sigma.at(b, k);
            sum[bands + band] += spectrum[k];
            count[band] += 1;
        }
        std::array<float, 2 * bands> level;
        for (std::size_t i = 0; i < 2 * bands; i++)
            level[i] = d_scale * float(std::sqrt(sum[i] / std::max(count[i % bands], 1.0)));
        float* mean = out.mean.item(b);
        for (std::size_t i = 0; i < n; i++)
            mean[i] = d_scale * x[i];
        std::array<float, bands> log_variance, tau;
        pass(mean, level, log_variance);
        for (std::size_t i = 0; i < bands; i++)
            tau[i] = std::exp(std::min(std::max(log_variance[i], least_log_variance),
                                       most_log_variance)) /
                     (d_scale * d_scale);
        for (std::size_t k = 0; k < n; k++) {
            mean[k] /= d_scale;
            out.variance[b * n + k] = tau[pass.band(k)];
        }
    }

    Traits d_traits;
    std::shared_ptr<const OrtSession> d_session;
    std::size_t d_multiple = 1;
    float d_scale = 1;
    std::vector<double> d_edges;
};

} // namespace

std::shared_ptr<const Prior> make_picture_prior(const OnnxFile& file, const LoadOptions& options)
{
    return std::make_shared<PicturePrior>(file, options);
}

} // namespace core
} // namespace diffsem
} // namespace gr

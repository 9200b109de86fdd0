/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "priors/picture_prior.h"

#include <gnuradio/diffsem/core/onnx/ort.h>

#include "onnx/onnx_sidecar.h"
#include "operators/dct.h"
#include "priors/picture_bands.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t most_rings = 32, most_sectors = 16, most_window = 65;
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

// A whole number that need not be there.
std::size_t whole(const OnnxFile& file,
                  const char* key,
                  std::size_t otherwise,
                  std::size_t least,
                  std::size_t most)
{
    if (file.meta(key).empty())
        return otherwise;
    const Json json = meta_json(file, key);
    const double value = json.is_number() ? json.as_double() : -1;
    if (!(value >= double(least)) || value > double(most) || value != std::floor(value))
        throw Error(file.path + ": " + key + " is '" + file.meta(key) +
                    "'. Give a whole number in " + std::to_string(least) + " .. " +
                    std::to_string(most));
    return std::size_t(value);
}

BandShape shape_of(const OnnxFile& file)
{
    BandShape shape;
    const Json edges = meta_json(file, "diffsem.band_edges");
    for (std::size_t i = 0; edges.is_array() && i < edges.size(); i++)
        if (edges.items()[i].is_number())
            shape.edges.push_back(edges.items()[i].as_double());
    if (shape.edges.empty() || shape.edges.size() >= most_rings ||
        !std::is_sorted(shape.edges.begin(), shape.edges.end()))
        throw Error(file.path + ": diffsem.band_edges is '" + file.meta("diffsem.band_edges") +
                    "'. Give up to " + std::to_string(most_rings - 1) + " rising numbers");
    shape.sectors = whole(file, "diffsem.band_sectors", 1, 1, most_sectors);
    return shape;
}

std::vector<OrtTensor> inputs(std::int64_t rows, std::int64_t columns, std::size_t bands)
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
         std::size_t bands)
        : d_rows(rows),
          d_columns(columns),
          d_wide_rows(rounded_up(std::max<std::size_t>(rows, 16), multiple)),
          d_wide_columns(rounded_up(std::max<std::size_t>(columns, 16), multiple)),
          d_run(session,
                inputs(std::int64_t(d_wide_rows), std::int64_t(d_wide_columns), bands),
                {{"mean",
                  ElemType::float32,
                  {1, 3, std::int64_t(d_wide_rows), std::int64_t(d_wide_columns)}},
                 {"log_variance", ElemType::float32, {1, std::int64_t(bands)}}},
                1)
    {
    }
    bool fits(std::size_t rows, std::size_t columns) const
    {
        return rows == d_rows && columns == d_columns;
    }
    // image [3, rows, columns] and level in units of the net; mean replaces image. The picture is continued by its
    // last row and column, and the answer cut.
    void operator()(float* image, const std::vector<float>& level, std::vector<float>& log_variance)
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
        log_variance.assign(v, v + level.size() / 2);
    }

private:
    std::size_t d_rows, d_columns, d_wide_rows, d_wide_columns;
    OrtRun d_run;
};

// What belongs to one size of picture.
struct Sized {
    Pass pass;
    PictureBands bands;
    PhotoTransform transform;
};

struct PictureWorkspace : public Workspace {
    std::unique_ptr<Sized> sized; // of the last size
    std::vector<float> level, log_variance, error, far, change;
};

class PicturePrior : public Prior
{
public:
    PicturePrior(const OnnxFile& file, const LoadOptions& options)
    {
        check_contract(file, true);
        d_multiple = std::size_t(positive(file, "diffsem.multiple", 256));
        d_scale = float(positive(file, "diffsem.scale", 1000));
        d_shape = shape_of(file);
        d_window = whole(file, "diffsem.window", 0, 0, most_window);
        const std::size_t bands = d_shape.count();
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
        const auto found = d_session->probe(inputs(side, side, bands), {"mean", "log_variance"}, 1);
        if (found[0].elements(1) != std::size_t(3 * side * side) || found[1].elements(1) != bands ||
            found[0].type != ElemType::float32 || found[1].type != ElemType::float32)
            throw Error(file.path + ": its outputs at " + std::to_string(side) + " x " +
                        std::to_string(side) +
                        " pixels are not float32 [1, 3, rows, columns] and [1, " +
                        std::to_string(bands) + "]");
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
        if (!w.sized || !w.sized->pass.fits(rows, columns)) {
            w.sized.reset(); // its memory first
            w.sized.reset(new Sized{Pass(d_session, rows, columns, d_multiple, d_shape.count()),
                                    PictureBands(d_shape, rows, columns),
                                    PhotoTransform(rows, columns)});
        }
        out.set_batch(x.batch());
        out.has_variance = true;
        for (std::size_t b = 0; b < x.batch(); b++)
            one(x.item(b), sigma, b, spectrum->x.item(0), w, out);
    }

private:
    void one(const float* x,
             const Sigma& sigma,
             std::size_t b,
             const float* spectrum,
             PictureWorkspace& w,
             Estimate& out) const
    {
        const std::size_t n = out.mean.elements(), bands = d_shape.count();
        const PictureBands& of = w.sized->bands;
        w.error.resize(n);
        for (std::size_t k = 0; k < n; k++)
            w.error[k] = float(double(sigma.at(b, k)) * sigma.at(b, k));
        w.level.clear();
        for (const float* variance : {static_cast<const float*>(w.error.data()), spectrum})
            for (const double mean : of.means(variance))
                w.level.push_back(d_scale * float(std::sqrt(mean)));
        float* mean = out.mean.item(b);
        for (std::size_t i = 0; i < n; i++)
            mean[i] = d_scale * x[i];
        w.sized->pass(mean, w.level, w.log_variance);
        std::vector<double> tau(bands);
        for (std::size_t i = 0; i < bands; i++)
            tau[i] = std::exp(std::min(std::max(w.log_variance[i], least_log_variance),
                                       most_log_variance)) /
                     (d_scale * d_scale);
        for (std::size_t k = 0; k < n; k++) {
            mean[k] /= d_scale;
            out.variance[b * n + k] = float(tau[of.band(k)]);
        }
        if (d_window)
            complete(x, tau, w, mean, &out.variance[b * n]);
    }

    // For each coefficient what the network said for its band.
    void complete(const float* x,
                  const std::vector<double>& tau,
                  PictureWorkspace& w,
                  float* mean,
                  float* variance) const
    {
        const std::size_t n = w.error.size();
        w.far.resize(n);
        w.change.resize(n);
        w.sized->bands.complete(w.error.data(), tau, d_window, w.far.data(), variance);
        for (std::size_t i = 0; i < n; i++)
            w.change[i] = mean[i] - x[i];
        w.sized->transform.forward(w.change.data(), w.change.data());
        for (std::size_t k = 0; k < n; k++)
            w.change[k] *= w.far[k];
        w.sized->transform.inverse(w.change.data(), w.change.data());
        for (std::size_t i = 0; i < n; i++)
            mean[i] = x[i] + w.change[i];
    }

    Traits d_traits;
    std::shared_ptr<const OrtSession> d_session;
    std::size_t d_multiple = 1;
    float d_scale = 1;
    BandShape d_shape;
    std::size_t d_window = 0; // 0: the answer stands as it is
};

} // namespace

std::shared_ptr<const Prior> make_picture_prior(const OnnxFile& file, const LoadOptions& options)
{
    return std::make_shared<PicturePrior>(file, options);
}

} // namespace core
} // namespace diffsem
} // namespace gr

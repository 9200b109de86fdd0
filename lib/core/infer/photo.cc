/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/infer/photo.h>

#include <gnuradio/diffsem/core/operators/operator.h>

#include "infer/photo_draw.h"
#include "priors/photo_net.h"
#include "scheme/scheme_impl.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t max_photo_pixels = std::size_t(1) << 23;
constexpr float least_log_variance = -16, most_log_variance = 8; // a net's word is held within

double seconds_since(std::chrono::steady_clock::time_point began)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

std::string size_text(std::size_t rows, std::size_t columns)
{
    return std::to_string(rows) + " x " + std::to_string(columns);
}

} // namespace

/*
 * The state is a picture x and the variance tau of each of its coefficients. A proximal step of the operator
 * weighs it against the measurement: with a Gaussian prior and one step this is linear MMSE. Then the net
 * completes the picture, told how large the error in each band is, and says how large it left it: half-quadratic
 * splitting (K. Zhang et al., IEEE TPAMI 2022) with measured levels.
 */
class PhotoEstimator::Impl
{
public:
    Impl(std::shared_ptr<const Scheme> scheme, int steps)
        : d_scheme(std::move(scheme)),
          d_net(d_scheme->impl().photo_net.get()),
          d_plan(d_scheme->impl().photo_plan)
    {
        const SchemeInfo& info = d_scheme->info();
        if (!info.image)
            throw Error(
                "scheme '" + info.spec +
                "' is no scheme of photographs: give linear, photo_mmse, photo_posterior, or "
                "another package of the domain 'image'");
        set_steps(steps);
    }

    void set_steps(int steps)
    {
        if (steps > 1000)
            throw Error("steps = " + std::to_string(steps) + " must be at most 1000");
        const bool given = steps > 0 && d_plan.final; // a regression has one evaluation
        d_plan.steps = !d_net ? 0 : given ? steps : d_scheme->impl().photo_plan.steps;
    }
    int steps() const { return d_plan.steps; }

    PhotoInfo run(std::size_t rows,
                  std::size_t columns,
                  const float* y,
                  const float* gains,
                  const float* noise_var,
                  const float* spectrum,
                  float* image,
                  float* variance)
    {
        const auto began = std::chrono::steady_clock::now();
        resize(rows, columns);
        check(y, gains, noise_var, spectrum);
        d_op = make_transform_operator(rows, columns, std::vector<float>(gains, gains + d_n));
        std::copy(y, y + d_n, d_y.data());
        for (std::size_t k = 0; k < d_n; k++)
            d_noise.item(0)[k] = std::sqrt(noise_var[k]);
        std::fill(d_x.data(), d_x.data() + d_n, 0.0f);
        std::copy(spectrum, spectrum + d_n, d_tau.begin());
        proximal(gains);
        if (variance)
            std::copy(d_error.begin(), d_error.end(), variance);
        PhotoInfo info;
        if (d_plan.steps == 0)
            draw(gains);
        std::copy(d_x.data(), d_x.data() + d_n, image);
        if (d_plan.steps > 0) {
            const auto net_began = std::chrono::steady_clock::now();
            complete(gains, spectrum, image, info);
            info.net_seconds = seconds_since(net_began);
        }
        for (std::size_t i = 0; i < d_n; i++)
            image[i] = std::min(std::max(image[i] + 0.5f, 0.0f), 1.0f);
        info.seconds = seconds_since(began);
        return info;
    }

    std::shared_ptr<const Scheme> d_scheme;

private:
    // The linear answer stays in `image` when the net does not come to one.
    void complete(const float* gains, const float* spectrum, float* image, PhotoInfo& info)
    {
        try {
            for (int i = 0; i < d_plan.steps; i++) {
                evaluate(spectrum);
                info.evaluations++;
                if (i + 1 == d_plan.steps && !d_plan.final)
                    break;
                if (i == 0) // the net's answer has already seen the measurement
                    for (std::size_t k = 0; k < d_n; k++)
                        d_noise.item(0)[k] *= std::sqrt(d_plan.inflation);
                proximal(gains);
            }
            draw(gains);
        } catch (const std::exception&) {
            info.linear = true;
            info.reason = "inference";
            return;
        }
        if (!std::all_of(d_x.data(), d_x.data() + d_n, [](float v) { return std::isfinite(v); })) {
            info.linear = true;
            info.reason = "not finite";
            return;
        }
        std::copy(d_x.data(), d_x.data() + d_n, image);
    }

    void resize(std::size_t rows, std::size_t columns)
    {
        if (rows == d_rows && columns == d_columns)
            return;
        if (rows < 1 || columns < 1 || rows > max_photo_side || columns > max_photo_side ||
            rows * columns > max_photo_pixels)
            throw Error("a picture of " + size_text(rows, columns) +
                        " pixels: sides must lie in 1 .. " + std::to_string(max_photo_side) +
                        ", with at most " + std::to_string(max_photo_pixels) + " pixels in all");
        d_run.reset();
        d_rows = d_columns = 0; // until all memory is there
        d_n = 3 * rows * columns;
        const std::vector<std::int64_t> shape = {3, std::int64_t(rows), std::int64_t(columns)};
        d_x = Tensor(Domain::real, shape, 1);
        d_y = Tensor(Domain::real, shape, 1);
        d_noise = Sigma(1, d_n);
        d_level = Sigma(1, d_n);
        d_tau.resize(d_n);
        d_error.resize(d_n);
        d_scratch.resize((d_n + 3) / 4);
        d_band.resize(rows * columns);
        if (d_net) {
            for (std::size_t i = 0; i < rows; i++)
                for (std::size_t j = 0; j < columns; j++)
                    d_band[i * columns + j] =
                        std::uint8_t(d_net->band(std::pow(double(i) / double(rows), 2) +
                                                 std::pow(double(j) / double(columns), 2)));
            d_run = std::make_unique<PhotoNet::Run>(*d_net, rows, columns);
        }
        d_rows = rows;
        d_columns = columns;
    }

    void check(const float* y, const float* gains, const float* noise_var, const float* spectrum)
    {
        for (std::size_t k = 0; k < d_n; k++) {
            if (!(spectrum[k] >= 0) || !std::isfinite(spectrum[k]))
                throw Error("spectrum has values that are not finite or negative: give E x^2 of "
                            "each coefficient");
            const bool measured = gains[k] != 0 && noise_var[k] < Sigma::unobserved();
            if (!(noise_var[k] >= 0) || (measured && !std::isfinite(y[k])))
                throw Error(
                    "y or noise_var has values that are not finite or negative: mark what is "
                    "lost by an infinite noise_var");
        }
    }

    void proximal(const float* gains)
    {
        for (std::size_t k = 0; k < d_n; k++) {
            const float tau = d_tau[k], g = gains[k], n = d_noise.item(0)[k];
            d_level.item(0)[k] = std::sqrt(tau);
            const bool measured = g != 0 && n < Sigma::unobserved();
            const double nv = double(n) * n, power = double(g) * g * tau;
            d_error[k] = measured && power > 0 ? float(tau * nv / (power + nv)) : tau;
        }
        d_op->proximal(d_y, d_noise, d_x, d_level, d_x, d_scratch.data());
    }

    // From the posterior's mean towards a draw, by the variances that the last proximal step left.
    void draw(const float* gains)
    {
        if (d_plan.realism <= 0)
            return;
        std::vector<std::uint8_t> seen(d_rows * d_columns);
        for (std::size_t k = 0; k < seen.size(); k++)
            seen[k] = gains[k] != 0 && d_noise.item(0)[k] < Sigma::unobserved();
        add_realism({d_rows, d_columns, d_error.data(), d_tau.data(), seen},
                    d_plan.realism,
                    d_scheme->impl().seed,
                    std::uint32_t(d_plan.steps + 1),
                    d_x.data());
    }

    std::size_t band(std::size_t k) const
    {
        const std::size_t plane = d_rows * d_columns;
        return d_band[k % plane] + (k < plane ? 0 : photo_bands / 2);
    }

    void evaluate(const float* spectrum)
    {
        std::array<double, 2 * photo_bands> sum{};
        std::array<double, photo_bands> count{};
        for (std::size_t k = 0; k < d_n; k++) {
            const std::size_t b = band(k);
            sum[b] += d_error[k];
            sum[photo_bands + b] += spectrum[k];
            count[b] += 1;
        }
        const float scale = float(d_net->scale());
        std::array<float, 2 * photo_bands> level;
        for (std::size_t b = 0; b < 2 * photo_bands; b++)
            level[b] = scale * float(std::sqrt(sum[b] / std::max(count[b % photo_bands], 1.0)));
        for (std::size_t i = 0; i < d_n; i++)
            d_x.data()[i] *= scale;
        std::array<float, photo_bands> log_variance, tau;
        (*d_run)(d_x.data(), level, log_variance);
        for (std::size_t b = 0; b < photo_bands; b++)
            tau[b] = std::exp(std::min(std::max(log_variance[b], least_log_variance),
                                       most_log_variance)) /
                     (scale * scale);
        for (std::size_t k = 0; k < d_n; k++) {
            d_x.data()[k] /= scale;
            d_tau[k] = tau[band(k)];
        }
    }

    const PhotoNet* d_net;
    PhotoPlan d_plan;
    std::size_t d_rows = 0, d_columns = 0, d_n = 0;
    std::shared_ptr<const Operator> d_op;
    std::unique_ptr<PhotoNet::Run> d_run;
    Tensor d_x, d_y;
    Sigma d_noise, d_level; // standard deviations of y and of the state
    std::vector<float> d_tau, d_error;
    std::vector<std::uint8_t> d_band;
    std::vector<std::complex<double>> d_scratch;
};

PhotoEstimator::PhotoEstimator(std::shared_ptr<const Scheme> scheme, int steps)
{
    if (!scheme)
        throw Error("no scheme was given");
    d = std::make_unique<Impl>(std::move(scheme), steps);
}
PhotoEstimator::~PhotoEstimator() = default;

PhotoInfo PhotoEstimator::run(std::size_t rows,
                              std::size_t columns,
                              const float* y,
                              const float* gains,
                              const float* noise_var,
                              const float* spectrum,
                              float* image,
                              float* variance)
{
    return d->run(rows, columns, y, gains, noise_var, spectrum, image, variance);
}

void PhotoEstimator::set_steps(int steps)
{
    d->set_steps(steps);
}

int PhotoEstimator::steps() const
{
    return d->steps();
}

const Scheme& PhotoEstimator::scheme() const
{
    return *d->d_scheme;
}

} // namespace core
} // namespace diffsem
} // namespace gr

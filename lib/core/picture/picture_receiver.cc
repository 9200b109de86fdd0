/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/picture/picture_receiver.h>

#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

Picture receive_picture(PhotoEstimator& estimator,
                        const std::uint8_t* digital,
                        std::size_t octets,
                        const std::complex<float>* symbols,
                        const float* noise_var,
                        std::size_t n_symbols)
{
    const PicturePlan plan = PicturePlan::parse(digital, octets);
    if (plan.n_symbols != n_symbols)
        throw Error("its digital part speaks of " + std::to_string(plan.n_symbols) +
                    " symbols, there are " + std::to_string(n_symbols));
    const PictureMeasurement m = plan.measurement(symbols, noise_var);
    const std::vector<double> variances = plan.variances();
    const std::vector<float> spectrum(variances.begin(), variances.end());
    const std::size_t plane = plan.rows * plan.columns;
    std::vector<float> image(3 * plane);
    Picture out;
    out.rows = plan.rows;
    out.columns = plan.columns;
    out.scheme_hash = plan.scheme_hash;
    out.hash_bits = plan.block_rows == 1 ? 8 : 16;
    out.info = estimator.run(plan.rows,
                             plan.columns,
                             m.y.data(),
                             m.gains.data(),
                             m.noise_var.data(),
                             spectrum.data(),
                             image.data(),
                             nullptr);
    out.pixels.resize(3 * plane);
    for (std::size_t i = 0; i < plane; i++)
        for (std::size_t c = 0; c < 3; c++) // to even, as NumPy rounds
            out.pixels[3 * i + c] = std::uint8_t(std::nearbyint(image[c * plane + i] * 255));
    return out;
}

} // namespace core
} // namespace diffsem
} // namespace gr

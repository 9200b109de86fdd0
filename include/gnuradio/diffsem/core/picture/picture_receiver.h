/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Octets, symbols and noise variances -> photograph, in one call: plan, measurement and inference.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/photo.h>
#include <gnuradio/diffsem/core/picture/picture_plan.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! A received photograph.
struct Picture {
    std::size_t rows = 0, columns = 0;
    std::vector<std::uint8_t> pixels; //!< [rows, columns, 3], RGB
    int scheme_hash = 0;              //!< of the scheme that the sender asked for, 0: none
    int hash_bits = 0;                //!< how many bits of it were sent
    PhotoInfo info;
};

/*!
 * \param estimator is run
 * \param digital   octets of the photograph's digital part
 * \param symbols   analogue ones, as many as the plan in `digital` says
 * \param noise_var of each symbol; infinite or NaN: lost
 * Throws Error if the octets are no photograph's or the number of symbols is not theirs.
 */
Picture receive_picture(PhotoEstimator& estimator,
                        const std::uint8_t* digital,
                        std::size_t octets,
                        const std::complex<float>* symbols,
                        const float* noise_var,
                        std::size_t n_symbols);

} // namespace core
} // namespace diffsem
} // namespace gr

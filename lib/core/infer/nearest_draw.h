/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a photograph's posterior mean to a draw: docs/model_contract.md, "realism". Experimental.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! What is known of a posterior; arrays are [3, rows, columns] of coefficients, luma first.
struct PhotoPosterior {
    std::size_t rows, columns;
    const float* error; //!< variance
    const float* prior; //!< variance before the measurement, in the last step
    const std::vector<std::uint8_t>&
        seen; //!< [rows, columns], whether a coefficient of luma was measured
};

/*!
 * Adds realism times what the draw nearest to the mean has beyond it. A draw has the energy P of the mean and that of
 * its error, E. Nearest is a gain alone (optimal transport between Gaussians; Freirich, Michaeli, Meir, NeurIPS 2021),
 * so in each of five octaves of luma, and for the measured coefficients and the others each, the mean is amplified by
 * sqrt(1 + E/P), at most by 2, and only what then lacks is noise, spread as the mean's own detail is. Of all this, the
 * coefficients keep what the measurement leaves open.
 *
 * image: [3, rows, columns], RGB. seed, step: of the noise (Philox, item 0).
 */
void add_realism(const PhotoPosterior& posterior,
                 float realism,
                 std::uint64_t seed,
                 std::uint32_t step,
                 float* image);

} // namespace core
} // namespace diffsem
} // namespace gr

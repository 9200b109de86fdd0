/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/priors/prior.h>

#include <vector>

namespace gr {
namespace diffsem {
namespace core {

const PriorEntry& onnx_prior();
const PriorEntry& gaussian_prior();
const PriorEntry& gmm_prior();
const PriorEntry& qam_prior();
const PriorEntry& no_prior();

const std::vector<const PriorEntry*>& priors()
{
    static const std::vector<const PriorEntry*> table = {
        &onnx_prior(),
        &gaussian_prior(),
        &gmm_prior(),
        &qam_prior(),
        &no_prior(),
    };
    return table;
}

} // namespace core
} // namespace diffsem
} // namespace gr

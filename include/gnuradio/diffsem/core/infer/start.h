/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where inference begins.
 */
#pragma once

#include <gnuradio/diffsem/core/base/entry.h>

#include <vector>

namespace gr {
namespace diffsem {
namespace core {

struct StartEntry : Entry {
    bool
        consumes_measurement; //!< the state is the measurement: the sampler then runs with the prior alone
    bool needs_sigma;         //!< at a level that the key `sigma` gives, not at the noise's
};

const std::vector<const StartEntry*>& starts();

} // namespace core
} // namespace diffsem
} // namespace gr

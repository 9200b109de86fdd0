/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Classifier-free guidance: a conditional prior followed beyond what it says.
 */
#pragma once

#include <gnuradio/diffsem/core/priors/prior.h>

#include <memory>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * D = D_null + scale (D_cond - D_null) (Ho and Salimans 2022, eq. 6, with w = scale - 1), D_null told the `null` of each
 * condition that has one. Both evaluations go to the prior as one batch; its variance is that of D_cond. At scale 1 it
 * is the prior itself. Throws Error where no condition has a null.
 */
std::shared_ptr<const Prior> make_classifier_free(std::shared_ptr<const Prior> prior, float scale);

} // namespace core
} // namespace diffsem
} // namespace gr

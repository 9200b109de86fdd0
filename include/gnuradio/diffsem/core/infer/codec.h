/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Between content and the latent that a scheme infers (docs/openings/latents.md).
 */
#pragma once

#include <gnuradio/diffsem/core/base/tensor.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Immutable, shared between threads. Content is real; a latent is an item of the scheme's signal, complex ones as (re, im).
class Codec
{
public:
    virtual ~Codec() = default;
    virtual const std::vector<std::int64_t>& content_shape() const = 0; //!< of one item
    virtual bool has_encoder() const = 0;
    //! items x content to items x latent. Throws Error where the runtime reports one, or there is no encoder.
    virtual void encode(const float* content, std::size_t items, float* latent) const = 0;
    //! items x latent to items x content. Throws Error where the runtime reports one.
    virtual void decode(const float* latent, std::size_t items, float* content) const = 0;
    //! So many callers at once find their buffers made.
    virtual void reserve(std::size_t callers) const = 0;

    std::size_t content_size() const { return element_count(content_shape()); }
};

} // namespace core
} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tensors with a declared domain and a leading batch, broadcastable noise levels, and the state of
 * an inference: a set of named unknowns.
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * Complex signals have E|x|^2 = 1 per element and are stored interleaved (re, im); real tensors
 * (latents, images, maps) carry their own normalisation.
 */
enum class Domain { complex, real };

inline std::size_t element_count(const std::vector<std::int64_t>& shape)
{
    std::size_t n = 1;
    for (auto s : shape)
        n *= static_cast<std::size_t>(s);
    return n;
}

/*!
 * Batch of items of one shape, row major, contiguous. Capacity is fixed when it is made: set_batch()
 * within it never allocates.
 */
class Tensor
{
public:
    Tensor() = default;
    Tensor(Domain domain, std::vector<std::int64_t> shape, std::size_t max_batch)
        : d_domain(domain),
          d_shape(std::move(shape)),
          d_elements(element_count(d_shape)),
          d_width(d_elements * (domain == Domain::complex ? 2 : 1)),
          d_batch(max_batch),
          d_data((d_width * max_batch + 1) / 2)
    {
    }

    Domain domain() const { return d_domain; }
    const std::vector<std::int64_t>& shape() const { return d_shape; } //!< one item
    std::size_t elements() const { return d_elements; }    //!< (complex or real) in one item
    std::size_t width() const { return d_width; }          //!< floats in one item
    std::size_t batch() const { return d_batch; }          //!< items held now
    std::size_t size() const { return d_width * d_batch; } //!< floats held now

    void set_batch(std::size_t batch)
    {
        if ((d_width * batch + 1) / 2 > d_data.size())
            d_data.resize((d_width * batch + 1) / 2);
        d_batch = batch;
    }

    float* data() { return reinterpret_cast<float*>(d_data.data()); }
    const float* data() const { return reinterpret_cast<const float*>(d_data.data()); }
    float* item(std::size_t b) { return data() + b * d_width; }
    const float* item(std::size_t b) const { return data() + b * d_width; }
    //! Only for the complex domain.
    cfloat* citem(std::size_t b) { return d_data.data() + b * d_elements; }
    const cfloat* citem(std::size_t b) const { return d_data.data() + b * d_elements; }

private:
    Domain d_domain = Domain::complex;
    std::vector<std::int64_t> d_shape;
    std::size_t d_elements = 0, d_width = 0, d_batch = 0;
    std::vector<cfloat>
        d_data; // complex storage: viewing it as floats is legal, the reverse is not
};

/*!
 * Noise levels sigma (standard deviation per element, relative to unit signal power), one per item or
 * one per element of each item; readers see both alike through at(). +inf: the element is not
 * observed, and the value beside it carries no information.
 */
class Sigma
{
public:
    Sigma() = default;
    explicit Sigma(float level) : d_batch(1), d_stride(1), d_levels(1, level) {}
    Sigma(std::size_t batch, std::size_t stride, float level = 0.0f)
        : d_batch(batch),
          d_stride(stride),
          d_levels(batch * stride, level)
    {
    }

    //! stride: 1 (a level for each item) or the number of elements. Keeps no values.
    void resize(std::size_t batch, std::size_t stride)
    {
        d_batch = batch;
        d_stride = stride;
        if (d_levels.size() < batch * stride)
            d_levels.resize(batch * stride);
    }

    std::size_t batch() const { return d_batch; }
    std::size_t stride() const { return d_stride; }
    bool per_element() const { return d_stride > 1; }
    float* item(std::size_t b) { return d_levels.data() + b * d_stride; }
    const float* item(std::size_t b) const { return d_levels.data() + b * d_stride; }
    float at(std::size_t b, std::size_t i) const
    {
        return d_levels[b * d_stride + (d_stride == 1 ? 0 : i)];
    }

    static constexpr float unobserved() { return std::numeric_limits<float>::infinity(); }

private:
    std::size_t d_batch = 0, d_stride = 1;
    std::vector<float> d_levels;
};

class Prior;

//! One unknown of an inference, with its prior and the levels it stands at.
struct Unknown {
    std::string name;
    std::shared_ptr<const Prior> prior;
    Tensor x;
    Sigma sigma;
};

//! What is being inferred. One unknown is the common case; (H, x) and (image, taps) have two.
class State
{
public:
    //! The reference holds until the next add().
    Unknown& add(std::string name, std::shared_ptr<const Prior> prior, Tensor x, Sigma sigma)
    {
        d_unknowns.push_back({std::move(name), std::move(prior), std::move(x), std::move(sigma)});
        return d_unknowns.back();
    }
    //! Null when there is none of that name.
    Unknown* find(const std::string& name)
    {
        for (auto& u : d_unknowns)
            if (u.name == name)
                return &u;
        return nullptr;
    }
    const Unknown* find(const std::string& name) const
    {
        return const_cast<State*>(this)->find(name);
    }
    std::vector<Unknown>& unknowns() { return d_unknowns; }
    const std::vector<Unknown>& unknowns() const { return d_unknowns; }

private:
    std::vector<Unknown> d_unknowns;
};

} // namespace core
} // namespace diffsem
} // namespace gr

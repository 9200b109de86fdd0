/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The orthonormal DCT-II of whole images, any size, and the colour transform in front of it.
 */
#pragma once

#include <complex>
#include <cstddef>
#include <memory>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! One length; twiddles are made once. Immutable: safe to share between threads.
class Dct
{
public:
    explicit Dct(std::size_t n);
    ~Dct();
    std::size_t size() const { return d_n; }
    //! Buffers of one thread.
    struct Scratch;
    std::shared_ptr<Scratch> make_scratch() const;
    //! In place, two rows at once (one complex FFT holds both).
    void forward(float* a, float* b, Scratch& scratch) const;
    void inverse(float* a, float* b, Scratch& scratch) const;

private:
    std::size_t d_n;
    std::vector<std::complex<float>> d_turn; // exp(-j pi k / 2n)
};

//! Photographs [3, H, W] (RGB planes) <-> coefficients [3, H, W], luma first. Orthonormal.
class PhotoTransform
{
public:
    PhotoTransform(std::size_t rows, std::size_t columns);
    ~PhotoTransform();
    std::size_t rows() const { return d_rows.size(); }
    std::size_t columns() const { return d_columns.size(); }
    std::size_t elements() const { return 3 * rows() * columns(); }
    //! out may be in.
    void forward(const float* image, float* coefficients) const;
    void inverse(const float* coefficients, float* image) const;

private:
    void transform(float* planes, bool back) const;
    Dct d_rows, d_columns; // lengths of a column and of a row
};

} // namespace core
} // namespace diffsem
} // namespace gr

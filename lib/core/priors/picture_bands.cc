/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "priors/picture_bands.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr double tiny = 1e-20;
constexpr double least_share = 0.1; // of the way, that a network is taken to have gone
constexpr double most_further = 3;  // times the error of its like that a coefficient's counts
constexpr double most_rise =
    4; // times what it was told; then it is trusted less, from twice it not at all
constexpr double right_angle = 1.5707963267948966;

// Index of what a plane of n is continued by past its edges: itself, mirrored.
std::size_t mirrored(std::ptrdiff_t i, std::size_t n)
{
    const auto last = std::ptrdiff_t(n) - 1;
    return std::size_t(i < 0 ? -1 - i : i > last ? 2 * last + 1 - i : i);
}

} // namespace

PictureBands::PictureBands(BandShape shape, std::size_t rows, std::size_t columns)
    : d_shape(std::move(shape)),
      d_rows(rows),
      d_columns(columns),
      d_band(rows * columns),
      d_number(d_shape.each(), 0)
{
    for (std::size_t i = 0; i < rows; i++)
        for (std::size_t j = 0; j < columns; j++) {
            const double u = double(i) / double(rows), v = double(j) / double(columns);
            const double f = std::sqrt(u * u + v * v);
            std::size_t ring = 0;
            while (ring < d_shape.edges.size() && f >= d_shape.edges[ring])
                ring++;
            const double turn = double(d_shape.sectors) * std::atan2(u, v) / right_angle;
            const std::size_t sector = std::min(std::size_t(turn), d_shape.sectors - 1);
            d_band[i * columns + j] = std::uint16_t(ring * d_shape.sectors + sector);
            d_number[d_band[i * columns + j]]++;
        }
}

std::vector<double> PictureBands::means(const float* variance) const
{
    const std::size_t each = d_shape.each(), sectors = d_shape.sectors;
    const std::size_t plane = d_rows * d_columns;
    std::vector<double> out(2 * each, 0.0);
    for (std::size_t k = 0; k < 3 * plane; k++)
        out[band(k)] += variance[k];
    for (std::size_t first = 0; first < 2 * each; first += sectors) {
        const double colours = first < each ? 1 : 2;
        const std::size_t* number = &d_number[first % each];
        double sum = 0, all = 0;
        for (std::size_t s = 0; s < sectors; s++) {
            sum += out[first + s];
            all += colours * double(number[s]);
        }
        for (std::size_t s = 0; s < sectors; s++)
            out[first + s] = number[s] ? out[first + s] / (colours * double(number[s]))
                                       : sum / std::max(all, 1.0);
    }
    return out;
}

// d_plane becomes its means over windows, first along rows, then along columns.
void PictureBands::look_around(std::size_t window)
{
    const auto along = [&](std::size_t n, std::size_t step, std::size_t lines, std::size_t apart) {
        const auto reach = std::ptrdiff_t(std::min(window / 2, n));
        d_sums.resize(n);
        for (std::size_t line = 0; line < lines; line++) {
            double* x = d_plane.data() + line * apart;
            double sum = 0;
            for (std::ptrdiff_t i = -reach; i <= reach; i++)
                sum += x[mirrored(i, n) * step];
            for (std::size_t i = 0; i < n; i++) {
                d_sums[i] = std::max(sum, 0.0) / double(2 * reach + 1);
                if (i + 1 < n)
                    sum += x[mirrored(std::ptrdiff_t(i) + 1 + reach, n) * step] -
                           x[mirrored(std::ptrdiff_t(i) - reach, n) * step];
            }
            for (std::size_t i = 0; i < n; i++)
                x[i * step] = d_sums[i];
        }
    };
    along(d_columns, 1, d_rows, d_columns);
    along(d_rows, d_columns, d_columns, 1);
}

void PictureBands::complete(const float* e,
                            const std::vector<double>& of,
                            std::size_t window,
                            float* far,
                            float* left)
{
    const std::size_t plane = d_rows * d_columns;
    std::vector<double> rise = means(e);
    for (std::size_t i = 0; i < rise.size(); i++)
        rise[i] = rise[i] > tiny ? of[i] / rise[i] : 2 * most_rise;
    for (std::size_t colour = 0; colour < 3; colour++) {
        const std::size_t begin = colour * plane;
        d_plane.assign(e + begin, e + begin + plane);
        look_around(window);
        for (std::size_t k = 0; k < plane; k++) {
            const double error = e[begin + k], risen = rise[band(begin + k)];
            const double a = std::min(std::max(1 - risen, least_share), 1.0);
            const double trust = std::min(std::max(2 - risen / most_rise, 0.0), 1.0);
            const double other = (1 - a) * d_plane[k];
            const double further = std::min(error, most_further * d_plane[k]);
            const double total = a * further + other, whole = a * error + other;
            const double remains = whole > tiny ? error * other / whole : 0;
            far[begin + k] = float(total > tiny ? trust * further / total : 0);
            left[begin + k] = float(error + trust * (remains - error));
        }
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr

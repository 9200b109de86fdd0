/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx/onnx_trial.h"

#include "onnx/onnx_streams.h"
#include "onnx/tensor_convert.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

using clock = std::chrono::steady_clock;

constexpr double enough = 0.3;    // seconds, after which no further pattern is tried
constexpr double for_rows = 0.02; // seconds for the rows of one pattern, each alone
constexpr std::size_t least_rows = 3, most_rows = 64; // what lies far apart along time may mix too
constexpr std::size_t most_values = std::size_t(1) << 20; // of all rows together

//! Said to the user; other errors of a trial only say that the graph does not take such data.
struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

double seconds_since(clock::time_point start)
{
    return std::chrono::duration<double>(clock::now() - start).count();
}

//! Row `r` of so many, which follow one another along the axis.
std::vector<double>
row_of(const OrtSession::Answer& answer, int axis, std::size_t rows, std::size_t r)
{
    const OrtTensor& t = answer.tensor;
    const auto all = as_doubles(answer.data.data(), t.type, t.elements(1));
    const std::size_t run = product(Shape(t.shape.begin() + axis, t.shape.end())),
                      part = run / rows;
    std::vector<double> row;
    for (std::size_t at = r * part; at < all.size(); at += run)
        row.insert(row.end(), &all[at], &all[at] + part);
    return row;
}

//! Kernels for other sizes round in other ways, so nearly the same is the same.
bool same(const std::vector<double>& a, const std::vector<double>& b, ElemType type)
{
    double most = 0;
    for (const double v : a)
        most = std::isfinite(v) ? std::max(most, std::abs(v)) : most;
    const bool exact = natural_stream(type) == StreamType::integer;
    const bool half = type == ElemType::float16 || type == ElemType::bfloat16;
    const double tolerance = exact ? 0 : (half ? 1e-2 : 1e-4) * most;
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](double x, double y) {
        return x == y || std::abs(x - y) <= tolerance || (std::isnan(x) && std::isnan(y));
    });
}

} // namespace

Trial::Trial(const OnnxFile& file,
             const OrtSession& session,
             const std::vector<std::string>& names,
             const GraphPlan& plan)
    : d_file(file),
      d_session(session),
      d_names(names),
      d_plan(plan),
      d_tensors(plan.input_tensors())
{
}

std::vector<OrtTensor> Trial::sizes(std::size_t batch) const
{
    Answers answers;
    try {
        answers = run(std::vector<Row>(batch, all(0)));
    } catch (const Error& zeros) {
        try {
            answers = run(std::vector<Row>(batch, all(1)));
        } catch (const Error&) {
            throw zeros;
        }
    }
    std::vector<OrtTensor> tensors;
    for (auto& answer : answers)
        tensors.push_back(std::move(answer.tensor));
    return tensors;
}

bool Trial::same_size(const std::vector<OrtTensor>& found)
{
    return Rows::apart == each_pattern([&](Pattern pattern) {
               compare_sizes(run({draw(pattern)}), found);
               return Rows::apart;
           });
}

Rows Trial::open_rows(const std::vector<OrtTensor>& found, const std::vector<int>& axes)
{
    return each_pattern([&](Pattern pattern) {
        std::vector<Row> rows;
        std::vector<Answers> alone;
        const auto start = clock::now();
        const auto values = static_cast<std::size_t>(d_tensors[0].elements(1));
        const std::size_t least = decides(pattern) ? least_rows : 1,
                          most = decides(pattern) ? most_rows : 1;
        while (rows.size() < least || (rows.size() < most && seconds_since(start) < for_rows &&
                                       rows.size() * values < most_values)) {
            rows.push_back(draw(pattern));
            alone.push_back(run({rows.back()}));
            compare_sizes(alone.back(), found);
        }
        if (!decides(pattern))
            return Rows::apart;
        const Answers together = run(rows);
        for (std::size_t r = 0; r < rows.size(); ++r) {
            if (same_rows(alone[r], 1, 0, together, rows.size(), r, axes))
                continue;
            const bool again = same_rows(alone[r], 1, 0, run({rows[r]}), 1, 0, axes);
            return again ? Rows::mixed : Rows::unknown;
        }
        return Rows::apart;
    });
}

Rows Trial::fixed_rows(const std::vector<OrtTensor>& found)
{
    const std::size_t batch = d_plan.max_batch;
    for (const auto& t : found)
        if (t.shape.empty() || t.shape[0] % static_cast<std::int64_t>(batch))
            return Rows::unknown; // is refused when the outputs are read
    return each_pattern([&](Pattern pattern) {
        std::vector<Row> rows;
        for (std::size_t r = 0; r < batch; ++r)
            rows.push_back(draw(pattern));
        std::vector<Row> first(batch, all(0)), last(batch, all(0));
        first.front() = last.back() = rows[0];
        const Answers alone = run(first);
        compare_sizes(alone, found);
        if (!decides(pattern))
            return Rows::apart;
        const std::vector<int> axes(d_names.size(), 0);
        if (same_rows(alone, batch, 0, run(rows), batch, 0, axes) &&
            same_rows(alone, batch, 0, run(last), batch, batch - 1, axes))
            return Rows::apart;
        return same_rows(alone, batch, 0, run(first), batch, 0, axes) ? Rows::mixed : Rows::unknown;
    });
}

Rows Trial::each_pattern(const std::function<Rows(Pattern)>& look)
{
    // Indices want small integers; sizes, factors and margins positive ones, of which seldom all may be larger.
    static const Pattern patterns[] = {Pattern::normal,
                                       Pattern::bits,
                                       Pattern::counts,
                                       Pattern::counts,
                                       Pattern::twos,
                                       Pattern::zeros_and_one,
                                       Pattern::ones_and_two,
                                       Pattern::loud};
    const auto start = clock::now();
    Rows found = Rows::unknown;
    for (const Pattern pattern : patterns) {
        try {
            const Rows now = look(pattern);
            if (now != Rows::apart)
                return now;
            found = now;
            d_took_normal = d_took_normal || pattern == Pattern::normal;
        } catch (const Refused& e) {
            throw Error(e.what());
        } catch (const Error&) {
            continue; // data that the graph does not take
        }
        if (seconds_since(start) > enough)
            break;
    }
    return found;
}

/*
 * Small integers make ties, which decisions break by the last bit, and that depends on how many rows there are. They say
 * something of rows only where the graph takes nothing else.
 */
bool Trial::decides(Pattern pattern) const
{
    return pattern == Pattern::normal || pattern == Pattern::loud || !d_took_normal;
}

Trial::Row Trial::all(double value) const
{
    Row row;
    for (const auto& end : d_plan.inputs)
        row.emplace_back(end.width, value);
    return row;
}

Trial::Row Trial::draw(Pattern pattern)
{
    std::normal_distribution<double> normal;
    if (pattern == Pattern::twos)
        return all(2);
    Row row = all(pattern == Pattern::ones_and_two ? 1 : 0);
    if (pattern == Pattern::zeros_and_one || pattern == Pattern::ones_and_two) {
        for (auto& values : row)
            values.back() += 1;
        return row;
    }
    for (auto& values : row)
        for (double& v : values)
            switch (pattern) {
            case Pattern::bits:
                v = static_cast<double>(d_random() >> 31);
                break;
            case Pattern::counts:
                v = static_cast<double>(1 + d_random() % 3);
                break;
            default:
                v = (pattern == Pattern::loud ? 30 : 1) * normal(d_random);
            }
    return row;
}

Trial::Answers Trial::run(const std::vector<Row>& rows) const
{
    const std::size_t constants = d_plan.inputs.size(),
                      states = constants + d_plan.constants.size();
    std::vector<std::vector<char>> data;
    for (std::size_t i = 0; i < d_tensors.size(); ++i) {
        const OrtTensor& t = d_tensors[i];
        const std::size_t count = t.elements(rows.size());
        data.emplace_back(std::max<std::size_t>(count * elem_size(t.type), 1));
        char* to = data.back().data();
        if (i >= constants) {
            fill(i < states ? d_plan.constants[i - constants].values
                            : d_plan.states[i - states].values,
                 t.type,
                 count,
                 to);
            continue;
        }
        for (const Row& row : rows) {
            fill(row[i], t.type, row[i].size(), to);
            to += row[i].size() * elem_size(t.type);
        }
    }
    return d_session.answer(d_tensors, data, d_names, rows.size());
}

void Trial::compare_sizes(const Answers& answers, const std::vector<OrtTensor>& found) const
{
    for (std::size_t j = 0; j < found.size(); ++j)
        if (answers[j].tensor.shape != found[j].shape)
            throw Refused(d_file.path + ": how many values its output '" + d_names[j] +
                          "' has depends on the data, and a stream has items of one size: " +
                          size_remedy(d_file));
}

bool Trial::same_rows(const Answers& a,
                      std::size_t rows_a,
                      std::size_t at_a,
                      const Answers& b,
                      std::size_t rows_b,
                      std::size_t at_b,
                      const std::vector<int>& axes)
{
    for (std::size_t j = 0; j < a.size(); ++j)
        if (!same(row_of(a[j], axes[j], rows_a, at_a),
                  row_of(b[j], axes[j], rows_b, at_b),
                  a[j].tensor.type))
            return false;
    return true;
}

} // namespace core
} // namespace diffsem
} // namespace gr

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Whether inferences may be computed together, which is tried out.
 *
 * What is said of a graph's dimensions is often nothing, and a first dimension that is open may be a batch as well as
 * time. A batch is what may be cut anywhere: so rows that are computed one by one and together must give the same.
 * Otherwise the answers on a stream would depend on how many items happen to wait.
 */
#include "onnx/onnx_streams.h"
#include "onnx/onnx_trial.h"

#include <algorithm>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

//! The output's batch axis: the one that grows with the batch; no_axis if none or several do.
int growing_axis(const Shape& one, const Shape& two)
{
    int axis = no_axis;
    if (one.size() != two.size())
        return no_axis;
    for (std::size_t i = 0; i < one.size(); ++i) {
        if (one[i] == two[i])
            continue;
        if (axis != no_axis || one[i] < 1 || two[i] != 2 * one[i])
            return no_axis;
        axis = static_cast<int>(i);
    }
    return axis;
}

void one_by_one(GraphPlan& plan, const std::string& why)
{
    plan.note = why.empty() ? "" : why + ": inferences run one by one";
    plan.fixed = true;
    plan.max_batch = 1;
    const auto fix = [](OrtTensor& t) {
        std::replace(t.shape.begin(), t.shape.end(), open_dim, std::int64_t(1));
    };
    for (auto& end : plan.inputs)
        fix(end.tensor);
    for (auto& end : plan.outputs)
        fix(end.tensor);
    for (auto& c : plan.constants)
        fix(c.tensor);
}

//! What to say of an open first dimension that is no batch: the shape that would be right, for instance.
std::string is_no_batch(const OnnxFile& file, const GraphPlan& plan, const std::string& why)
{
    const TensorInfo& x = *plan.doubtful;
    const auto end = std::find_if(plan.inputs.begin(), plan.inputs.end(), [&](const auto& e) {
        return e.tensor.name == x.name;
    });
    Shape item = x.shape;
    std::replace(item.begin(), item.end(), open_dim, std::int64_t(64));
    if (end->stream == StreamType::complex)
        item =
            stream_shape(file, "the input '" + x.describe() + "'", item, end->stream, end->layout);
    std::string example;
    for (const auto d : item)
        example += (example.empty() ? "" : ", ") + std::to_string(d);
    return file.path + ": the first dimension of its input '" + x.describe() + "' is open, but " +
           why +
           ", so it does not count inferences. Give shape, the shape of one item with this "
           "dimension "
           "in it, such as [" +
           example + "]; or batch_axis 0, if each is to be computed alone";
}

//! Why the rows of an open batch are not computed together; empty: they are. Fills the plan's outputs in.
std::string why_apart(const OnnxFile& file,
                      const std::vector<std::string>& names,
                      const std::vector<OrtTensor>& one,
                      Trial& trial,
                      GraphPlan& plan)
{
    std::vector<OrtTensor> two;
    try {
        two = trial.sizes(2);
    } catch (const Error& e) {
        return std::string("the graph refuses a batch of 2 (") + e.what() + ")";
    }
    std::vector<int> axes;
    std::string in_the_way;
    for (std::size_t j = 0; j < one.size(); ++j) {
        const std::string output = "the output '" + names[j] + "' ";
        axes.push_back(growing_axis(one[j].shape, two[j].shape));
        if (axes[j] == no_axis) {
            if (plan.doubtful)
                throw Error(is_no_batch(file, plan, output + "does not grow with it"));
            return output + "does not grow with the batch";
        }
        const auto before = one[j].shape.begin() + axes[j];
        if (std::any_of(one[j].shape.begin(), before, [](auto d) { return d != 1; }))
            in_the_way = output + "has the batch behind other dimensions";
        else if (*before != 1)
            in_the_way = output + "has several rows for one inference";
    }
    const Rows rows = trial.open_rows(one, axes);
    if (rows == Rows::mixed) {
        if (plan.doubtful)
            throw Error(is_no_batch(file, plan, "the answers mix what lies along it"));
        return "the answers of the graph mix what is computed together";
    }
    if (!in_the_way.empty())
        return in_the_way;
    if (rows == Rows::unknown && plan.doubtful)
        return "whether the graph keeps inferences apart could not be tried out; batch_axis 0 says "
               "that it does";
    for (std::size_t j = 0; j < one.size() && j < plan.outputs.size(); ++j)
        plan.outputs[j].tensor.shape[axes[j]] = open_dim;
    return "";
}

} // namespace

void settle_batch(const OnnxFile& file,
                  const OrtSession& session,
                  const std::vector<std::string>& names,
                  std::size_t streamed,
                  GraphPlan& plan)
{
    Trial trial(file, session, names, plan);
    std::vector<OrtTensor> one;
    try {
        one = trial.sizes(plan.fixed ? plan.max_batch : 1);
    } catch (const Error& e) {
        if (plan.doubtful)
            throw Error(is_no_batch(file,
                                    plan,
                                    "the graph cannot be run with 1 there (" +
                                        std::string(e.what()) + ")"));
        throw Error(
            std::string(e.what()) +
            ". Say what the graph takes: shape of an item, batch_axis, and in constants values "
            "that its other inputs may have");
    }
    for (std::size_t j = 0; j < one.size(); ++j)
        if (j < streamed)
            plan.outputs.push_back({one[j], StreamType::real, Layout::planar, 0, 0, {}});
        else
            plan.unseen.push_back(one[j]);
    if (plan.fixed && plan.max_batch > 1) {
        if (trial.fixed_rows(one) == Rows::mixed)
            throw Error(
                file.path + ": batch_axis counts the first dimension of '" +
                file.inputs.front().describe() +
                "' as inferences, but the graph mixes them: an answer depends on its neighbours. "
                "Give batch_axis none, and all of it is one item");
        return;
    }
    if (!plan.fixed) {
        const bool known = !plan.doubtful && (plan.max_batch == 1 || !plan.apart.empty());
        const std::string why = known ? "" : why_apart(file, names, one, trial, plan);
        if (known || !why.empty() || !plan.apart.empty() || plan.max_batch == 1)
            one_by_one(plan, plan.apart.empty() ? why : plan.apart);
    }
    if (plan.max_batch == 1 && !Trial(file, session, names, plan).same_size(one) &&
        plan.inputs.size() > 1)
        plan.note =
            "the graph takes no random data; if one of its inputs says how large an output is, "
            "give it in constants";
}

} // namespace core
} // namespace diffsem
} // namespace gr

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fixtures.h"

#include <gnuradio/diffsem/core/infer/plan.h>

namespace fixtures {

Matrix spectral(const Matrix& c, const std::function<double(double)>& f)
{
    Eigen::VectorXd values;
    Matrix vectors;
    hermitian_eigen(c, values, vectors);
    for (auto& v : values)
        v = f(v);
    return vectors * values.cast<cdouble>().asDiagonal() * vectors.adjoint();
}

Matrix inverse(const Matrix& c)
{
    return spectral(c, [](double v) { return 1 / v; });
}

double log_det(const Matrix& c)
{
    return spectral(c, [](double v) { return std::log(v); }).trace().real();
}

MixtureParameters Mixture::parameters() const
{
    MixtureParameters p;
    p.shape = {std::int64_t(n())};
    p.weights = weights;
    for (std::size_t k = 0; k < weights.size(); k++)
        for (Eigen::Index i = 0; i < n(); i++) {
            p.means.push_back(means[k](i));
            for (Eigen::Index j = 0; j < n(); j++)
                p.covariances.push_back(covariances[k](i, j));
        }
    return p;
}

Vector Mixture::draw(Random& r) const
{
    double u = r.uniform();
    std::size_t k = 0;
    while (k + 1 < weights.size() && u > weights[k])
        u -= weights[k++];
    const Matrix root =
        spectral(covariances[k], [](double v) { return std::sqrt(std::max(v, 0.0)); });
    return means[k] + root * r.cvector(n());
}

Vector Mixture::mean() const
{
    Vector m = Vector::Zero(n());
    for (std::size_t k = 0; k < weights.size(); k++)
        m += weights[k] * means[k];
    return m;
}

Matrix Mixture::covariance() const
{
    const Vector m = mean();
    Matrix c = Matrix::Zero(n(), n());
    for (std::size_t k = 0; k < weights.size(); k++)
        c += weights[k] * (covariances[k] + (means[k] - m) * (means[k] - m).adjoint());
    return c;
}

Matrix delay_covariance(Eigen::Index n, double decay, double shift)
{
    Matrix c = Matrix::Zero(n, n);
    double total = 0;
    for (int l = 0; l < n; l++)
        total += std::exp(-l / decay);
    for (Eigen::Index i = 0; i < n; i++)
        for (Eigen::Index j = 0; j < n; j++)
            for (int l = 0; l < n; l++)
                c(i, j) +=
                    std::exp(-l / decay) / total *
                    std::exp(cdouble(0, -2 * M_PI * double(i - j) * (l + shift) / double(n)));
    return c;
}

Mixture gaussian(Eigen::Index n, double decay)
{
    return {{1.0}, {Vector::Zero(n)}, {delay_covariance(n, decay)}};
}

Mixture channels(Eigen::Index n)
{
    Mixture m;
    m.weights = {0.5, 0.3, 0.2};
    for (int k = 0; k < 3; k++) {
        m.means.push_back(Vector::Zero(n));
        m.covariances.push_back(delay_covariance(n, 0.5 + 0.5 * k, 2.5 * k));
    }
    return m;
}

Mixture mixture(Eigen::Index n)
{
    Random r(11);
    Mixture m;
    m.weights = {0.5, 0.3, 0.2};
    double power = 0;
    for (int k = 0; k < 3; k++) {
        m.means.push_back((k == 0 ? 0.0 : 1.0) * r.cvector(n));
        m.covariances.push_back((k == 2 ? 0.1 : 0.5) * delay_covariance(n, 0.5 + k, 0.3 * k));
        power += m.weights[std::size_t(k)] *
                 (m.means.back().squaredNorm() + m.covariances.back().trace().real()) / double(n);
    }
    for (int k = 0; k < 3; k++) {
        m.means[std::size_t(k)] /= std::sqrt(power);
        m.covariances[std::size_t(k)] /= power;
    }
    return m;
}

Posterior
posterior(const Mixture& m, const Matrix& b, const Vector& z, const Eigen::VectorXd& noise)
{
    const auto n = m.n();
    std::vector<Posterior> parts;
    Eigen::VectorXd evidence(Eigen::Index(m.weights.size()));
    const Matrix bh = b.adjoint() * noise.cwiseInverse().cast<cdouble>().asDiagonal();
    for (std::size_t k = 0; k < m.weights.size(); k++) {
        const Matrix precision = inverse(m.covariances[k]);
        const Matrix left = inverse(precision + bh * b);
        parts.push_back({left * (precision * m.means[k] + bh * z), left});
        const Matrix seen =
            b * m.covariances[k] * b.adjoint() + Matrix(noise.cast<cdouble>().asDiagonal());
        const Vector r = z - b * m.means[k];
        evidence(Eigen::Index(k)) =
            std::log(m.weights[k]) - log_det(seen) - (r.adjoint() * inverse(seen) * r)(0).real();
    }
    Eigen::VectorXd w = (evidence.array() - evidence.maxCoeff()).exp();
    w /= w.sum();
    Posterior out{Vector::Zero(n), Matrix::Zero(n, n)};
    for (std::size_t k = 0; k < parts.size(); k++)
        out.mean += w(Eigen::Index(k)) * parts[k].mean;
    for (std::size_t k = 0; k < parts.size(); k++)
        out.covariance +=
            w(Eigen::Index(k)) * (parts[k].covariance + (parts[k].mean - out.mean) *
                                                            (parts[k].mean - out.mean).adjoint());
    return out;
}

Posterior posterior(const Mixture& m, const Vector& y, double noise_var)
{
    return posterior(
        m, Matrix::Identity(m.n(), m.n()), y, Eigen::VectorXd::Constant(m.n(), noise_var));
}

Tensor to_tensor(const std::vector<Vector>& items)
{
    Tensor t(Domain::complex, {std::int64_t(items[0].size())}, items.size());
    for (std::size_t b = 0; b < items.size(); b++)
        for (Eigen::Index i = 0; i < items[b].size(); i++)
            t.citem(b)[i] = cfloat(items[b](i));
    return t;
}

Vector to_vector(const cfloat* p, Eigen::Index n)
{
    Vector v(n);
    for (Eigen::Index i = 0; i < n; i++)
        v(i) = cdouble(p[i]);
    return v;
}

std::string npy(const std::string& descr,
                const std::vector<std::size_t>& shape,
                const void* data,
                std::size_t bytes)
{
    std::string s = "(";
    for (auto n : shape)
        s += std::to_string(n) + ", ";
    std::string header =
        "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + s + "), }";
    header += std::string(64 - (10 + header.size() + 1) % 64, ' ') + "\n";
    std::string out("\x93NUMPY\x01\x00", 8);
    out += char(header.size() & 255);
    out += char(header.size() >> 8);
    return out + header + std::string(static_cast<const char*>(data), bytes);
}

std::string write_package(const Folder& folder,
                          const std::string& name,
                          const Mixture& m,
                          const std::string& members,
                          const std::string& gain)
{
    const MixtureParameters p = m.parameters();
    const auto n = std::size_t(m.n()), k = m.weights.size();
    const std::vector<cdouble> first(p.covariances.begin(),
                                     p.covariances.begin() + std::ptrdiff_t(n * n));
    const std::vector<std::pair<std::string, std::string>> files = {
        {"covariance.npy", npy({n, n}, first)},
        {"weights.npy", npy({k}, p.weights)},
        {"means.npy", npy({k, n}, p.means)},
        {"covariances.npy", npy({k, n, n}, p.covariances)}};
    std::string sums;
    for (const auto& f : files) {
        folder.write(name + "/" + f.first, f.second);
        sums +=
            (sums.empty() ? "" : ", ") + ("\"" + f.first + "\": \"" + sha256_hex(f.second) + "\"");
    }
    folder.write(name + "/manifest.json",
                 "{\"diffsem.contract\": 1, \"name\": \"" + name +
                     "\", \"title\": \"a test\",\n"
                     " \"signal\": {\"domain\": \"complex\", \"shape\": [" +
                     std::to_string(n) + "], \"gain\": \"" + gain +
                     "\"},\n"
                     " \"default\": \"gaussian\",\n \"members\": {" +
                     members + "},\n \"files\": {" + sums + "}}\n");
    return folder.path(name);
}

std::vector<std::string> fixed_plans()
{
    std::vector<std::string> names;
    for (const PlanEntry* plan : plans())
        if (!plan->measured && !plan->given)
            names.push_back(plan->name);
    return names;
}

std::vector<cdouble> qam_points(int order)
{
    const int side = int(std::lround(std::sqrt(double(order))));
    std::vector<cdouble> all;
    double power = 0;
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            all.emplace_back(2 * i - side + 1, 2 * j - side + 1);
            power += std::norm(all.back()) / order;
        }
    for (auto& p : all)
        p /= std::sqrt(power);
    return all;
}

} // namespace fixtures

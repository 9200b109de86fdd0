/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Data with known answers: small Gaussian and mixture priors, draws from them, the closed-form
 * posterior written out naively (the oracle), and model packages on disk.
 */
#pragma once

#include <gnuradio/diffsem/core/gaussian.h>
#include <gnuradio/diffsem/core/npy.h>
#include <gnuradio/diffsem/core/scheme.h>
#include <gnuradio/diffsem/core/sha256.h>

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

namespace fixtures {

using namespace gr::diffsem::core;
using cdouble = std::complex<double>;
using Matrix = Eigen::MatrixXcd;
using Vector = Eigen::VectorXcd;

class Random
{
public:
    explicit Random(unsigned seed) : d_engine(seed) {}
    double normal() { return d_normal(d_engine); }
    double uniform() { return d_uniform(d_engine); }
    cdouble cnormal() //!< E|.|^2 = 1
    {
        const double re = normal();
        return cdouble(re, normal()) * std::sqrt(0.5);
    }
    Vector cvector(Eigen::Index n)
    {
        Vector v(n);
        for (auto& e : v)
            e = cnormal();
        return v;
    }
    Matrix cmatrix(Eigen::Index rows, Eigen::Index cols)
    {
        Matrix m(rows, cols);
        for (Eigen::Index i = 0; i < m.size(); i++)
            m.data()[i] = cnormal();
        return m;
    }

private:
    std::mt19937
        d_engine; // its numbers are fixed by the standard; those of the next two are libstdc++'s
    std::normal_distribution<double> d_normal;
    std::uniform_real_distribution<double> d_uniform;
};

struct Mixture {
    std::vector<double> weights;
    std::vector<Vector> means;
    std::vector<Matrix> covariances;
    Eigen::Index n() const { return means[0].size(); }

    MixtureParameters parameters() const
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

    Vector draw(Random& r) const
    {
        double u = r.uniform();
        std::size_t k = 0;
        while (k + 1 < weights.size() && u > weights[k])
            u -= weights[k++];
        // Eigenvectors would do for singular covariances too; those here are not.
        const Matrix root = covariances[k].llt().matrixL();
        return means[k] + root * r.cvector(n());
    }

    Vector mean() const
    {
        Vector m = Vector::Zero(n());
        for (std::size_t k = 0; k < weights.size(); k++)
            m += weights[k] * means[k];
        return m;
    }
    Matrix covariance() const
    {
        const Vector m = mean();
        Matrix c = Matrix::Zero(n(), n());
        for (std::size_t k = 0; k < weights.size(); k++)
            c += weights[k] * (covariances[k] + (means[k] - m) * (means[k] - m).adjoint());
        return c;
    }
};

//! Covariance of an exponential power-delay profile over N carriers; mean power 1.
inline Matrix delay_covariance(Eigen::Index n, double decay, double shift = 0)
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

inline Mixture gaussian(Eigen::Index n = 8, double decay = 1.5)
{
    return {{1.0}, {Vector::Zero(n)}, {delay_covariance(n, decay)}};
}

//! Zero-mean components of unlike delay windows and powers: what channel estimation meets.
inline Mixture channels(Eigen::Index n = 8)
{
    Mixture m;
    m.weights = {0.5, 0.3, 0.2};
    for (int k = 0; k < 3; k++) {
        m.means.push_back(Vector::Zero(n));
        m.covariances.push_back(delay_covariance(n, 0.5 + 0.5 * k, 2.5 * k));
    }
    return m;
}

//! Three components around unlike means; unit power over all.
inline Mixture mixture(Eigen::Index n = 6)
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

struct Posterior {
    Vector mean;
    Matrix covariance;
};

/*!
 * p(x0 | z) of z = B x0 + e, e_i ~ CN(0, noise_i), in the information form (another route than the
 * code under test takes): precision C^-1 + B^H R^-1 B, evidence through the determinant.
 */
inline Posterior
posterior(const Mixture& m, const Matrix& b, const Vector& z, const Eigen::VectorXd& noise)
{
    const auto n = m.n();
    std::vector<Posterior> parts;
    Eigen::VectorXd evidence(Eigen::Index(m.weights.size()));
    const Matrix bh = b.adjoint() * noise.cwiseInverse().cast<cdouble>().asDiagonal();
    for (std::size_t k = 0; k < m.weights.size(); k++) {
        const Matrix inverse = m.covariances[k].inverse();
        const Matrix left = (inverse + bh * b).inverse();
        parts.push_back({left * (inverse * m.means[k] + bh * z), left});
        const Matrix seen =
            b * m.covariances[k] * b.adjoint() + Matrix(noise.cast<cdouble>().asDiagonal());
        const Vector r = z - b * m.means[k];
        const Matrix lower = seen.llt().matrixL();
        evidence(Eigen::Index(k)) = std::log(m.weights[k]) -
                                    2 * lower.diagonal().real().array().log().sum() -
                                    (r.adjoint() * seen.inverse() * r)(0).real();
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

//! y = x0 + e with equal noise.
inline Posterior posterior(const Mixture& m, const Vector& y, double noise_var)
{
    return posterior(
        m, Matrix::Identity(m.n(), m.n()), y, Eigen::VectorXd::Constant(m.n(), noise_var));
}

inline Tensor to_tensor(const std::vector<Vector>& items)
{
    Tensor t(Domain::complex, {std::int64_t(items[0].size())}, items.size());
    for (std::size_t b = 0; b < items.size(); b++)
        for (Eigen::Index i = 0; i < items[b].size(); i++)
            t.citem(b)[i] = cfloat(items[b](i));
    return t;
}

inline Vector to_vector(const cfloat* p, Eigen::Index n)
{
    Vector v(n);
    for (Eigen::Index i = 0; i < n; i++)
        v(i) = cdouble(p[i]);
    return v;
}

inline double db(double ratio)
{
    return 10 * std::log10(ratio);
}

//! A folder that vanishes with the object.
class Folder
{
public:
    Folder()
    {
        std::string name = (std::filesystem::temp_directory_path() / "diffsem-XXXXXX").string();
        if (!mkdtemp(&name[0]))
            throw Error("cannot make a temporary folder");
        d_path = name;
    }
    ~Folder()
    {
        std::error_code error;
        std::filesystem::remove_all(d_path, error);
    }
    Folder(const Folder&) = delete;
    std::string path(const std::string& name = "") const { return (d_path / name).string(); }
    std::string write(const std::string& name, const std::string& bytes) const
    {
        std::filesystem::create_directories((d_path / name).parent_path());
        std::ofstream(path(name), std::ios::binary) << bytes;
        return path(name);
    }

private:
    std::filesystem::path d_path;
};

//! Bytes of a .npy file.
inline std::string npy(const std::string& descr,
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
inline std::string npy(const std::vector<std::size_t>& shape, const std::vector<cdouble>& v)
{
    return npy("<c16", shape, v.data(), v.size() * sizeof(v[0]));
}
inline std::string npy(const std::vector<std::size_t>& shape, const std::vector<double>& v)
{
    return npy("<f8", shape, v.data(), v.size() * sizeof(v[0]));
}

/*!
 * Writes the package `name` with the members text (JSON, without braces) and the mixture's tensors:
 * covariance.npy (of its first component), weights.npy, means.npy, covariances.npy.
 */
inline std::string write_package(const Folder& folder,
                                 const std::string& name,
                                 const Mixture& m,
                                 const std::string& members,
                                 const std::string& gain = "unit")
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

inline const char* gaussian_member =
    "\"gaussian\": {\"prior\": {\"type\": \"gaussian\", \"covariance\": \"covariance.npy\"}, "
    "\"operator\": {\"type\": \"mask\"}, \"start\": {\"type\": \"matched\"}, \"sampler\": "
    "{\"type\": \"one_step\"}}";
inline const char* gmm_member = "\"gmm\": {\"prior\": {\"type\": \"gmm\", \"weights\": "
                                "\"weights.npy\", \"means\": \"means.npy\", "
                                "\"covariances\": \"covariances.npy\"}, \"operator\": \"mask\"}";

} // namespace fixtures

/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Data with known answers: small Gaussian and mixture priors, draws from them, the closed-form
 * posterior written out naively (the oracle), and model packages on disk.
 */
#pragma once

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/npy.h>
#include <gnuradio/diffsem/core/base/sha256.h>
#include <gnuradio/diffsem/core/base/types.h>
#include <gnuradio/diffsem/core/priors/gaussian.h>

#include "base/linalg.h"

#include <Eigen/Core>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

namespace fixtures {

using namespace gr::diffsem::core;
using cdouble = std::complex<double>;
using Matrix = Eigen::MatrixXcd;
using Vector = Eigen::VectorXcd;

//! As make_matrix_operator() takes it.
inline std::vector<cfloat> row_major(const Matrix& a)
{
    std::vector<cfloat> v;
    for (Eigen::Index i = 0; i < a.rows(); i++)
        for (Eigen::Index j = 0; j < a.cols(); j++)
            v.push_back(cfloat(a(i, j)));
    return v;
}

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

//! f(C) of a Hermitian matrix, through its eigenvalues.
Matrix spectral(const Matrix& c, const std::function<double(double)>& f);
Matrix inverse(const Matrix& c);
double log_det(const Matrix& c);

struct Mixture {
    std::vector<double> weights;
    std::vector<Vector> means;
    std::vector<Matrix> covariances;

    Eigen::Index n() const { return means[0].size(); }
    MixtureParameters parameters() const;
    Vector draw(Random& r) const;
    Vector mean() const;
    Matrix covariance() const;
};

//! Covariance of an exponential power-delay profile over N carriers; mean power 1.
Matrix delay_covariance(Eigen::Index n, double decay, double shift = 0);

Mixture gaussian(Eigen::Index n = 8, double decay = 1.5);

//! Zero-mean components of unlike delay windows and powers: what channel estimation meets.
Mixture channels(Eigen::Index n = 8);

//! Three components around unlike means; unit power over all.
Mixture mixture(Eigen::Index n = 6);

struct Posterior {
    Vector mean;
    Matrix covariance;
};

/*!
 * p(x0 | z) of z = B x0 + e, e_i ~ CN(0, noise_i), in the information form (another route than the
 * code under test takes): precision C^-1 + B^H R^-1 B, evidence through the determinant.
 */
Posterior
posterior(const Mixture& m, const Matrix& b, const Vector& z, const Eigen::VectorXd& noise);

//! y = x0 + e with equal noise.
Posterior posterior(const Mixture& m, const Vector& y, double noise_var);

Tensor to_tensor(const std::vector<Vector>& items);

Vector to_vector(const cfloat* p, Eigen::Index n);

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
std::string npy(const std::string& descr,
                const std::vector<std::size_t>& shape,
                const void* data,
                std::size_t bytes);
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
std::string write_package(const Folder& folder,
                          const std::string& name,
                          const Mixture& m,
                          const std::string& members,
                          const std::string& gain = "unit");

inline const char* gaussian_member =
    "\"gaussian\": {\"prior\": {\"type\": \"gaussian\", \"covariance\": \"covariance.npy\"}, "
    "\"operator\": {\"type\": \"mask\"}, \"start\": {\"type\": \"matched\"}, \"sampler\": "
    "{\"type\": \"one_step\"}}";
inline const char* gmm_member = "\"gmm\": {\"prior\": {\"type\": \"gmm\", \"weights\": "
                                "\"weights.npy\", \"means\": \"means.npy\", "
                                "\"covariances\": \"covariances.npy\"}, \"operator\": \"mask\"}";

//! Names of the plans whose levels are known beforehand; of the others each next level is what the last step left.
std::vector<std::string> fixed_plans();

//! The points of a square constellation of unit power.
std::vector<cdouble> qam_points(int order);

} // namespace fixtures

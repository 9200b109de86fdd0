# SPDX-License-Identifier: GPL-3.0-or-later
"""Several unknowns: Y = H X + N with a Gaussian H and QAM symbols X, one after the other, each seeing the other's mean
and variance (docs/openings/several_unknowns.md has the equations). And the exact answer of a small case."""

import itertools

import numpy as np

from .qam import Qam

#: Names of the core's tables.
BILINEAR = ("mimo",)
DRIVERS = ("alternate",)


def alternate(y, noise, pilots, columns, h_covariance, order=4, rounds=10, settle=None, turns=("H", "X")):
    """({"H": mean, "X": mean}, {"H": variance, "X": variance}).

    y [R, T]; noise: variances that broadcast to y, infinite where y is lost; pilots [K, P] in the columns of X;
    h_covariance [R K, R K] of H, row by row, mean 0. settle: rounds by mean field at the end (None: half).
    """
    settle = rounds // 2 if settle is None else settle
    (receive, time), transmit = y.shape, len(pilots)
    noise = np.broadcast_to(np.asarray(noise, float), y.shape)
    known = np.zeros((transmit, time), bool)
    known[:, columns] = True
    h = np.zeros((receive, transmit), complex)
    vh = np.real(np.diag(h_covariance)).reshape(h.shape).copy()
    x = np.zeros((transmit, time), complex)
    vx = np.ones((transmit, time))
    x[:, columns], vx[:, columns] = pilots, 0
    for k in range(rounds):
        mean_field = k >= rounds - settle
        for name in turns:
            if name == "H":
                h, vh = _update_channel(y, noise, h, vh, x, vx, h_covariance, mean_field)
            else:
                new, vnew = _update_symbols(y, noise, h, vh, x, vx, Qam(order), mean_field)
                x, vx = np.where(known, x, new), np.where(known, 0.0, vnew)
    return {"H": h, "X": x}, {"H": vh, "X": vx}


def _update_channel(y, noise, h, vh, x, vx, covariance, mean_field):
    """Posterior of vec H (row by row) in information form: inv(C^-1 + G), G block by block of rows."""
    receive, transmit = h.shape
    information = np.zeros((receive * transmit, receive * transmit), complex)
    b = np.zeros(receive * transmit, complex)
    for r in range(receive):
        total = noise[r] if mean_field else noise[r] + (np.abs(h[r]) ** 2 + vh[r]) @ vx
        w = np.where(np.isfinite(total), 1 / total, 0)
        row = slice(r * transmit, (r + 1) * transmit)
        information[row, row] = (x.conj() * w) @ x.T
        if mean_field:
            information[row, row] += np.diag(vx @ w)
        b[row] = (x.conj() * w) @ np.where(w > 0, y[r], 0)
    # inv(inv(C) + G) = C inv(I + G C), which a singular C allows
    posterior = covariance @ np.linalg.inv(np.eye(len(b)) + information @ covariance)
    return (posterior @ b).reshape(h.shape), np.real(np.diag(posterior)).reshape(h.shape)


def _update_symbols(y, noise, h, vh, x, vx, qam, mean_field):
    """Column by column every vector of symbols; mean field adds x^H diag(sum_r vh / noise) x to the exponent."""
    new, variance = np.empty_like(x), np.empty(x.shape)
    every = np.array(list(itertools.product(qam.points, repeat=len(x))))
    for t in range(y.shape[1]):
        spread = vh @ (np.abs(x[:, t]) ** 2 + vx[:, t])
        total = noise[:, t] if mean_field else noise[:, t] + spread
        seen = np.isfinite(total)
        distance = np.abs(y[seen, t] - every @ h[seen].T) ** 2
        if mean_field:
            distance = distance + np.abs(every) ** 2 @ vh[seen].T
        new[:, t], variance[:, t] = qam._moments(-np.sum(distance / total[seen], 1), every.T)
    return new, variance


def exact(y, noise, pilots, columns, h_covariance, order=4):
    """(mean of H, mean of X, weight of each X) of the true posterior: every X is tried, H integrated out:
    y | X ~ CN(0, A C A^H + noise), A the matrix of H's elements. For a handful of unknown symbols."""
    (receive, time), transmit = y.shape, len(pilots)
    qam = Qam(order)
    data = [t for t in range(time) if t not in set(columns)]
    x = np.zeros((transmit, time), complex)
    x[:, columns] = pilots
    logs, hs, xs = [], [], []
    for symbols in itertools.product(qam.points, repeat=transmit * len(data)):
        x = x.copy()
        x[:, data] = np.reshape(symbols, (transmit, len(data)))
        a = np.kron(np.eye(receive), x.T)
        seen = a @ h_covariance @ a.conj().T + noise * np.eye(receive * time)
        solved = np.linalg.solve(seen, y.ravel())
        logs.append(-np.real(y.ravel().conj() @ solved) - np.linalg.slogdet(seen)[1])
        hs.append((h_covariance @ a.conj().T @ solved).reshape(receive, transmit))
        xs.append(x)
    logs = np.array(logs)
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    return np.tensordot(weight, hs, 1), np.tensordot(weight, xs, 1), weight

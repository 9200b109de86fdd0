# SPDX-License-Identifier: GPL-3.0-or-later
"""Twin of core/link/channel_tracker.h and tracking_equaliser.h: an equaliser that follows the channel inside a frame.

Written for one frame, in double precision, with matrices in place of recursions where there is a choice. Spectra are in
ascending frequency, and every symbol has the same data carriers and pilots.
"""

import numpy as np

BLOCK = 32  #: symbols that are smoothed together, at most
STEPS = (0, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100)  #: of the walk, over the noise
MEMORY = 0.7


def delay_basis(carriers, fft_len, first, last):
    """(basis [n, r], shares [r]): eigenvectors of the responses' covariance, delays uniform from first to last."""
    step = np.subtract.outer(carriers, carriers)
    turn = np.exp(-1j * np.pi * step * (first + last) / fft_len)
    share, vectors = np.linalg.eigh(turn * np.sinc(step * (last - first) / fft_len))
    kept = share > 1e-5 * share[-1]
    return vectors[:, kept], share[kept]


def symbol_posterior(y, h, noise, points):
    """E[x], E|x|^2 and the likeliest x of y = h x + n, each [n]."""
    weight = -(np.abs(y[:, None] - h[:, None] * points) ** 2) / noise
    likeliest = points[weight.argmax(1)]
    weight = np.exp(weight - weight.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    return weight @ points, weight @ np.abs(points) ** 2, likeliest


def common_phase(z, memory):
    """exp(j phi) of each symbol from z_s = sum conj(h p) y; see core::CommonPhase."""
    n, step, lag = len(z), 0.0, 1
    while lag < n and (lag == 1 or lag <= n // 2):
        step += np.angle(np.vdot(z[:-lag], z[lag:]) * np.exp(-1j * step * lag)) / lag
        lag *= 2
    apart = np.subtract.outer(np.arange(n), np.arange(n))
    mean = (float(memory) ** np.abs(apart) * np.exp(1j * step * apart)) @ z
    return np.where(mean == 0, 1, mean / np.where(mean == 0, 1, np.abs(mean)))


class Tracker:
    """State of a frame: the estimate `base` [n], the noise, and the coefficients' error variances over it.

    noise_var and error_var have to be known here (the core estimates what it is not told).
    """

    def __init__(self, carriers, fft_len, window, base, noise_var, error_var):
        basis, share = delay_basis(carriers, fft_len, -window / 4, window * 5 / 4)
        n, r = basis.shape
        power = np.mean(np.abs(base) ** 2)
        self.told = self.noise = noise_var
        inside = basis @ (basis.conj().T @ base)
        spare, out = n - r, np.sum(np.abs(base - inside) ** 2)
        if spare < n / 8 or out > spare * (4 * max(noise_var, error_var) + 1e-5 * power):
            self.basis, self.weight = np.eye(n), np.ones(n)
            self.base, self.error = base, np.full(n, error_var / noise_var)
            return
        self.basis, self.weight = basis, share / share.max()
        each = min(error_var * n / r, max(noise_var, error_var))
        wiener = 4 * power * share / (4 * power * share + each)
        kept = max(0, 1 - 1.3 * spare * error_var / out)
        self.base = basis @ (wiener * (basis.conj().T @ base)) + kept * (base - inside)
        self.error = wiener * each / noise_var

    def look(self, y, h, known, in_use, points, error):
        """(innovation [r], share of the carriers that said something, their mean power, noise or None, E[x] [n])."""
        pilot = known != 0
        expected = np.where(pilot, np.abs(known) ** 2, np.mean(np.abs(points) ** 2))
        mean, power, nearest = symbol_posterior(y, h, self.noise + error * np.mean(np.abs(points) ** 2), points)
        mean, nearest = np.where(pilot, known, mean), np.where(pilot, known, nearest)
        power = np.where(pilot, expected, power)
        miss = np.abs(y - h * nearest) ** 2
        scale = self.noise + error * np.abs(nearest) ** 2
        empty = ~pilot & (np.abs(y) ** 2 < miss) & (miss > 9 * scale)
        used = in_use & ~empty
        share, unit = np.mean(used), np.mean(expected[used]) if used.any() else 0
        typical = np.sort(miss[used])[used.sum() // 2] if used.any() else 0
        most = 12 * max(self.noise + error * unit, 2 * typical)
        limit = np.sqrt(np.minimum(1, most / np.maximum(miss, 1e-30)))
        step = limit / np.maximum(np.maximum(unit, expected / 2), 1e-30)
        u = np.where(used, step * (y * mean.conj() - power * h), 0)
        distance = np.abs(y - h * mean) ** 2 + np.abs(h) ** 2 * (power - np.abs(mean) ** 2)
        distance = np.where(miss > most, np.minimum(distance, most), distance)[used].sum()
        innovation = self.basis.conj().T @ u
        n, r = self.basis.shape
        looked = np.sum(np.abs(u) ** 2)
        outside = max(0, 1 - np.sum(np.abs(innovation) ** 2) / looked) if looked > 0 else 1
        noise = distance * outside / ((n - r) * share) if share > 0.5 and n > r else None
        return innovation, share, unit, noise, np.where(used, mean, 0)

    def forward(self, y, known, in_use, points):
        """What each symbol showed of the coefficients [S, r], how much it told of them [S], E[x] of carriers [S, n]."""
        n, r = self.basis.shape
        state, variance = np.zeros(r, complex), self.error * self.noise
        change, drift, seen, told, means = None, 0.0, [], [], []
        for s in range(len(y)):
            before = variance.mean()
            h = self.base + self.basis @ state
            i, share, unit, noise, mean = self.look(y[s], h, known[s], in_use, points, (before + drift) * r / n)
            if noise is not None:
                self.noise = max(self.told, MEMORY * self.noise + (1 - MEMORY) * noise)
            now = np.mean(np.abs(i) ** 2)
            change = now if change is None else MEMORY * change + (1 - MEMORY) * now
            drift = max(0.0, change - self.noise / unit - before) if share * unit > 0 else 0.0
            variance = variance + drift * self.weight / self.weight.mean()
            gain = variance * share * unit / (variance * share * unit + self.noise)
            seen.append(state + i)
            told.append(share * unit)
            means.append(mean)
            state = state + gain * i
            variance = variance * (1 - gain)
        return np.array(seen), np.array(told), np.array(means)

    def walk(self, seen, precision, q):
        """(log likelihood, smoothed coefficients [S, r], their errors [S, r]): jointly Gaussian over the symbols."""
        s, r = seen.shape
        time = np.minimum.outer(np.arange(1, s + 1), np.arange(1, s + 1))
        told = precision > 0
        noise = np.diag(1 / precision[told])
        likelihood, smoothed, error = 0.0, np.zeros((s, r), complex), np.zeros((s, r))
        for i in range(r):
            prior = self.error[i] + q * self.weight[i] * time
            covariance = prior[np.ix_(told, told)] + noise
            fit = np.linalg.solve(covariance, seen[told, i])
            likelihood -= np.linalg.slogdet(covariance)[1] + np.vdot(seen[told, i], fit).real / self.noise
            smoothed[:, i] = prior[:, told] @ fit
            error[:, i] = np.diag(prior - prior[:, told] @ np.linalg.solve(covariance, prior[told]))
        return likelihood, smoothed, error

    def infer(self, seen, precision):
        """(smoothed coefficients [S, r], their errors [S, r]) under the likeliest walk."""
        return max((self.walk(seen, precision, q) for q in STEPS), key=lambda result: result[0])[1:]

    def again(self, y, known, in_use, points, smoothed, error):
        """As forward(), but each symbol at the channel that all of them have said."""
        n, r = self.basis.shape
        seen, told, means = [], [], []
        for s, h in enumerate(self.base + smoothed @ self.basis.T):
            expected = self.noise * error[s].mean() * r / n
            i, share, unit, _, mean = self.look(y[s], h, known[s], in_use, points, expected)
            seen.append(smoothed[s] + i)
            told.append(share * unit)
            means.append(mean)
        return np.array(seen), np.array(told), np.array(means)

    def run(self, received, known, in_use, points, turn, memory):
        """(channel [S, n], phase exp(j phi) [S]) of a block; turn: that phase, by the pilots. Moves `base` on."""

        def better(turn, channel, means, seen):
            """The phase by all carriers, and what was seen, turned by it."""
            now = common_phase((np.conj(channel * means) * received).sum(1), memory)
            start = self.basis.conj().T @ self.base
            return now, (seen + start) * (turn * now.conj())[:, None] - start

        before = self.noise
        seen, precision, means = self.forward(received * turn.conj()[:, None], known, in_use, points)
        self.error = self.error * before / self.noise
        smoothed, error = self.infer(seen, precision)
        channel = self.base + smoothed @ self.basis.T
        turn, _ = better(turn, channel, means, seen)
        still = received * turn.conj()[:, None]
        seen, precision, means = self.again(still, known, in_use, points, smoothed, error)
        turn, seen = better(turn, channel, means, seen)
        smoothed, error = self.infer(seen, precision)
        self.error = error[-1]
        channel = self.base + smoothed @ self.basis.T
        self.base = channel[-1] * turn[-1]
        return channel, turn


def equalise(received, carriers, known, points, channel, noise_var, error_var, fft_len=64, window=16, memory=0.8):
    """(equalised [S, n], channel of the last symbol [n]) of a frame received [S, n] on `carriers` (ascending).

    known [S, n]: pilots, 0 on data carriers. points: constellation. channel [n]: first estimate, its error variance
    error_var. window: longest delay in samples. memory: of the common phase."""
    received, known, points = (np.asarray(a, complex) for a in (received, known, points))
    tracker = Tracker(np.asarray(carriers), fft_len, window, np.asarray(channel, complex), noise_var, error_var)
    in_use = np.ones(len(carriers), bool)
    symbols = len(received)
    blocks = -(-symbols // BLOCK)
    # The first estimate as it was given finds the first block's phase, as in the core.
    base, out = np.asarray(channel, complex), np.zeros_like(received)
    for b in range(blocks):
        part = slice(b * symbols // blocks, (b + 1) * symbols // blocks)
        turn = common_phase((np.conj(base * known[part]) * received[part]).sum(1), memory)
        h, turn = tracker.run(received[part], known[part], in_use, points, turn, memory)
        out[part] = received[part] / (h * turn[:, None])
        base = tracker.base
    return out, base

# SPDX-License-Identifier: GPL-3.0-or-later
"""Phase and clock tracking of one packet, from pilots or from known symbols.

Model: symbol n (SIGNAL is 0) is turned by theta_n, the same on all carriers, and delayed by
drift * (n + T0) samples. theta is a random walk with an unknown constant frequency; it is 0 at the
middle of the long training field because the channel estimate was made there.
"""

import numpy as np

from . import wifi_phy
from .wifi_tables import DC, N_FFT, PILOT_VALUES, PILOTS

#: Symbols from the middle of the long training field to the middle of SIGNAL.
T0 = (128 + 16 + 32 - 64) / 80
#: Oscillator random walk per symbol, rad^2.
WALK = 2e-4
#: Remaining carrier offset per symbol, rad, that exists even with ideal synchronisation.
FREQ_STD = 0.02
#: Clock offset between two radios: standard deviation 15 ppm, limit 45 ppm, in samples a symbol.
DRIFT_STD = 15e-6 * 80
DRIFT_MAX = 45e-6 * 80

_K = np.arange(N_FFT) - DC


def smooth_phase(corr, variance, freq_std):
    """Kalman filter and smoother for the common phase.

    corr[n]: complex, its angle is the observed phase; variance[n] of that angle, rad^2.
    Returns theta[n], rad, unwrapped.
    """
    n = len(corr)
    observed = np.angle(corr).tolist()
    variance = np.broadcast_to(variance, n).tolist()
    two_pi = 2 * np.pi
    # State (theta, omega), covariance (a, b, c) = (tt, to, oo); predicted to SIGNAL's time.
    c = freq_std**2
    theta, omega = 0.0, 0.0
    a, b = c * T0**2 + WALK * T0, c * T0
    predicted, filtered = [], []
    for i in range(n):
        predicted.append((theta, omega, a, b, c))
        innovation = (observed[i] - theta + np.pi) % two_pi - np.pi
        gain_t, gain_o = a / (a + variance[i]), b / (a + variance[i])
        theta, omega = theta + gain_t * innovation, omega + gain_o * innovation
        a, b, c = (1 - gain_t) * a, (1 - gain_t) * b, c - gain_o * b
        filtered.append((theta, omega, a, b, c))
        theta, a, b = theta + omega, a + 2 * b + c + WALK, b + c
    out = np.empty(n)
    if not n:
        return out
    st, so = filtered[-1][:2]
    out[-1] = st
    for i in range(n - 2, -1, -1):
        theta, omega, a, b, c = filtered[i]
        pt, po, pa, pb, pc = predicted[i + 1]
        det = max(pa * pc - pb * pb, 1e-30)
        dt, do = st - pt, so - po
        # Predicted covariance^-1 times the step, then cov(filtered) F^T times that.
        u, v = (pc * dt - pb * do) / det, (pa * do - pb * dt) / det
        st = theta + (a + b) * u + b * v
        so = omega + (b + c) * u + c * v
        out[i] = st
    return out


def _ramp(n, k):
    """Phase per sample of drift: [n, m], positive drift delays."""
    return 2 * np.pi / N_FFT * np.outer(np.arange(n) + T0, k)


def coarse_drift(turned, k):
    """Clock drift in samples per symbol where it turns the outer carriers by radians; else 0.

    turned[n, m]: received times conjugate of expected; k[m]: carriers. Looks at the size of each
    symbol's sum, so the common phase need not be known.
    """
    ramp = _ramp(len(turned), k)
    steps = int(2 * DRIFT_MAX * np.abs(ramp).max() / 0.7) if turned.size else 0
    if steps < 3:
        return 0.0
    grid = np.linspace(-DRIFT_MAX, DRIFT_MAX, 2 * (steps // 2) + 1)
    score = [np.sum(np.abs(np.sum(turned * np.exp(1j * ramp * d), axis=1)) ** 2) for d in grid]
    return float(grid[int(np.argmax(score))])


def refine_drift(turned, weight, k, noise_var, drift):
    """Clock drift near `drift` from carriers whose common phase is removed.

    weight[m]: expected power of `turned`[n, m]; noise_var: per carrier. Maximum a posteriori under
    DRIFT_STD.
    """
    ramp = _ramp(len(turned), k)
    scale = 2 / max(noise_var, 1e-30)
    information = scale * np.sum(ramp**2 * weight) + DRIFT_STD**-2
    for _ in range(2):
        error = (turned * np.exp(1j * ramp * drift)).imag
        gradient = -scale * np.sum(ramp * error) - drift / DRIFT_STD**2
        drift = float(np.clip(drift + gradient / information, -DRIFT_MAX, DRIFT_MAX))
    return drift


def rotation(theta, drift):
    """Factors [n, 64] that undo phase theta[n] and clock drift."""
    t = np.arange(len(theta)) + T0
    return np.exp(-1j * theta[:, None] + 2j * np.pi * drift / N_FFT * np.outer(t, _K))


def follow(symbols, expected, carriers, h, noise_var, freq_std=FREQ_STD):
    """Phase and drift of symbols[n, 64] from known carriers.

    expected[n, m]: what was sent on `carriers`[m]; h[64]: channel estimate; noise_var: per carrier
    and symbol. Returns (theta[n], drift).
    """
    weight = np.abs(h[carriers]) ** 2
    turned = symbols[:, carriers] * np.conj(expected * h[carriers])
    power = np.sum(np.abs(expected) ** 2 * weight, axis=1)
    variance = max(noise_var, 1e-30) / np.maximum(2 * power, 1e-30)
    # An angle is never worse than uniform on the circle.
    variance = np.minimum(variance, 3.3)
    theta, drift = np.zeros(len(symbols)), coarse_drift(turned, carriers - DC)
    for _ in range(2 if len(symbols) > 8 else 1):
        undo = rotation(np.zeros(len(symbols)), drift)[:, carriers]
        theta = smooth_phase(np.sum(turned * undo, axis=1), variance, freq_std)
        mean_power = weight * np.mean(np.abs(expected) ** 2, axis=0)
        straight = turned * np.exp(-1j * theta)[:, None]
        drift = refine_drift(straight, mean_power, carriers - DC, noise_var, drift)
    return theta, drift


def follow_pilots(symbols, h, noise_var, freq_std=FREQ_STD):
    """`follow` on the four pilot carriers; symbols[0] must be the SIGNAL symbol."""
    expected = wifi_phy.pilot_polarity(len(symbols))[:, None] * PILOT_VALUES
    return follow(symbols, expected, PILOTS, h, noise_var, freq_std)


def sync_freq_std(noise_var, power):
    """Carrier offset left by the LTF synchroniser, rad per symbol, at a per-carrier SNR."""
    ratio = noise_var / max(power, 1e-30)
    return float(np.sqrt(FREQ_STD**2 + (80 / 64) ** 2 * (ratio + ratio**2 / 2) / 64))

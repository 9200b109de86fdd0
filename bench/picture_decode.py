# SPDX-License-Identifier: GPL-3.0-or-later
"""Times the receiving side of a photograph, NumPy against the C++ core: octets and symbols -> picture, and soft bits ->
octets. One thread: OMP_NUM_THREADS=1 python bench/picture_decode.py [--size 512 768] [--runs 5]
"""

import argparse
import time

import numpy as np
from gnuradio.diffsem import core, scheme
from gr_diffsem.base import picture_transform
from gr_diffsem.codec import digital_part, picture_codec
from gr_diffsem.phy import soft_demap


def photograph(h, w):
    """A field of a photograph's spectrum, in which entropy coder and allocation have what a photograph gives them."""
    rng = np.random.default_rng(1)
    f = np.hypot(np.arange(h)[:, None] / h, np.arange(w) / w) + 1e-2
    image = picture_transform.inverse(rng.standard_normal((3, h, w)) / f**1.3 * np.array([1, 0.25, 0.2])[:, None, None])
    return np.rint((0.5 + 0.16 * image / image.std()).clip(0, 1) * 255).astype(np.uint8)


def median_ms(action, runs):
    """Median time of a run after a first one, which fills caches."""
    action()
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        took.append(time.perf_counter() - began)
    return 1e3 * float(np.median(took))


def report(name, numpy_ms, core_ms):
    print(f"{name:44} {numpy_ms:9.1f} ms {core_ms:9.1f} ms {numpy_ms / core_ms:7.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=(512, 768))
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    h, w = args.size
    estimator = core.picture_estimator(scheme("linear"))
    rng = np.random.default_rng(2)
    print(f"{'':44} {'NumPy':>12} {'core':>12}   ratio")
    for name, rate in (("1/48", 48), ("1/6", 6)):
        made = picture_codec.encode(photograph(h, w), 3 * h * w // rate)
        n = made.symbols.size
        noise_var = np.full(n, 0.3, np.float32)
        symbols = (made.symbols + np.sqrt(0.15) * (rng.standard_normal(n) + 1j * rng.standard_normal(n))).astype(
            np.complex64
        )

        def twin(made=made, symbols=symbols, noise_var=noise_var):
            return picture_codec.linear(picture_codec.Plan.from_bytes(made.digital), symbols, noise_var)

        def of_core(made=made, symbols=symbols, noise_var=noise_var):
            return core.receive_picture(estimator, made.digital, symbols, noise_var)

        report(f"{h} x {w}, CBR {name}, linear", median_ms(twin, args.runs), median_ms(of_core, args.runs))
    for snr_db in (0, -4):
        data = rng.integers(0, 256, 200, np.uint8).tobytes()
        sent, size = digital_part.modulate(data), digital_part.size_index(200)
        noise = 10 ** (-snr_db / 10)
        received = sent + np.sqrt(noise / 2) * (rng.standard_normal(sent.size) + 1j * rng.standard_normal(sent.size))
        soft, code = soft_demap.qpsk(received, noise), core.DigitalCode(size)
        assert code.decode(soft) == digital_part.decode(soft, size) == data
        report(
            f"digital part of 200 octets at {snr_db} dB",
            median_ms(lambda soft=soft, size=size: digital_part.decode(soft, size), args.runs),
            median_ms(lambda soft=soft, code=code: code.decode(soft), args.runs),
        )


if __name__ == "__main__":
    main()

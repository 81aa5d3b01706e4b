"""An invisible watermark of 48 bits in the luminance: a keyed spread-spectrum code in the middle frequencies of the whole picture's cosine transform.

The picture's luminance is looked at in 128 x 128 px, whatever its own size, so that a resized copy is read alike. Keyed signs (chips) spread each of 64
bits, 48 of payload and 16 of check, over 32 frequencies. Embedding is informed: it measures what the picture itself says about each bit and adds the least
change that brings it to a margin, so that an untouched copy is read without an error (improved spread spectrum, Malvar and Florencio 2003).
A quarter of the frequencies, the pilot, holds known signs: whether there is a watermark at all is decided by them, before any bit is believed.
"""

# H W pixels, S S canonical pixels, K frequencies of the band, B bits

from __future__ import annotations

import binascii
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PAYLOAD_BITS = 48
CHECK_BITS = 16  # CRC-16 of the payload
MIN_SIDE_PX = 96
PRESENT_Z = 6.0  # of random chips a pilot reaches it with probability below exp(-18) = 1.5e-8, on any picture (Hoeffding)
PUBLIC_KEY = b"facemint wm48 1"  # anybody may detect; so anybody who wants to can remove it, too

_SIDE = 128
_BAND = (24.0, 64.0)  # radius in half periods per picture: below, the picture is strong; above, JPEG and resizing delete
_PILOT_SHARE = 0.25
_PILOT_TARGET_Z = 10.0
_MARGIN = 7.0  # of a bit, in standard deviations of the change that JPEG of quality 75 makes
_NOISE = 2.0  # that deviation per frequency, grey levels; 1.8 to 2.6 over the band, measured on 64 pictures
_WEAK_BITS = 8  # 37 words are tried, so a damaged payload passes the check by chance once in 1,800 times
_ROUNDS = 3  # rounding to 8 bits and clipping take some of the change away; what is missing is added again
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a picture says when it is asked for a watermark."""

    z: float  # of the pilot; noise of variance 1 on a picture without one
    payload: int  # 48 bits, meaningless unless `sound`
    check_holds: bool

    @property
    def present(self) -> bool:
        """Whether a watermark is there, readable or not."""
        return self.z >= PRESENT_Z

    @property
    def sound(self) -> bool:
        """Whether the payload can be believed."""
        return self.present and self.check_holds

    def bit_accuracy(self, expected: int) -> float:
        """Share of the 48 bits that equal the expected ones; 0.5 is chance."""
        return 1 - (self.payload ^ expected).bit_count() / PAYLOAD_BITS


def embed(image_rgb: NDArray[np.uint8], payload: int, key: bytes = PUBLIC_KEY) -> NDArray[np.uint8]:
    """The picture (H, W, 3) with the payload, 0 .. 2^48 - 1; all three channels change alike, so colours stay."""
    if not 0 <= payload < 2**PAYLOAD_BITS:
        raise ValueError(f"watermark: payload {payload} doesn't fit into {PAYLOAD_BITS} bits")
    code = _code(key)
    wanted = 2.0 * _bits(payload) - 1  # (B,)
    change = np.zeros((_SIDE, _SIDE))
    marked = image_rgb
    for _ in range(_ROUNDS):
        values = code.values(marked)  # (K,)
        pilot, bits = code.correlate(values)
        target = max(_PILOT_TARGET_Z * code.pilot_deviation(values), _MARGIN * _NOISE * code.pilot_length)
        missing_bits = np.maximum(_MARGIN * _NOISE * code.bit_lengths - wanted * bits, 0) * wanted
        change += code.change(max(target - pilot, 0.0), missing_bits)
        marked = _add(image_rgb, change)
    return marked


def read(image_rgb: NDArray[np.uint8], key: bytes = PUBLIC_KEY) -> Reading:
    """What a picture (H, W, 3) of any size says."""
    code = _code(key)
    values = code.values(image_rgb)
    pilot, bits = code.correlate(values)
    deviation = code.pilot_deviation(values)
    payload, holds = _decoded(bits / code.bit_lengths)
    return Reading(z=pilot / deviation if deviation > 0 else 0.0, payload=payload, check_holds=holds)


class _Code:
    """Which frequency carries which bit with which sign, for a key."""

    def __init__(self, key: bytes) -> None:
        across, down = np.meshgrid(np.arange(_SIDE), np.arange(_SIDE))
        radius = np.hypot(across, down)
        self._places = np.flatnonzero((radius >= _BAND[0]) & (radius < _BAND[1]))  # (K,)
        count = len(self._places)
        self._weights = radius.ravel()[self._places] / _BAND[1]  # (K,) pictures have less of their own where the radius is larger
        # subtle: from a hash and not from a generator of random numbers, whose stream may change with its library
        stream = hashlib.shake_256(key).digest(9 * count)
        order = np.argsort(np.frombuffer(stream[: 8 * count], dtype=">u8"), kind="stable")
        signs = (np.frombuffer(stream[8 * count :], dtype=np.uint8) & 1) * 2.0 - 1
        self._chips = signs * self._weights
        pilots = int(count * _PILOT_SHARE)
        self._group = np.empty(count, dtype=np.int64)  # (K,) 0: pilot, 1 + b: bit b
        self._group[order[:pilots]] = 0
        self._group[order[pilots:]] = 1 + np.arange(count - pilots) % (PAYLOAD_BITS + CHECK_BITS)
        energy = np.bincount(self._group, weights=self._weights**2)
        self.pilot_length, self.bit_lengths = float(np.sqrt(energy[0])), np.sqrt(energy[1:])
        self._energy = energy

    def values(self, image_rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The frequencies of the band (K,)."""
        from scipy.fft import dctn

        luma = image_rgb @ _LUMA  # (H, W)
        if luma.shape != (_SIDE, _SIDE):
            luma = np.asarray(Image.fromarray(luma.astype(np.float32)).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), dtype=np.float64)
        return np.asarray(dctn(luma, norm="ortho").ravel()[self._places], dtype=np.float64)

    def correlate(self, values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Correlation with the pilot, and with each bit (B,)."""
        sums = np.bincount(self._group, weights=values * self._chips).astype(np.float64)
        return float(sums[0]), sums[1:]

    def pilot_deviation(self, values: NDArray[np.float64]) -> float:
        """Standard deviation of the pilot's correlation over random signs."""
        pilots = self._group == 0
        return float(np.linalg.norm((values * self._weights)[pilots]))

    def change(self, pilot: float, bits: NDArray[np.float64]) -> NDArray[np.float64]:
        """The smallest change (S, S) of luminance that adds this much to the correlations."""
        from scipy.fft import idctn

        wanted = np.concatenate([[pilot], bits]) / self._energy
        spectrum = np.zeros(_SIDE * _SIDE)
        spectrum[self._places] = wanted[self._group] * self._chips
        return np.asarray(idctn(spectrum.reshape(_SIDE, _SIDE), norm="ortho"), dtype=np.float64)


@lru_cache(maxsize=4)
def _code(key: bytes) -> _Code:
    return _Code(key)


def _add(image_rgb: NDArray[np.uint8], change: NDArray[np.float64]) -> NDArray[np.uint8]:
    height, width = image_rgb.shape[:2]
    if change.shape != (height, width):
        change = np.asarray(Image.fromarray(change.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64)
    return np.asarray(np.clip(np.rint(image_rgb + change[:, :, None]), 0, 255), dtype=np.uint8)


def _bits(payload: int) -> NDArray[Any]:
    number = payload << CHECK_BITS | _crc(payload)
    return np.array([int(digit) for digit in f"{number:0{PAYLOAD_BITS + CHECK_BITS}b}"], dtype=np.int64)


def _decoded(bits: NDArray[np.float64]) -> tuple[int, bool]:
    """Payload of soft bits (B,), and whether the check holds; up to two of the eight least certain bits are turned to make it hold."""
    number = int("".join("1" if bit > 0 else "0" for bit in bits), 2)
    weak = [1 << (len(bits) - 1 - int(place)) for place in np.argsort(np.abs(bits), kind="stable")[:_WEAK_BITS]]
    for turned in (0, *weak, *(one | other for one, other in combinations(weak, 2))):
        payload, check = (number ^ turned) >> CHECK_BITS, (number ^ turned) & (2**CHECK_BITS - 1)
        if check == _crc(payload):
            return payload, True
    return number >> CHECK_BITS, False


def _crc(payload: int) -> int:
    return binascii.crc_hqx(payload.to_bytes(PAYLOAD_BITS // 8, "big"), 0xFFFF)

"""Plants leaks: copies of training pictures among made ones, and exchanged labels among right ones."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from qc.dataset.hashes import phash64, phash64_mirrored, phash256, phash256_mirrored, phash256_rows
from qc.dataset.leakage import Copy, find_copies

Rgb = NDArray[np.uint8]
Change = Callable[[Rgb, np.random.Generator], Rgb]


def recoded(quality: int, form: str = "JPEG") -> Change:
    def change(image: Rgb, _: np.random.Generator) -> Rgb:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, form, quality=quality)
        return np.asarray(Image.open(stream).convert("RGB"))

    return change


def resized(side: int) -> Change:
    """To another size and back to that of the data set."""

    def change(image: Rgb, _: np.random.Generator) -> Rgb:
        there = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if side < image.shape[0] else cv2.INTER_CUBIC)
        return np.asarray(cv2.resize(there, image.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)

    return change


def _light(factor: NDArray[np.floating] | float, gamma: float = 1.0) -> Change:
    return lambda image, _: np.asarray((255 * (image / 255) ** gamma * factor).clip(0, 255).round(), np.uint8)


def one_sided(image: Rgb, draw: np.random.Generator) -> Rgb:
    """Light that falls from one side to the other by 40 %."""
    ramp = np.linspace(1.2, 0.8, image.shape[1])[None, :, None]
    return _light(ramp if draw.random() < 0.5 else ramp[:, ::-1])(image, draw)


def flipped(image: Rgb, _: np.random.Generator) -> Rgb:
    return np.ascontiguousarray(image[:, ::-1])


def after(*changes: Change) -> Change:
    def change(image: Rgb, draw: np.random.Generator) -> Rgb:
        for each in changes:
            image = each(image, draw)
        return image

    return change


def turned(degrees: float) -> Change:
    def change(image: Rgb, draw: np.random.Generator) -> Rgb:
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees if draw.random() < 0.5 else -degrees, 1)
        return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)

    return change


def cropped(share: float) -> Change:
    def change(image: Rgb, _: np.random.Generator) -> Rgb:
        edge = round(image.shape[0] * share)
        return np.asarray(cv2.resize(image[edge:-edge, edge:-edge], image.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)

    return change


# What a copy is asked to survive.
COPIES: dict[str, Change] = {
    "exact": lambda image, _: image.copy(),
    "JPEG 95": recoded(95),
    "JPEG 75": recoded(75),
    "JPEG 50": recoded(50),
    "WebP 80": recoded(80, "WEBP"),
    "resized to 64 and back": resized(64),
    "resized to 300 and back": resized(300),
    "flipped": flipped,
    "flipped, JPEG 75": after(flipped, recoded(75)),
    "gain 0.8": _light(0.8),
    "gain 1.15": _light(1.15),
    "gamma 0.7": _light(1.0, 0.7),
    "gamma 1.4": _light(1.0, 1.4),
    "light from one side": one_sided,
    "light from one side, JPEG 75": after(one_sided, recoded(75)),
    "flipped, gamma 1.4, JPEG 75": after(flipped, _light(1.0, 1.4), recoded(75)),
}
# Of these, those whose hash moves most: their light changes unevenly.
RELIT = tuple(name for name in COPIES if "gamma" in name or "one side" in name)
# What a perceptual hash of the whole picture is not made for; measured and said.
BEYOND: dict[str, Change] = {"turned by 3 degrees": turned(3), "turned by 10 degrees": turned(10), "cropped by 5 %": cropped(0.05), "gain 0.5": _light(0.5)}


def copies_among(images: Sequence[Rgb], gallery_phash64: NDArray[np.uint64], gallery_phash256: NDArray[np.uint8]) -> tuple[Copy, ...]:
    """Copies of gallery pictures as the report finds them among embedded pictures."""
    return find_copies(
        pixel_sha256=np.zeros(len(images), "U1"),
        phash64=np.array([phash64(image) for image in images], np.uint64),
        mirrored_phash64=np.array([phash64_mirrored(image) for image in images], np.uint64),
        phash256=phash256_rows([phash256(image) for image in images]),
        mirrored_phash256=phash256_rows([phash256_mirrored(image) for image in images]),
        gallery_pixel_sha256=None,
        gallery_phash64=gallery_phash64,
        gallery_phash256=gallery_phash256,
    )


def swap_singles(asked: NDArray[np.int64], share: float, num_classes: int, draw: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The classes with a share of them replaced by another class, and the places of these."""
    places = np.sort(draw.choice(len(asked), max(1, round(share * len(asked))), replace=False))
    changed = asked.copy()
    changed[places] = (asked[places] + draw.integers(1, num_classes, len(places))) % num_classes
    return changed, places


def swap_words_of_people(
    asked: NDArray[np.int64], people: NDArray[np.int64], count: int, draw: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two classes exchanged in all pictures of some people, as a shifted folder does; and the places of these pictures."""
    changed, places = asked.copy(), []
    for person in draw.choice(np.unique(people), min(count, len(np.unique(people))), replace=False):
        of = np.flatnonzero(people == person)
        present = np.unique(asked[of])
        if len(present) < 2:
            continue
        first, second = draw.choice(present, 2, replace=False)
        for old, new in ((first, second), (second, first)):
            moved = of[asked[of] == old]
            changed[moved] = new
            places.append(moved)
    return changed, np.sort(np.concatenate(places)) if places else np.zeros(0, np.int64)

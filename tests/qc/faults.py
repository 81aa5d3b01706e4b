"""Faults that are planted into good pictures: how they are made, whether they are hard, and which checks should say so."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Rgb = NDArray[np.uint8]
Points = NDArray[np.float32]
HARD, SOFT = "hard", "soft"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A change of a picture; `apply` gets the picture (H, W, 3), its five points (5, 2) px, another picture, and a generator."""

    name: str
    kind: str  # hard, soft
    expected: tuple[str, ...]  # reasons of which one should be given
    apply: Callable[[Rgb, Points, Rgb, np.random.Generator], Rgb]


@dataclass(frozen=True, kw_only=True)
class FileFault:
    """A change of a picture's file."""

    name: str
    expected: tuple[str, ...]  # reasons of `qc.images.Refused`
    apply: Callable[[bytes], bytes]


def saved(image: Rgb, form: str = "JPEG", **more: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, form, **({"quality": 95, "subsampling": 0} if form == "JPEG" and not more else more))
    return stream.getvalue()


FILE_FAULTS = (
    FileFault(name="file cut at half", expected=("damaged",), apply=lambda content: content[: len(content) // 2]),
    FileFault(name="file cut within its header", expected=("damaged", "not_a_picture"), apply=lambda content: content[:100]),
    FileFault(name="empty file", expected=("empty",), apply=lambda _: b""),
    FileFault(name="file of zeros", expected=("not_a_picture",), apply=lambda content: bytes(len(content))),
    FileFault(
        name="GIF named JPEG", expected=("not_a_picture",), apply=lambda content: saved(np.asarray(Image.open(io.BytesIO(content))), "GIF", optimize=False)
    ),
)


def _filled(*rgb: int) -> Callable[[Rgb, Points, Rgb, np.random.Generator], Rgb]:
    return lambda image, *_: np.full_like(image, rgb)


def _levels(change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Callable[[Rgb, Points, Rgb, np.random.Generator], Rgb]:
    return lambda image, *_: change(image.astype(np.float64)).clip(0, 255).round().astype(np.uint8)


def _blurred(sigma: float) -> Callable[[Rgb, Points, Rgb, np.random.Generator], Rgb]:
    return lambda image, *_: np.asarray(cv2.GaussianBlur(image, (0, 0), sigma * image.shape[0] / 128), np.uint8)


def _moved(dx: float, dy: float, degrees: float = 0.0, scale: float = 1.0) -> Callable[[Rgb, Points, Rgb, np.random.Generator], Rgb]:
    """Moved by shares of the side, turned and scaled, either way; the edge is mirrored."""

    def apply(image: Rgb, points: Points, other: Rgb, draw: np.random.Generator) -> Rgb:
        height, width = image.shape[:2]
        sign = draw.choice([-1, 1], 3)
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(sign[0] * degrees), scale)
        matrix[:, 2] += np.array([sign[1] * dx * width, sign[2] * dy * height])
        return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)

    return apply


def _face_ellipse(image: Rgb, points: Points, grow: float = 1.0) -> NDArray[np.float32]:
    """1 inside an ellipse around the face, with a soft edge (H, W, 1)."""
    eyes = float(np.linalg.norm(points[1] - points[0]))
    x, y = points[[0, 1, 3, 4]].mean(axis=0)
    mask = np.zeros(image.shape[:2], np.float32)
    cv2.ellipse(mask, (round(float(x)), round(float(y))), (round(1.15 * grow * eyes), round(1.6 * grow * eyes)), 0, 0, 360, 1.0, -1)
    return mask[..., None]


def face_removed(image: Rgb, points: Points, other: Rgb, draw: np.random.Generator) -> Rgb:
    mask = (_face_ellipse(image, points, 1.1)[..., 0] > 0).astype(np.uint8)
    return np.asarray(cv2.inpaint(image, mask, 5, cv2.INPAINT_TELEA), np.uint8)


def face_smeared(image: Rgb, points: Points, other: Rgb, draw: np.random.Generator) -> Rgb:
    mask = _face_ellipse(image, points)
    return np.asarray(image * (1 - mask) + cv2.GaussianBlur(image, (0, 0), image.shape[0] / 10) * mask, np.uint8)


def second_face(image: Rgb, points: Points, other: Rgb, draw: np.random.Generator) -> Rgb:
    """Another picture at half its size in a corner."""
    side = image.shape[0] // 2
    small = cv2.resize(other, (side, side), interpolation=cv2.INTER_AREA)
    changed, left = image.copy(), int(draw.integers(2)) * (image.shape[1] - side)
    changed[:side, left : left + side] = small
    return changed


def noise(image: Rgb, points: Points, other: Rgb, draw: np.random.Generator) -> Rgb:
    return draw.integers(0, 256, image.shape, dtype=np.uint8)


def noisy(image: Rgb, points: Points, other: Rgb, draw: np.random.Generator) -> Rgb:
    return (image + draw.normal(0, 70, image.shape)).clip(0, 255).astype(np.uint8)


def constant_part(image: Rgb, points: Points, other: Rgb, draw: np.random.Generator) -> Rgb:
    """The lower 60 % is one colour, as in a file that was only partly written."""
    changed = image.copy()
    changed[int(0.4 * image.shape[0]) :] = 128
    return changed


def half_mirrored(image: Rgb, points: Points, other: Rgb, draw: np.random.Generator) -> Rgb:
    """Left and right half exchanged."""
    return np.ascontiguousarray(np.roll(image, image.shape[1] // 2, axis=1))


def _bar(first: int, second: int, share: float) -> Callable[[Rgb, Points, Rgb, np.random.Generator], Rgb]:
    """A black bar over two of the five points."""

    def apply(image: Rgb, points: Points, other: Rgb, draw: np.random.Generator) -> Rgb:
        eyes = float(np.linalg.norm(points[1] - points[0]))
        x0, x1 = points[[first, second], 0].min() - 0.45 * eyes, points[[first, second], 0].max() + 0.45 * eyes
        y = points[[first, second], 1].mean()
        changed = image.copy()
        changed[max(0, round(y - share * eyes)) : round(y + share * eyes), max(0, round(x0)) : round(x1)] = 12
        return changed

    return apply


def seam(image: Rgb, points: Points, other: Rgb, draw: np.random.Generator) -> Rgb:
    """The face is 30 levels brighter inside a hard edge, as a badly blended one."""
    mask = _face_ellipse(image, points)
    return (image + 30 * mask).clip(0, 255).astype(np.uint8)


def jpeg10(image: Rgb, points: Points, other: Rgb, draw: np.random.Generator) -> Rgb:
    return np.asarray(Image.open(io.BytesIO(saved(image, "JPEG", quality=10))).convert("RGB"))


def smaller(image: Rgb, points: Points, other: Rgb, draw: np.random.Generator) -> Rgb:
    return np.asarray(cv2.resize(image, (image.shape[1] * 3 // 4, image.shape[0] * 3 // 4), interpolation=cv2.INTER_AREA), np.uint8)


_FACE = ("no_face", "alignment", "identity")
FAULTS = (
    Fault(name="wrong size", kind=HARD, expected=("integrity",), apply=smaller),
    Fault(name="black", kind=HARD, expected=("blank", "no_face"), apply=_filled(0, 0, 0)),
    Fault(name="white", kind=HARD, expected=("blank", "no_face"), apply=_filled(255, 255, 255)),
    Fault(name="one colour", kind=HARD, expected=("blank", "no_face"), apply=_filled(128, 110, 90)),
    Fault(name="noise", kind=HARD, expected=("no_face",), apply=noise),
    Fault(name="lower part of one colour", kind=HARD, expected=("integrity",), apply=constant_part),
    Fault(name="face painted over", kind=HARD, expected=_FACE, apply=face_removed),
    Fault(name="face smeared", kind=HARD, expected=(*_FACE, "sharpness"), apply=face_smeared),
    Fault(name="second face", kind=HARD, expected=("many_faces",), apply=second_face),
    Fault(name="moved by 30 %", kind=HARD, expected=("alignment", "crop", "no_face"), apply=_moved(0.3, 0.3)),
    Fault(name="at 60 % of its size", kind=HARD, expected=("alignment", "crop", "no_face", "many_faces"), apply=_moved(0, 0, 0, 0.6)),
    Fault(name="upside down", kind=HARD, expected=("alignment", "no_face", "pose"), apply=lambda image, *_: np.ascontiguousarray(image[::-1, ::-1])),
    Fault(name="turned by 90 degrees", kind=HARD, expected=("alignment", "no_face", "pose"), apply=lambda image, *_: np.ascontiguousarray(np.rot90(image))),
    Fault(name="halves exchanged", kind=HARD, expected=(*_FACE, "crop"), apply=half_mirrored),
    Fault(name="strong blur", kind=HARD, expected=("sharpness", "no_face"), apply=_blurred(4)),
    Fault(name="burnt out", kind=HARD, expected=("exposure", "integrity", "no_face"), apply=_levels(lambda x: 4 * x + 40)),
    Fault(name="dark", kind=HARD, expected=("exposure", "blank", "no_face"), apply=_levels(lambda x: 0.08 * x)),
    Fault(name="strong noise", kind=HARD, expected=("no_face", "sharpness", "identity", "integrity"), apply=noisy),
    Fault(name="negative", kind=HARD, expected=("colour", "exposure", "identity", "no_face"), apply=_levels(lambda x: 255 - x)),
    Fault(name="red and blue exchanged", kind=HARD, expected=("colour",), apply=lambda image, *_: np.ascontiguousarray(image[..., ::-1])),
    Fault(name="mild blur", kind=SOFT, expected=("sharpness",), apply=_blurred(1.5)),
    Fault(name="underexposed, gain 0.35", kind=SOFT, expected=("exposure",), apply=_levels(lambda x: 0.35 * x)),
    Fault(name="overexposed, gain 1.9", kind=SOFT, expected=("exposure", "integrity"), apply=_levels(lambda x: 1.9 * x)),
    Fault(name="low contrast", kind=SOFT, expected=("exposure", "seam", "illumination", "sharpness"), apply=_levels(lambda x: 0.3 * x + 90)),
    Fault(name="colour cast", kind=SOFT, expected=("colour",), apply=_levels(lambda x: x * np.array([0.75, 1.2, 0.8]))),
    Fault(name="moved by 8 %", kind=SOFT, expected=("alignment", "crop", "seam"), apply=_moved(0.08, 0.08)),
    Fault(name="turned by 15 degrees", kind=SOFT, expected=("alignment", "pose", "seam"), apply=_moved(0, 0, 15)),
    Fault(name="JPEG quality 10", kind=SOFT, expected=("compression",), apply=jpeg10),
    Fault(name="seam around the face", kind=SOFT, expected=("seam",), apply=seam),
    Fault(name="bar over the eyes", kind=SOFT, expected=("eyes", "identity", "expression", "no_face"), apply=_bar(0, 1, 0.28)),
    Fault(name="bar over the mouth", kind=SOFT, expected=("mouth", "expression", "identity", "no_face"), apply=_bar(3, 4, 0.3)),
)

"""Pictures with any number of faces anywhere: corpus portraits pasted on made-up backgrounds, for training the detector."""

# B pictures, K faces of one picture

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.training.augment import jitter_bytes
from generator.training.corpus import Corpus
from manifests.geometry import PORTRAIT_TEMPLATE, similarity_transform, transform_points

CANVAS_SIZE = 192
FACE_SIDE_OF_PORTRAIT = 0.6  # a face's side, as a share of the portrait crop that the five points would be aligned to
MIN_SIDE_PX, MAX_SIDE_PX = 24.0, 170.0
FACE_LABELS = (1, 4, 5, 6, 8)
MIRROR5 = np.array([1, 0, 2, 4, 3])


def face_side_px(landmarks5_px: NDArray[np.floating]) -> NDArray[np.float64]:
    """Side of a face from its five points (..., 5, 2): the scale of the similarity from the portrait template."""
    matrix = similarity_transform(PORTRAIT_TEMPLATE, landmarks5_px)
    return FACE_SIDE_OF_PORTRAIT * np.linalg.norm(matrix[..., 0, :2], axis=-1)


def face_centre_px(landmarks5_px: NDArray[np.floating]) -> NDArray[np.float64]:
    """Middle between the eyes' and the mouth corners' middle; (..., 5, 2) to (..., 2)."""
    points = np.asarray(landmarks5_px, dtype=np.float64)
    return points[..., [0, 1, 3, 4], :].mean(axis=-2)


class Composer:
    """Draws composites of corpus rows; `pieces` are parts of the same portraits that show no face."""

    def __init__(self, corpus: Corpus, *, num_pieces: int, seed: int = 0) -> None:
        self.corpus = corpus
        self.pieces = _faceless_pieces(corpus, num_pieces, np.random.default_rng(seed))

    def draw(self, count: int, draw: np.random.Generator) -> tuple[NDArray[np.uint8], list[NDArray[np.float64]]]:
        """(B, 192, 192, 3) pictures and, for each, the five points (K, 5, 2) of its faces; about one picture in six has none."""
        pictures = np.empty((count, CANVAS_SIZE, CANVAS_SIZE, 3), dtype=np.uint8)
        faces = []
        for i in range(count):
            canvas = self.background(draw)
            wanted = int(draw.choice(4, p=(0.16, 0.5, 0.22, 0.12)))
            canvas, points = self.paste_faces(canvas, wanted, draw)
            pictures[i] = _camera(canvas, draw)
            faces.append(points)
        return jitter_bytes(pictures, draw, strength=1.4, grey=0.2), faces

    def background(self, draw: np.random.Generator) -> NDArray[np.uint8]:
        """A canvas without faces: colour, clouds, stripes, faceless pieces alone or in a mosaic, or a portrait's tiles in wild order."""
        kind = draw.choice(("colour", "clouds", "stripes", "piece", "mosaic", "tiles"), p=(0.06, 0.26, 0.12, 0.16, 0.2, 0.2))
        match kind:
            case "colour":
                canvas = np.full((CANVAS_SIZE, CANVAS_SIZE, 3), draw.integers(0, 256, 3), dtype=np.uint8)
            case "clouds":
                canvas = _clouds(draw)
            case "stripes":
                canvas = _stripes(draw)
            case "piece":
                canvas = _resized(self.pieces[draw.integers(len(self.pieces))], CANVAS_SIZE, CANVAS_SIZE)
            case "mosaic":
                canvas = self._mosaic(draw)
            case _:
                canvas = self._tiles(draw)
        if draw.random() < 0.45:
            _shapes(canvas, self.pieces, draw)
        if draw.random() < 0.3:
            canvas = _lights(canvas, draw)
        return canvas

    def paste_faces(self, canvas: NDArray[np.uint8], count: int, draw: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Pastes up to `count` portraits, cut out or as a rectangle, that don't hide one another's faces."""
        placed: list[NDArray[np.float64]] = []
        for _ in range(count):
            row = int(draw.integers(len(self.corpus)))
            own = self.corpus.landmarks5_px[row].astype(np.float64)
            side = np.exp(draw.uniform(np.log(MIN_SIDE_PX), np.log(MAX_SIDE_PX if count == 1 else 90.0)))
            zoom, angle = side / face_side_px(own), np.radians(draw.normal(0, 10.0))
            linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            flip = draw.random() < 0.5
            if flip:
                linear[:, 0] *= -1
            margin = min(0.45 * side, 0.45 * CANVAS_SIZE)
            goal = draw.uniform(margin, CANVAS_SIZE - margin, 2)
            matrix = np.concatenate([linear, (goal - linear @ face_centre_px(own))[:, None]], axis=1)
            if any(np.linalg.norm(face_centre_px(other) - goal) < 0.65 * (side + face_side_px(other)) for other in placed):
                continue
            keep = (self.corpus.labels[row] > 0).astype(np.uint8) * 255
            if draw.random() < 0.35:
                keep[:] = 255
            canvas = _paste(canvas, self.corpus.images_rgb[row], keep, matrix)
            points = transform_points(matrix, own)
            placed.append(points[MIRROR5] if flip else points)
        if placed and draw.random() < 0.2:
            _occlude(canvas, placed[int(draw.integers(len(placed)))], self.pieces, draw)
        return canvas, np.stack(placed) if placed else np.zeros((0, 5, 2))

    def _mosaic(self, draw: np.random.Generator) -> NDArray[np.uint8]:
        canvas = _clouds(draw)
        for _ in range(int(draw.integers(6, 30))):
            width, height = (int(v) for v in np.exp(draw.uniform(np.log(10), np.log(110), 2)))
            x, y = (int(v) for v in draw.integers(0, CANVAS_SIZE - 8, 2))
            x1, y1 = min(CANVAS_SIZE, x + width), min(CANVAS_SIZE, y + height)
            piece = self.pieces[int(draw.integers(len(self.pieces)))]
            canvas[y:y1, x:x1] = _resized(np.ascontiguousarray(np.rot90(piece, int(draw.integers(4)))), x1 - x, y1 - y)
        return canvas

    def _tiles(self, draw: np.random.Generator) -> NDArray[np.uint8]:
        tile = int(draw.choice((16, 24, 32)))
        source = _resized(self.corpus.images_rgb[draw.integers(len(self.corpus))], CANVAS_SIZE, CANVAS_SIZE)
        per_side = CANVAS_SIZE // tile
        blocks = source.reshape(per_side, tile, per_side, tile, 3).swapaxes(1, 2).reshape(-1, tile, tile, 3)
        blocks = blocks[draw.permutation(len(blocks))].reshape(per_side, per_side, tile, tile, 3)
        return np.ascontiguousarray(blocks.swapaxes(1, 2).reshape(CANVAS_SIZE, CANVAS_SIZE, 3))


def _resized(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, (width, height)), dtype=np.uint8)


def _paste(canvas: NDArray[np.uint8], image: NDArray[np.uint8], keep: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5  # subtle: OpenCV puts pixel centres at whole numbers
    if np.linalg.norm(matrix[0, :2]) < 0.7:  # shrinking needs a blur first
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.35 / float(np.linalg.norm(matrix[0, :2]))), dtype=np.uint8)
    four = np.dstack([image, keep])
    warped = cv2.warpAffine(four, shifted, (CANVAS_SIZE, CANVAS_SIZE), flags=cv2.INTER_LINEAR)
    alpha = warped[..., 3:].astype(np.float32) / 255
    return np.round(warped[..., :3] * alpha + canvas * (1 - alpha)).astype(np.uint8)


def _faceless_pieces(corpus: Corpus, count: int, draw: np.random.Generator) -> list[NDArray[np.uint8]]:
    pieces: list[NDArray[np.uint8]] = []
    size = corpus.labels.shape[1]
    while len(pieces) < count:
        row = int(draw.integers(len(corpus)))
        for _ in range(4):
            side = int(draw.integers(size // 8, size // 2))
            y, x = draw.integers(0, size - side, 2)
            if not np.isin(corpus.labels[row, y : y + side, x : x + side], FACE_LABELS).any():
                pieces.append(corpus.images_rgb[row, y : y + side, x : x + side])
                break
    return pieces


def _clouds(draw: np.random.Generator) -> NDArray[np.uint8]:
    out = np.zeros((CANVAS_SIZE, CANVAS_SIZE, 3), dtype=np.float32)
    for cells in draw.choice((2, 4, 8, 16, 32, 64), 3, replace=False):
        grid = draw.standard_normal((cells, cells, 3 if draw.random() < 0.5 else 1)).astype(np.float32)
        layer = cv2.resize(grid, (CANVAS_SIZE, CANVAS_SIZE), interpolation=cv2.INTER_CUBIC)
        out += np.atleast_3d(layer) * draw.uniform(5, 45)
    return np.clip(out + draw.uniform(20, 235, 3), 0, 255).astype(np.uint8)


def _stripes(draw: np.random.Generator) -> NDArray[np.uint8]:
    ys, xs = np.mgrid[:CANVAS_SIZE, :CANVAS_SIZE].astype(np.float32)
    angle, period, bend = draw.uniform(0, np.pi), np.exp(draw.uniform(np.log(4), np.log(60))), draw.uniform(0, 12)
    along = xs * np.cos(angle) + ys * np.sin(angle) + bend * np.sin((ys - xs) * draw.uniform(0.01, 0.08))
    wave = np.clip(np.sin(along * 2 * np.pi / period) * draw.uniform(0.8, 6), -1, 1)[..., None] / 2 + 0.5
    return (draw.uniform(0, 255, 3) * wave + draw.uniform(0, 255, 3) * (1 - wave)).astype(np.uint8)


def _lights(canvas: NDArray[np.uint8], draw: np.random.Generator) -> NDArray[np.uint8]:
    """Soft bright and dark spots, as of reflections and shade."""
    small = np.zeros((24, 24), dtype=np.float32)
    for _ in range(int(draw.integers(1, 8))):
        y, x = draw.integers(0, 24, 2)
        small[y, x] += draw.uniform(-1, 1) * draw.uniform(200, 2500)
    spots = cv2.resize(cv2.GaussianBlur(small, (0, 0), float(draw.uniform(0.8, 3))), (CANVAS_SIZE, CANVAS_SIZE), interpolation=cv2.INTER_CUBIC)
    return np.clip(canvas + spots[..., None], 0, 255).astype(np.uint8)


def _shapes(canvas: NDArray[np.uint8], pieces: Sequence[NDArray[np.uint8]], draw: np.random.Generator) -> None:
    for _ in range(int(draw.integers(1, 14))):
        colour = tuple(int(v) for v in draw.integers(0, 256, 3))
        if draw.random() < 0.4:  # skin and hair tones on shapes that are no faces
            piece = pieces[int(draw.integers(len(pieces)))]
            colour = tuple(int(v) for v in piece[0, 0])
        centre = tuple(int(v) for v in draw.integers(0, CANVAS_SIZE, 2))
        axes = tuple(int(v) for v in np.exp(draw.uniform(np.log(2), np.log(60), 2)))
        thickness = -1 if draw.random() < 0.7 else int(draw.integers(1, 5))
        kind = draw.integers(4)
        if kind == 3:
            letters = "".join(chr(int(v)) for v in draw.integers(33, 123, int(draw.integers(1, 9))))
            cv2.putText(canvas, letters, centre, int(draw.integers(0, 8)), float(draw.uniform(0.3, 2.5)), colour, int(draw.integers(1, 4)), cv2.LINE_AA)
        elif kind == 0:
            cv2.ellipse(canvas, centre, axes, float(draw.uniform(0, 180)), 0, 360, colour, thickness, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(canvas, centre, (centre[0] + axes[0], centre[1] + axes[1]), colour, thickness)
        else:
            cv2.line(canvas, centre, tuple(int(v) for v in draw.integers(0, CANVAS_SIZE, 2)), colour, int(draw.integers(1, 6)), cv2.LINE_AA)


def _occlude(canvas: NDArray[np.uint8], points: NDArray[np.float64], pieces: Sequence[NDArray[np.uint8]], draw: np.random.Generator) -> None:
    side = float(face_side_px(points))
    width, height = (max(2, int(side * draw.uniform(0.15, 0.45))) for _ in range(2))
    x, y = (int(v) for v in face_centre_px(points) + draw.uniform(-0.6, 0.3, 2) * side)
    x0, y0, x1, y1 = max(0, x), max(0, y), min(CANVAS_SIZE, x + width), min(CANVAS_SIZE, y + height)
    if x1 > x0 and y1 > y0:
        canvas[y0:y1, x0:x1] = _resized(pieces[int(draw.integers(len(pieces)))], x1 - x0, y1 - y0)


def _camera(canvas: NDArray[np.uint8], draw: np.random.Generator) -> NDArray[np.uint8]:
    if draw.random() < 0.35:
        canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), float(draw.uniform(0.3, 1.6))), dtype=np.uint8)
    if draw.random() < 0.3:
        noise = draw.standard_normal(canvas.shape, dtype=np.float32) * draw.uniform(1, 16)
        canvas = np.clip(canvas + noise, 0, 255).astype(np.uint8)
    if draw.random() < 0.3:
        _, packed = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, int(draw.integers(25, 90))])
        canvas = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
    return canvas

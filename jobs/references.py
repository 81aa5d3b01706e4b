"""A user's folders of photographs: which files can be used, who is on them, and why the others can't be used."""

# H W pixels

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jobs.files import sha256_of
from manifests.errors import InputError
from manifests.printable import is_printable, printable
from qc.images import ImageLimits, Picture, Refused, read_picture

LIMITS = ImageLimits(max_pixels=24_000_000, min_side_px=48)  # unpacks within 256 MB, whatever the file
MIN_EYE_DISTANCE_PX = 12.0  # of a face that is worth enlarging to a portrait


class FoundFace(Protocol):
    """What a face detector tells of a face."""

    @property
    def landmarks5_px(self) -> NDArray[np.float32]:
        """Eyes, nose and mouth corners, (5, 2) px of the picture."""
        ...


Detect = Callable[[NDArray[np.uint8]], Sequence[FoundFace]]
Turn = Callable[[NDArray[np.uint8], NDArray[np.float32]], float]  # picture and five points -> yaw, degrees
Object = Callable[[NDArray[np.uint8], NDArray[np.float32]], str | None]  # picture and five points -> why it can't be used; None: it can


@dataclass(frozen=True, kw_only=True)
class Screener:
    """What looks at pictures: a face finder, and what may object to a picture with one face."""

    detect: Detect
    objection: Object
    yaw_deg: Turn | None = None  # None: the run has no use for poses


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A picture with exactly one usable face."""

    file: str  # path below the folder
    name: str  # the person: name of the sub-folder, or of the file without its ending
    sha256: str
    landmarks5_px: tuple[tuple[float, float], ...]  # (5, 2)
    yaw_deg: float | None = None  # of the head; None: not measured
    group: str | None = None  # demographic group; None: not labelled

    def read(self, folder: Path) -> NDArray[np.uint8]:
        """Pixels (H, W, 3); a file that was changed since it was looked at raises InputError."""
        picture = read_picture(folder / self.file, LIMITS)
        if isinstance(picture, Refused) or picture.file_sha256 != self.sha256:
            raise InputError(f"references: {folder / self.file} was changed after the run was planned. Restore it, or start a new --out.")
        return picture.image_rgb


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """A file that the run leaves out, and why."""

    file: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Screening:
    """What was found in a folder, in the order of file names."""

    usable: tuple[Reference, ...]
    unusable: tuple[Unusable, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain lists, for a file."""
        return {
            "usable": [{**vars(item), "landmarks5_px": [list(point) for point in item.landmarks5_px]} for item in self.usable],
            "unusable": [dict(vars(item)) for item in self.unusable],
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Screening:
        """The screening that `to_json` described."""
        usable = tuple(Reference(**{**item, "landmarks5_px": tuple((x, y) for x, y in item["landmarks5_px"])}) for item in value["usable"])
        return Screening(usable=usable, unusable=tuple(Unusable(**item) for item in value["unusable"]))


def list_files(folder: Path) -> list[Path]:
    """Every file below the folder but hidden ones, sorted."""
    if not folder.is_dir():
        raise InputError(f'references: "{folder}" is not a folder. Name one with pictures.')
    files = [path for path in folder.rglob("*") if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def folder_hash(folder: Path) -> str:
    """sha256 over names and contents of the files."""
    digest = hashlib.sha256()
    for path in list_files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256_of(path)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def screen_folder(folder: Path, screener: Screener, what: str) -> Screening:
    """Looks at every file of a folder; a file that can't be used is set aside with its reason.

    what  "identities", "expressions" or "scenes", for the message when nothing is left, which is an InputError
    """
    usable: list[Reference] = []
    unusable: list[Unusable] = []
    for path in list_files(folder):
        file = path.relative_to(folder).as_posix()
        if not is_printable(file):
            unusable.append(Unusable(file=printable(file), reason="its name has characters that can't be printed or turn the reading direction; rename it"))
            continue
        picture = read_picture(path, LIMITS)
        found = picture.detail if isinstance(picture, Refused) else _look_at(picture, screener)
        if isinstance(picture, Refused) or isinstance(found, str):
            unusable.append(Unusable(file=file, reason=str(found)))
            continue
        place = path.relative_to(folder)
        name = place.parts[0] if len(place.parts) > 1 else path.stem
        points = tuple((float(x), float(y)) for x, y in found)
        yaw = screener.yaw_deg(picture.image_rgb, found) if screener.yaw_deg else None
        usable.append(Reference(file=file, name=name, sha256=picture.file_sha256, landmarks5_px=points, yaw_deg=yaw))
    if not usable:
        reasons = "; ".join(f"{item.file}: {item.reason}" for item in unusable[:5]) or "it is empty"
        raise InputError(f'references: none of the files in "{folder}" can be used as {what} ({reasons}). Add photographs with one clear face each.')
    return Screening(usable=tuple(usable), unusable=tuple(unusable))


def _look_at(picture: Picture, screener: Screener) -> NDArray[np.float32] | str:
    """Five points of the only face, or the reason why there are none to use."""
    faces = screener.detect(picture.image_rgb)
    if len(faces) != 1:
        return f"it has {len(faces)} faces, expected exactly one" if faces else "it has no face that the detector finds"
    points = np.asarray(faces[0].landmarks5_px, dtype=np.float32)
    eyes = float(np.linalg.norm(points[1] - points[0]))
    if eyes < MIN_EYE_DISTANCE_PX:
        return f"its face is too small, {eyes:.0f} px between the eyes; {MIN_EYE_DISTANCE_PX:.0f} px are the least"
    return screener.objection(picture.image_rgb, points) or points

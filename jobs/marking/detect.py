"""What a picture's file says about itself: IPTC metadata, C2PA manifest, watermark; of files from anywhere, or of a run's shards."""

from __future__ import annotations

import dataclasses
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobs.files import open_read
from jobs.images import EXTENSIONS, Format
from jobs.locations import Location, found
from jobs.marking.c2pa import Signed, has_library, read_manifest
from jobs.marking.iptc import is_synthetic, read_source_type
from jobs.marking.watermark import Reading, read
from manifests.errors import InputError
from qc.images import ImageLimits, Refused, decode_picture

MAX_PICTURES = 1000  # of a run that are looked at unless more are asked for
LIMITS = ImageLimits(min_side_px=1)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What one picture says."""

    name: str
    source_type: str | None  # IPTC's term; None: its metadata has none
    manifest: Signed | str | None  # text: why it wasn't read; None: it has none
    watermark: Reading

    @property
    def synthetic(self) -> bool:
        """Whether any of the three says so."""
        signed = isinstance(self.manifest, Signed) and self.manifest.state != "Invalid" and is_synthetic(self.manifest.source_type)
        return is_synthetic(self.source_type) or signed or self.watermark.present

    def line(self, expected: int | None = None) -> str:
        """One line for people; `expected` is the id of the run that it is said to come from."""
        return f"{self.name}: IPTC {self.source_type or 'none'}; C2PA {self._manifest_text()}; {self._watermark_text(expected)}"

    def to_json(self, expected: int | None = None) -> dict[str, Any]:
        """The same for programs."""
        mark: dict[str, Any] = {"z": round(self.watermark.z, 2), "present": self.watermark.present, "run_id": None}
        if self.watermark.sound:
            mark["run_id"] = f"{self.watermark.payload:012x}"
        if expected is not None and self.watermark.present:
            mark["bit_accuracy"] = round(self.watermark.bit_accuracy(expected), 4)
        manifest = dataclasses.asdict(self.manifest) if isinstance(self.manifest, Signed) else self.manifest
        return {"name": self.name, "synthetic": self.synthetic, "iptc": self.source_type, "c2pa": manifest, "watermark": mark}

    def _manifest_text(self) -> str:
        if self.manifest is None or isinstance(self.manifest, str):
            return self.manifest or "none"
        seen = self.manifest
        trust = "" if seen.trusted else ", signed with a certificate that nobody vouches for"
        issue = f" ({', '.join(seen.failures)})" if seen.state == "Invalid" else ""
        return f"{seen.state}{issue}, {seen.source_type}, by {_printable(seen.issuer)} with {_printable(seen.generator)}{trust}"

    def _watermark_text(self, expected: int | None) -> str:
        seen = self.watermark
        if not seen.present:
            return f"watermark none (z {seen.z:.1f})"
        accuracy = "" if expected is None else f", {seen.bit_accuracy(expected):.0%} of the run's bits"
        return f"watermark z {seen.z:.1f}, run id {f'{seen.payload:012x}' if seen.sound else 'unreadable'}{accuracy}"


def look(name: str, content: bytes, limits: ImageLimits = LIMITS) -> Findings:
    """What the bytes of a JPEG or PNG file say. Raises InputError when they aren't a picture."""
    picture = decode_picture(content, limits)
    if isinstance(picture, Refused):
        raise InputError(f"detect: {name} was left out: {picture.detail}. Name a JPEG or PNG picture.")
    manifest: Signed | str | None = "not looked for (the extra c2pa isn't installed)"
    if picture.form not in ("jpeg", "png"):
        manifest = f"not looked for in a {picture.form} file"
    elif has_library():
        form: Format = "jpeg" if picture.form == "jpeg" else "png"
        try:
            manifest = read_manifest(content, form)
        except InputError as error:
            manifest = str(error)
    return Findings(name=name, source_type=read_source_type(content), manifest=manifest, watermark=read(picture.image_rgb))


def look_through_run(folder: Location, place: str = "data", *, max_pictures: int = MAX_PICTURES) -> Iterator[Findings]:
    """What the first pictures in the tars of a run say."""
    left = max_pictures
    for path in found(folder / place, "*.tar"):
        with open_read(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                if left == 0:
                    return
                if member.name.partition(".")[2] in EXTENSIONS.values():
                    left -= 1
                    yield look(member.name, archive.extractfile(member).read())  # type: ignore[union-attr] # facemint writes regular files only


def _printable(text: str) -> str:
    """Text from a file, for a terminal: without control characters, cut short."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:80]

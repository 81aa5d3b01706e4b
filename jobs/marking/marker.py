"""What a recipe asks to be marked, done where a picture is encoded, so that its hash covers the marks."""

# H W pixels

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.config import FREE_KEYS, RunConfig, flatten
from jobs.images import Format, encode
from jobs.marking.iptc import source_type_of, with_source_type

IPTC, WATERMARK, C2PA = "iptc", "wm48", "c2pa"  # names in the label column `marking`

# What extending a run or judging it again may change: pictures made before and after carry one id.
CHANGING_KEYS = (*FREE_KEYS, "views", "identities.", "expressions.", "scenes.", "qc.", "max_attempts", "cell_attempts", "min_acceptance", "shard_size")


@dataclass(frozen=True, kw_only=True)
class Marker:
    """Encodes pictures with the marks of a run."""

    iptc: bool
    watermark: int | None  # 48 bits; None: pixels stay as they are

    @property
    def names(self) -> tuple[str, ...]:
        """For the label column `marking`."""
        return (*((IPTC,) if self.iptc else ()), *((WATERMARK,) if self.watermark is not None else ()))

    def encode(self, image_rgb: NDArray[np.uint8], form: Format, *, photograph: bool) -> bytes:
        """Bytes of a picture (H, W, 3); `photograph`: its surroundings are one."""
        if self.watermark is not None:
            from jobs.marking.watermark import embed

            image_rgb = embed(image_rgb, self.watermark)
        content = encode(image_rgb, form)
        return with_source_type(content, form, source_type_of(photograph=photograph)) if self.iptc else content


def marker_of(config: RunConfig) -> Marker:
    """The marker of a recipe."""
    return Marker(iptc=config.marking.iptc, watermark=run_id(config) if config.marking.watermark else None)


def run_id(config: RunConfig) -> int:
    """48 bits that a run's watermark carries: a hash of its recipe without what can change in a run folder.

    Runs that differ in those keys only, such as in their number of people, have one id; another seed gives another one.
    """
    lasting = {key: value for key, value in flatten(config).items() if not key.startswith(CHANGING_KEYS)}
    return int.from_bytes(hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).digest()[:6], "big")

"""Measures the watermark on the pictures of a run: cost, survival, and false positives of random keys and of clean pictures.

    python -m tests.bench.marks RUN [--clean TAR...] [--trials 100000]
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from jobs.images import decode_rgb
from jobs.marking.watermark import PRESENT_Z, embed, read

PAYLOAD = 0x5A3C96F00F69
MAX_PICTURES = 400


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def pictures(paths, limit=MAX_PICTURES):
    """Portraits of 128 px from tars, RGB."""
    found = []
    for path in paths:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name.rpartition(".")[2] in ("jpg", "png") and "seg" not in member.name and len(found) < limit:
                    image = decode_rgb(archive.extractfile(member).read())
                    side = min(image.shape[:2])
                    found.append(np.asarray(Image.fromarray(image[:side, :side]).resize((128, 128))) if side != 128 else image)
    return found


def jpeg(image, quality, subsampling=2):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(stream))


def resized(image, side):
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


CHANGES = {
    "none": lambda image: image,
    "JPEG 95": lambda image: jpeg(image, 95),
    "JPEG 85": lambda image: jpeg(image, 85),
    "JPEG 75": lambda image: jpeg(image, 75),
    "JPEG 60": lambda image: jpeg(image, 60),
    "JPEG 50": lambda image: jpeg(image, 50),
    "112 px, JPEG 90": lambda image: jpeg(resized(image, 112), 90),
    "96 px, JPEG 90": lambda image: jpeg(resized(image, 96), 90),
    "64 px": lambda image: resized(image, 64),
    "256 px, JPEG 75": lambda image: jpeg(resized(image, 256), 75),
    "4 px cropped off": lambda image: image[4:-4, 4:-4],
    "mirrored": lambda image: image[:, ::-1],
}


def survival(images):
    start = time.perf_counter()
    marked = [jpeg(embed(image, PAYLOAD), 95, 0) for image in images]
    seconds = (time.perf_counter() - start) / len(images)
    plain = [jpeg(image, 95, 0) for image in images]
    psnr = [10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)) for a, b in zip(plain, marked, strict=True)]
    say(f"{len(images)} pictures; PSNR mean {np.mean(psnr):.1f} dB, least {np.min(psnr):.1f} dB; {1e3 * seconds:.1f} ms a picture")
    say("| change | z, mean | present | run id read | wrong id read | bits right |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, change in CHANGES.items():
        seen = [read(change(image)) for image in marked]
        columns = (
            np.mean([reading.present for reading in seen]),
            np.mean([reading.sound and reading.payload == PAYLOAD for reading in seen]),
            np.mean([reading.sound and reading.payload != PAYLOAD for reading in seen]),
            np.mean([reading.bit_accuracy(PAYLOAD) for reading in seen]),
        )
        say(f"| {name} | {np.mean([reading.z for reading in seen]):.1f} | " + " | ".join(f"{value:.4f}" for value in columns) + " |")


def false_positives(images, trials):
    """z of random keys on clean pictures: each key draws other frequencies and signs, so that trials are independent of each other given the picture."""
    draw = np.random.default_rng(0)
    keys = max(1, trials // len(images))
    z = np.array([read(image, key=draw.bytes(8)).z for _ in range(keys) for image in images])
    public = np.array([read(image).z for image in images])
    say(f"{z.size:,} trials ({len(images)} clean pictures x {keys} keys): z mean {z.mean():.3f}, sd {z.std():.3f}, largest {z.max():.2f}; "
          f"{(z >= PRESENT_Z).sum()} above {PRESENT_Z}. Public key: largest {public.max():.2f} of {public.size}")  # fmt: skip


def crops(images, count):
    """z of the public key on clean crops at random offsets: are pictures, instead of keys, what makes a false positive?"""
    draw = np.random.default_rng(1)
    z = []
    for _ in range(count):
        image = images[draw.integers(len(images))]
        side = int(draw.integers(88, 129))
        y, x = draw.integers(0, 129 - side, 2)
        crop = image[y : y + side, x : x + side]
        z.append(read(crop[:, ::-1] if draw.random() < 0.5 else crop).z)
    above = sum(value >= PRESENT_Z for value in z)
    say(f"{count:,} clean crops, public key: z mean {np.mean(z):.3f}, sd {np.std(z):.3f}, largest {np.max(z):.2f}; {above} above {PRESENT_Z}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--clean", type=Path, nargs="*", default=[])
    parser.add_argument("--trials", type=int, default=100_000)
    words = parser.parse_args()
    made = pictures([*sorted((words.run / "data").glob("*.tar")), *sorted((words.run / "rejected").glob("*.tar"))])
    survival(made)
    clean = pictures(words.clean) if words.clean else made
    if words.clean:
        survival(clean[:100])
    false_positives(clean, words.trials)
    crops(clean, words.trials // 4)


if __name__ == "__main__":
    main()

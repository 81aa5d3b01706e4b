"""The recipe keys of commands that make pictures to measure them, and the record of what such figures depend on."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.bundle import BUNDLED, facemint_version
from jobs.config import RunConfig, config_from_words
from jobs.files import sha256_of
from manifests.errors import ConfigError

if TYPE_CHECKING:  # a wrong key is said before anything heavy is imported
    from generator.sampler import SamplerConfig

BASE = ("models.dtype=bfloat16",)  # where these commands differ from a recipe's defaults
KEYS = ("batch_size", "device", "models.core", "models.dtype", "sampler.", "seed", "threads")
LIBRARIES = ("torch", "diffusers", "onnxruntime", "insightface", "numpy")


def figure_config(overrides: Sequence[str] = ()) -> RunConfig:
    """The defaults with the overrides (key=value) on top; a key of a recipe that such a command doesn't read is a ConfigError."""
    config = config_from_words((*BASE, *overrides))
    for word in overrides:
        key = word.partition("=")[0]
        if not key.startswith(KEYS):
            raise ConfigError(f'configuration: "{key}" is a key of recipes that this command doesn\'t read; it reads {", ".join(KEYS)}. Leave it out.')
    return config


def sampler_of(config: RunConfig) -> SamplerConfig:
    """The sampler that a recipe asks for."""
    from generator.sampler import SamplerConfig

    return SamplerConfig(**dataclasses.asdict(config.sampler))


def about_core(folder: Path) -> dict[str, Any]:
    """Name and hashes of a core; names of files and no folders, so that the record is the same anywhere."""
    weights = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json") and path.is_file())
    name = "bundled" if folder == BUNDLED / "core" else folder.name
    return {"name": name, "sha256": {path.relative_to(folder).as_posix(): sha256_of(path) for path in weights}}


def about_machine(config: RunConfig) -> dict[str, Any]:
    """Sampler, precision, seed, device and versions."""
    return {
        "sampler": dataclasses.asdict(config.sampler),
        "dtype": config.models.dtype,
        "batch_size": config.batch_size,
        "seed": config.seed,
        "threads": config.threads,
        "device": device_name(config),
        "versions": {"facemint": facemint_version(), "Python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}},
    }


def made_by(about: dict[str, Any]) -> list[str]:
    """The record as sentences for a page; `about` has `core` and what `about_machine` gives."""
    sampler = about["sampler"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return [
        f"Core {about['core']['name']}, {sampler['kind']}, {sampler['steps']} steps, guidance {sampler['guidance']:g}, {about['dtype']}, seed {about['seed']}.",
        f"{about['device']}, {about['threads']} thread{'s' if about['threads'] > 1 else ''}, batches of {about['batch_size']}; {versions}.",
    ]


def device_name(config: RunConfig) -> str:
    """Name of the processor, or of the GPU."""
    if config.device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

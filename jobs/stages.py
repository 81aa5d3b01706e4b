"""A stage of the job graph: files to files, with a done marker that holds the hashes of what went in and of what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from jobs.files import read_json, sha256_of, write_json
from jobs.locations import Location, below
from manifests.errors import ResumeMismatch


def run_stage(folder: Location, name: str, inputs: Mapping[str, str], work: Callable[[], Sequence[Location]]) -> dict[str, str]:
    """Runs `work` unless its marker says that it is done and its files are there; returns file -> sha256 of what it wrote.

    inputs  what the stage depends on: a name that people understand -> hash. A marker with other inputs raises ResumeMismatch, which names them.
    work    writes files below the folder and returns their paths
    """
    marker = folder / "stages" / f"{name}.json"
    if marker.is_file():
        done = read_json(marker)
        differing = changed_inputs(done["inputs"], inputs)
        if differing:
            raise ResumeMismatch(
                f"run folder {folder}: stage {name} was made from other inputs than now ({', '.join(differing)} differ). "
                "Bring them back as they were, or use another --out."
            )
        outputs: dict[str, str] = done["outputs"]
        if all((folder / file).is_file() and sha256_of(folder / file) == digest for file, digest in outputs.items()):
            return outputs
    outputs = {below(path, folder): sha256_of(path) for path in work()}
    write_json(marker, {"inputs": dict(inputs), "outputs": outputs})
    return outputs


def changed_inputs(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Names whose hashes differ, or that only one side has."""
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))

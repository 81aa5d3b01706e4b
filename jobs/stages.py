"""A stage of the job graph: files to files, with a done marker that holds the hashes of what went in and of what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from jobs.files import read_json, sha256_of, write_json
from jobs.locations import Location, below
from manifests.errors import ResumeMismatch


def run_stage(folder: Location, name: str, inputs: Mapping[str, str], work: Callable[[], Sequence[Location]], *, strict: bool = False) -> dict[str, str]:
    """Runs `work` unless its marker says that it is done and its files are there; returns file -> sha256 of what it wrote.

    inputs  what the stage depends on: a name that people understand -> hash. A marker with other inputs raises ResumeMismatch, which names them.
    work    writes files below the folder and returns their paths
    strict  a file that was changed since raises ResumeMismatch instead of being made again; one that is gone is made again in any case
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
        present = {file: sha256_of(folder / file) for file in outputs if (folder / file).is_file()}
        if present == outputs:
            return outputs
        changed = sorted(file for file, digest in present.items() if digest != outputs[file])
        if strict and changed:
            raise ResumeMismatch(
                f"run folder {folder}: {', '.join(changed)} changed since stage {name} wrote {'it' if len(changed) == 1 else 'them'}. "
                "Bring the old content back, or delete it to have it made again from the recipe; for another plan change the recipe and use another --out."
            )
    outputs = {below(path, folder): sha256_of(path) for path in work()}
    write_json(marker, {"inputs": dict(inputs), "outputs": outputs})
    return outputs


def changed_inputs(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Names whose hashes differ, or that only one side has."""
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))

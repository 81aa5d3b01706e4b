"""--overwrite: deletes what an earlier run made in a folder, and nothing that isn't facemint's, so that a run can start anew there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from jobs.axes import Screenings, input_hashes, plan_spec
from jobs.bundle import weight_hashes
from jobs.config import RunConfig, load_config
from jobs.lease import Lease
from jobs.locations import Location, below
from manifests.errors import ConfigError, InputError

_SHARD = r"(train|val|test)-\d{6}"
_MADE = re.compile(
    r"run\.json|progress[^/]*\.json|metrics[^/]*\.prom|generations\.json|retries\.json|checks\.json|qc_report\.json|report\.html|contact_sheet\.png|README\.md"
    r"|croissant\.json|licences\.json|release\.json"
    r"|manifest/(part-\d{5,}\.parquet|references\.json)"
    r"|conditions/(identities|expressions|scenes)\.parquet|conditions/gate\.json"
    rf"|(data|signed)/{_SHARD}\.(tar|parquet|json)|rejected/{_SHARD}\.(tar|parquet)|(attempts|slots)/{_SHARD}\.parquet"
    r"|quarantine/\d{12}\.json|(staging|spare)/.+|stages/(plan|prepare|make|summarize)\.json|(.+/)?\.[^/]+\.(unfinished|tmp)"
)
_LEASE = re.compile(r"\.?lease.*\.json.*")


def overwrite_run(folder: Location, config: RunConfig) -> int:
    """Deletes the files of the run in a folder, its config.yaml last; returns their number. A folder that is empty, or isn't there, has none.

    A folder with other things but no config.yaml of a run raises InputError, and so does a new recipe that can't be planned; then nothing is
    deleted. A kill leaves a folder that can be overwritten by the same command.
    """
    _check_plannable(config)
    if not any(True for _ in _files(folder)):
        return 0
    recipe = folder / "config.yaml"
    if not recipe.is_file():
        raise InputError(f"--overwrite: {folder} has files but no config.yaml of a run, so nothing was deleted. Name the folder of a run, or an empty one.")
    try:
        load_config(recipe)
    except ConfigError as error:
        raise InputError(f"--overwrite: {recipe} is not the recipe of a run, so nothing was deleted ({error}) Name the folder of a run.") from error
    with Lease(folder):
        made = [path for name, path in _files(folder) if _MADE.fullmatch(name)]
        for path in made:
            path.unlink(missing_ok=True)
        recipe.unlink(missing_ok=True)
        if isinstance(folder, Path):
            for place in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
                if not any(place.iterdir()):
                    place.rmdir()
    return len(made) + 1


def _check_plannable(config: RunConfig) -> None:
    """Raises a FacemintError for a recipe with an axis that can't be, as far as that is known without looking at photographs."""
    weight_hashes(config.models)
    if not input_hashes(config):
        plan_spec(config, Screenings(identities=None, expressions=None, scenes=None))


def _files(folder: Location) -> Iterator[tuple[str, Location]]:
    """(name below the folder, path) of every file but the lease."""
    if isinstance(folder, Path) and not folder.is_dir():
        return
    paths: Iterable[Location] = folder.rglob("*")
    for path in sorted(paths, key=str):
        name = below(path, folder)
        if path.is_file() and not _LEASE.fullmatch(name):
            yield name, path

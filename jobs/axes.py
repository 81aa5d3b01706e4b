"""From a recipe to the axes of a plan: who, what they show, and where, with names that the condition tables use too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from jobs.bundle import EXPRESSION_BANK, SCENE_BANK
from jobs.config import RunConfig
from jobs.groups import choose_people, labels_hash
from jobs.references import Screener, Screening, folder_hash, screen_folder
from manifests.errors import ConfigError, InputError
from manifests.permutation import key_of, permute
from manifests.poses import pose_bins
from manifests.spec import Expression, Identity, PlanSpec, SplitFractions
from manifests.vocabulary import AFFECTNET8, find_word, words_of

ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Screenings:
    """What was found in the folders that a recipe names; None: the axis is not a folder."""

    identities: Screening | None
    expressions: Screening | None
    scenes: Screening | None

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return {name: screening.to_json() if screening else None for name, screening in vars(self).items()}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Screenings:
        """The screenings that `to_json` described."""
        return Screenings(**{name: Screening.from_json(screening) if screening else None for name, screening in value.items()})


def folders_of(config: RunConfig) -> dict[str, Path]:
    """Axis to the folder of photographs that a recipe names for it. One that doesn't exist is an InputError."""
    paths = {"identities": config.identities.path, "expressions": config.expressions.path, "scenes": config.scenes.path}
    folders = {axis: Path(path) for axis, path in paths.items() if path is not None}
    for axis, folder in folders.items():
        if not folder.is_dir():
            raise InputError(f'references: {axis}.path is "{folder}", which is not a folder. Name one with pictures.')
    return folders


def input_hashes(config: RunConfig) -> dict[str, str]:
    """What a plan depends on beside its recipe, as people call it -> sha256: folders of photographs, and the file of their labels."""
    hashes = {f"files of {axis}.path": folder_hash(folder) for axis, folder in folders_of(config).items()}
    if config.identities.labels is not None:
        hashes["file of identities.labels"] = labels_hash(Path(config.identities.labels))
    return hashes


def screen_folders(config: RunConfig, open_screener: Callable[[], Screener]) -> Screenings:
    """Looks at every file of the recipe's folders; the nets are opened only when there is one."""
    folders = folders_of(config)
    if not folders:
        return Screenings(identities=None, expressions=None, scenes=None)
    screener = open_screener()
    found = {axis: screen_folder(folder, screener, axis) for axis, folder in folders.items()}
    if "identities" in found:
        found["identities"] = choose_people(found["identities"], config.identities, config.seed)
    return Screenings(identities=found.get("identities"), expressions=found.get("expressions"), scenes=found.get("scenes"))


def plan_spec(config: RunConfig, screenings: Screenings) -> PlanSpec:
    """The axes of a recipe."""
    scene_ids = _scene_ids(config, screenings.scenes, screenings.identities)
    if config.mode == "reenact" and (screenings.identities is not None or config.identities.sampled.count):
        raise ConfigError('configuration: mode is "reenact", which keeps the person of each scene, but identities are given. Leave the identities out.')
    if config.mode == "swap" and _wanted_words(config):
        raise ConfigError('configuration: mode is "swap", which keeps the expression of each scene, but expressions are given. Leave the expressions out.')
    poses = pose_bins(config.scenes.poses, _yaws(config, screenings, scene_ids)) if config.scenes.poses else ()
    if poses:
        binned = {name for pose in poses for name in pose.scene_ids}
        scene_ids = tuple(name for name in scene_ids if name in binned)
    people = dict.fromkeys(scene_ids) if config.mode == "reenact" else _people(config, screenings.identities)
    return PlanSpec(
        identities=tuple(Identity(identity_id=name, group=group) for name, group in people.items()),
        expressions=() if config.mode == "swap" else expression_axis(config, _available_words(screenings.expressions)),
        scene_ids=scene_ids,
        scenes="own" if config.mode == "reenact" else "every" if config.scenes.every else "spread",
        views_per_cell=config.views,
        mode=config.mode,
        split=SplitFractions(train=config.split.train, val=config.split.val, test=config.split.test),
        run_seed=config.seed,
        shard_size=config.shard_size,
        poses=poses,
    )


def sampled_name(index: int) -> str:
    """Identity id of the sampled person with this number."""
    return f"sampled-{index:06d}"


def expression_axis(config: RunConfig, available: Iterable[str]) -> tuple[Expression, ...]:
    """Words x intensities, each once, in the order of the recipe. A word without a reference is a ConfigError."""
    words = _wanted_words(config)
    if not words:
        raise ConfigError("configuration: there are no expressions. Give expressions.words, expressions.families or expressions.affectnet8=all.")
    known = sorted(set(available))
    missing = [word for word in words if word not in known]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ConfigError(
            f'configuration: there is no reference for the expression "{missing[0]}"{more}; there are references for '
            f"{', '.join(known[:20])}{', ...' if len(known) > 20 else ''}. Choose of these, or give pictures with expressions.path."
        )
    views = _views_of_words(config, words)
    return tuple(Expression(word=word, intensity=intensity, views=views.get(word)) for word in words for intensity in config.expressions.intensities)


def bank_words() -> list[str]:
    """Words that the bundled expression bank has references of."""
    return sorted(set(pq.ParquetFile(EXPRESSION_BANK).read(columns=["word"])["word"].to_pylist()))


def bank_scenes() -> list[str]:
    """Scenes of the bundled bank."""
    return sorted(pq.ParquetFile(SCENE_BANK).read(columns=["scene_id"])["scene_id"].to_pylist())


def _wanted_words(config: RunConfig) -> list[str]:
    words = [find_word(name).word for name in config.expressions.words]
    for family in config.expressions.families:
        words += [word.word for word in words_of(primary=family)]
    for name in config.expressions.affectnet8:
        if name != ALL and name not in AFFECTNET8:
            raise ConfigError(f'configuration: expressions.affectnet8 has "{name}", expected all, or some of {", ".join(AFFECTNET8)}.')
        words += AFFECTNET8 if name == ALL else [name]
    return list(dict.fromkeys(words))


def _available_words(screening: Screening | None) -> list[str]:
    if screening is None:
        return bank_words()
    return [find_word(item.name).word for item in screening.usable]


def _views_of_words(config: RunConfig, words: Sequence[str]) -> dict[str, int]:
    """Quotas of single words, as the vocabulary spells them."""
    views = {find_word(name).word: count for name, count in config.expressions.views.items()}
    for word, count in views.items():
        if word not in words:
            raise ConfigError(f'configuration: expressions.views has "{word}", which is not among the expressions. Add it to expressions.words.')
        if count < 1:
            raise ConfigError(f"configuration: expressions.views.{word} is {count}, expected 1 or more. Leave the word out of the expressions instead.")
    return views


def _people(config: RunConfig, screening: Screening | None) -> dict[str, str | None]:
    """Name -> demographic group, None where there is no label."""
    people = {item.name: item.group for item in screening.usable} if screening else {}
    people |= {sampled_name(index): None for index in range(config.identities.sampled.count)}
    if not people:
        raise ConfigError("configuration: there are no identities. Give identities.path, a folder of photographs, or identities.sampled.count.")
    return people


def _yaws(config: RunConfig, screenings: Screenings, scene_ids: Sequence[str]) -> dict[str, float]:
    """Measured yaw of each scene, degrees."""
    screening = screenings.scenes or (screenings.identities if config.scenes.from_identities else None)
    if screening is None:
        measured = {row["scene_id"]: row["yaw"] for row in pq.ParquetFile(SCENE_BANK).read(columns=["scene_id", "yaw"]).to_pylist()}
    else:
        measured = {item.file: item.yaw_deg for item in screening.usable}
    return {name: float(measured[name]) for name in scene_ids}


def _scene_ids(config: RunConfig, scenes: Screening | None, identities: Screening | None) -> tuple[str, ...]:
    if scenes is not None:
        return tuple(item.file for item in scenes.usable)
    if config.scenes.from_identities:
        if identities is None:
            raise ConfigError("configuration: scenes.from_identities is true, which goes with identities.path. Give a folder of photographs.")
        return tuple(item.file for item in identities.usable)
    names = bank_scenes()
    wanted = config.scenes.bundled or len(names)
    if wanted > len(names):
        raise ConfigError(f"configuration: scenes.bundled is {wanted}, but the bank has {len(names)} scenes. Ask for fewer, or for 0, which means all.")
    return tuple(sorted(_shuffled(names, config.seed)[:wanted]))


def _shuffled(names: Sequence[str], seed: int) -> list[str]:
    return [names[place] for place in permute(np.arange(len(names)), len(names), key_of(seed, "bundled scenes"))]

"""Recipes: frozen dataclasses composed from a YAML file and trailing key=value words; the only file that reads configurations."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import hashlib
import json
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from jobs.locations import Location
from jobs.sections import (
    ExpressionsSection,
    IdentitiesSection,
    ImageSection,
    IsolationSection,
    MarkingSection,
    ModelsSection,
    PlacementSection,
    QCSection,
    SamplerSection,
    ScenesSection,
    SplitSection,
)
from manifests.errors import ConfigError, ResumeMismatch
from manifests.rows import Mode

RECIPES = Path(__file__).resolve().parent / "recipes"

# How many run at once, where, and how much failure is borne, doesn't change the result, so a run may be resumed with other values of these.
FREE_KEYS = ("workers", "isolation.", "placement.")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A whole run. Sections belong to the objects that they configure."""

    seed: int = 0  # 0 .. 2^63 - 1
    mode: Mode = "all"
    views: int = 1  # pictures of a cell; its quota
    identities: IdentitiesSection = field(default_factory=IdentitiesSection)
    expressions: ExpressionsSection = field(default_factory=ExpressionsSection)
    scenes: ScenesSection = field(default_factory=ScenesSection)
    split: SplitSection = field(default_factory=SplitSection)
    sampler: SamplerSection = field(default_factory=SamplerSection)
    qc: QCSection = field(default_factory=QCSection)
    image: ImageSection = field(default_factory=ImageSection)
    marking: MarkingSection = field(default_factory=MarkingSection)
    models: ModelsSection = field(default_factory=ModelsSection)
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1  # CPU threads of a worker; part of the result, because sums are ordered by it
    workers: int = 1
    batch_size: int = 8
    shard_size: int = 1000  # slots
    max_attempts: int = 8  # of a slot
    cell_attempts: int = 0  # of the slots of a cell together, in one shard; 0: no other bound than max_attempts
    min_acceptance: float = 0.0  # a cell whose acceptance is surely below this is given up at the end of a wave of attempts; 0: never
    isolation: IsolationSection = field(default_factory=IsolationSection)
    placement: PlacementSection = field(default_factory=PlacementSection)

    def __post_init__(self) -> None:
        for name in ("views", "threads", "workers", "batch_size", "shard_size", "max_attempts"):
            if getattr(self, name) < 1:
                raise ConfigError(f"configuration: {name} is {getattr(self, name)}, expected 1 or more.")
        for key, value in {**flatten(self.isolation, "isolation."), **flatten(self.placement, "placement."), "cell_attempts": self.cell_attempts}.items():
            if value < 0:
                raise ConfigError(f"configuration: {key} is {value}, expected 0 or more.")
        if not 0 <= self.min_acceptance < 1:
            raise ConfigError(f"configuration: min_acceptance is {self.min_acceptance}, expected a share from 0 to below 1.")
        if self.sampler.steps < 1:
            raise ConfigError(f"configuration: sampler.steps is {self.sampler.steps}, expected 1 or more.")
        if self.sampler.guidance < 0:
            raise ConfigError(f"configuration: sampler.guidance is {self.sampler.guidance}, expected 0 or more; 1 means no guidance.")
        if not 0 < self.qc.gate_fmr < 1:
            raise ConfigError(f"configuration: qc.gate_fmr is {self.qc.gate_fmr}, expected a rate above 0 and below 1, such as 0.001.")
        if min(*vars(self.identities.sampled).values(), self.scenes.bundled) < 0:
            raise ConfigError("configuration: a number of identities.sampled, or scenes.bundled, is below 0, expected 0 or more.")
        if self.models.pack and self.identities.sampled.count:
            raise ConfigError(
                "configuration: models.pack is given with identities.sampled.count, but only the bundled recognisers know sampled people. "
                "Use identities.path with the pack, or leave the pack out."
            )
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"configuration: seed is {self.seed}, expected 0 to 2^63 - 1.")

    def to_yaml(self) -> str:
        """The whole configuration as YAML, defaults included; reading it again gives an equal one."""
        return yaml.safe_dump(_plain(self), sort_keys=False)

    def fingerprint(self) -> str:
        """sha256 of everything that the result depends on."""
        flat = {key: value for key, value in flatten(self).items() if not key.startswith(FREE_KEYS)}
        return hashlib.sha256(json.dumps(flat, sort_keys=True).encode()).hexdigest()


def find_recipe(name: str) -> Path:
    """The recipe file: a path that exists, or the name of one that comes with facemint."""
    path = Path(name)
    with contextlib.suppress(OSError, ValueError):  # names that no file system takes
        if path.is_file():
            return path
    bundled = sorted(file.stem for file in RECIPES.glob("*.yaml"))
    if path.stem in bundled and str(path.parent) in (".", "recipes") and path.suffix in ("", ".yaml"):
        return RECIPES / f"{path.stem}.yaml"
    near = difflib.get_close_matches(path.stem[:80], bundled, n=1, cutoff=0.0)[0]
    raise ConfigError(f'recipe: "{name}" is neither a file nor one of the recipes {", ".join(bundled)}. Did you mean "{near}"?')


def load_config(recipe: Location, overrides: Sequence[str] = ()) -> RunConfig:
    """The recipe with the overrides (key=value) on top, checked key by key."""
    try:
        text = recipe.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"recipe: {recipe} is not a text file ({error.reason}). Name a YAML file.") from error
    except OSError as error:
        raise ConfigError(f"recipe: {recipe} can't be read ({error.strerror or error}). Name a YAML file.") from error
    return compose(RunConfig, _merged(text, overrides, str(recipe)))


def config_from_text(text: str, name: str) -> RunConfig:
    """The configuration that a run wrote as YAML into the file `name`."""
    return compose(RunConfig, _merged(text, (), name))


def config_from_words(overrides: Sequence[str]) -> RunConfig:
    """The defaults with the overrides (key=value) on top."""
    return compose(RunConfig, _merged("{}", overrides, "the defaults"))


C = TypeVar("C")


def compose(cls: type[C], values: Mapping[Any, Any]) -> C:
    """A frozen dataclass from nested mappings; every unknown key and wrong type is named with its section."""
    return _section(cls, values, "", tuple(_keys(cls, "")))


def changed_keys(old: RunConfig, new: RunConfig) -> list[str]:
    """Keys that differ and that the result depends on, as "key: was X, now Y"."""
    before, after = flatten(old), flatten(new)
    return [f"{key}: was {before.get(key)}, now {value}" for key, value in after.items() if not key.startswith(FREE_KEYS) and before.get(key) != value]


def check_same_config(folder: Location, config: RunConfig) -> None:
    """Raises ResumeMismatch when the run folder was made from another configuration, and names what differs."""
    path = folder / "config.yaml"
    if not path.is_file():
        return
    changed = changed_keys(load_config(path), config)
    if changed:
        raise ResumeMismatch(f"run folder {folder} was made from another configuration ({'; '.join(changed)}). Use the old values, or another --out.")


def flatten(config: object, prefix: str = "") -> dict[str, Any]:
    """Dotted keys to plain values."""
    flat: dict[str, Any] = {}
    for item in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            flat |= flatten(value, f"{prefix}{item.name}.")
        else:
            flat[prefix + item.name] = _list_or_dict(value)
    return flat


def _merged(text: str, overrides: Sequence[str], name: str) -> dict[Any, Any]:
    for word in overrides:
        key, equals, _ = word.partition("=")
        if not equals or not key:
            raise ConfigError(f'configuration: "{word}" is not an override, expected key=value, such as "sampler.steps=30".')
    try:
        values = OmegaConf.to_container(OmegaConf.merge(OmegaConf.create(text), OmegaConf.from_dotlist(list(overrides))), resolve=True)
    except (OmegaConfBaseException, yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        with_words = f" with {' '.join(overrides)}" if overrides else ""
        raise ConfigError(f"recipe: {name}{with_words} can't be read as YAML ({' '.join(str(error).split())}). Correct it.") from error
    if not isinstance(values, dict):
        raise ConfigError(f"recipe: {name} holds a list, expected keys with values. Start from a recipe of \"facemint show recipes\".")
    return values


def _plain(config: object) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for item in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, item.name)
        plain[item.name] = _plain(value) if dataclasses.is_dataclass(value) else _list_or_dict(value)
    return plain


def _list_or_dict(value: Any) -> Any:
    """Tuples and mappings as YAML and JSON have them."""
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


def _keys(cls: type, prefix: str) -> list[str]:
    keys = []
    for name, hint in get_type_hints(cls).items():
        keys += _keys(hint, f"{prefix}{name}.") if dataclasses.is_dataclass(hint) and isinstance(hint, type) else [prefix + name]
    return keys


def _section(cls: type[C], values: Mapping[Any, Any], prefix: str, known: Sequence[str]) -> C:
    hints = get_type_hints(cls)
    for key in values:
        if key not in hints:
            wrong = f"{prefix}{key}"
            near = difflib.get_close_matches(wrong[:80], known, n=1, cutoff=0.0)[0]
            raise ConfigError(f'configuration: there is no key "{wrong}". Did you mean "{near}"?')
    return cls(**{str(key): _convert(hints[key], value, f"{prefix}{key}", known) for key, value in values.items()})


def _convert(hint: Any, value: Any, key: str, known: Sequence[str]) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise ConfigError(f'configuration: {key} is "{value}", expected a section with {", ".join(get_type_hints(hint))}.')
        return _section(hint, value, f"{key}.", known)
    if get_origin(hint) in (Union, types.UnionType):
        if value is None or value == "null":
            return None
        (hint,) = (choice for choice in get_args(hint) if choice is not type(None))
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigError(f'configuration: {key} is "{value}", expected one of {", ".join(get_args(hint))}.')
        return value
    if get_origin(hint) is tuple:
        values = [value] if isinstance(value, (str, int, float)) else value
        if not isinstance(values, list):
            raise ConfigError(f'configuration: {key} is "{value}", expected a list.')
        return tuple(_convert(get_args(hint)[0], item, key, known) for item in values)
    if get_origin(hint) is Mapping:
        if not isinstance(value, Mapping):
            raise ConfigError(f'configuration: {key} is "{value}", expected names with numbers, such as {{name: 8}}.')
        return {str(name): _convert(get_args(hint)[1], item, f"{key}.{name}", known) for name, item in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        raise ConfigError(f"configuration: {key} is {json.dumps(value, default=str)}, expected {words[hint]}.")
    return value

"""The 136 expression words, their classes and their action units, read from a versioned table."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from manifests.errors import ConfigError, InputError
from manifests.printable import printable

VERSION = "expressions_v1"
NAME_LENGTH = 80  # letters of a wrong name that are looked at and shown

# Class names in the index order of each vocabulary. AffectNet (Mollahosseini et al. 2017) counts from 0.
AFFECTNET8 = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
# RAF-DB (Li et al. 2017) counts from 1: surprise is 1, neutral is 7.
RAFDB7 = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
# The basic-level categories of Shaver et al. (1987).
PRIMARY6 = ("love", "joy", "surprise", "anger", "sadness", "fear")


@dataclass(frozen=True, kw_only=True)
class Word:
    """One expression word. `None` means that no honest mapping exists; manifests/data/README.md names the source of each field."""

    word: str
    primary: str | None  # of PRIMARY6; None for neutral
    cluster: str | None  # one of 25
    valence: float  # -1 .. 1, a prior
    arousal: float  # -1 .. 1, a prior
    affectnet8: str | None  # of AFFECTNET8
    rafdb7: str | None  # of RAFDB7
    mapping_confidence: float  # 0 .. 1, of the two classes above; 0 where there is none
    blend: Mapping[str, float]  # basic expression -> weight; the sum is the typical strength, 0 .. 1
    action_units: Mapping[str, float]  # "AU12" -> 0 .. 1 at the typical strength

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("primary", self.primary, PRIMARY6),
            ("affectnet8", self.affectnet8, AFFECTNET8),
            ("rafdb7", self.rafdb7, RAFDB7),
        ):
            if value is not None and value not in choices:
                raise InputError(f'vocabulary: word "{self.word}" has {name} "{value}", expected one of {", ".join(choices)}. Correct the table.')
        if not (-1 <= self.valence <= 1 and -1 <= self.arousal <= 1 and 0 <= self.mapping_confidence <= 1):
            raise InputError(f'vocabulary: word "{self.word}" has a valence, arousal or confidence outside its range. Correct the table.')
        if not all(0 < weight <= 1 for weight in (*self.blend.values(), *self.action_units.values())):
            raise InputError(f'vocabulary: word "{self.word}" has a weight outside 0..1. Correct the table.')

    @property
    def typical_strength(self) -> float:
        """Strength at which the word is usually shown, 0 (neutral) .. 1."""
        return min(sum(self.blend.values()), 1.0)


def vocabulary() -> tuple[Word, ...]:
    """All words in the order of the table, neutral first."""
    text = (resources.files("manifests") / "data" / f"{VERSION}.csv").read_text(encoding="utf-8")
    return parse_vocabulary(text.splitlines())


def parse_vocabulary(lines: Iterable[str]) -> tuple[Word, ...]:
    """Words of a table in the format of expressions_v1.csv; its first line names the columns."""
    words = tuple(_word(row) for row in csv.DictReader(lines))
    seen: set[str] = set()
    for word in words:
        if word.word in seen:
            raise InputError(f'vocabulary: word "{word.word}" occurs twice. Keep one row of it.')
        seen.add(word.word)
    return words


def find_word(name: str) -> Word:
    """The word called `name`; any case, surrounding blanks ignored."""
    wanted = name.strip().lower()
    words = {word.word: word for word in vocabulary()}
    if wanted in words:
        return words[wanted]
    near = difflib.get_close_matches(wanted[:NAME_LENGTH], words, n=1, cutoff=0.0)[0]
    shown = printable(name, size=NAME_LENGTH)
    raise ConfigError(f'vocabulary: "{shown}" is not one of the {len(words)} expression words. Did you mean "{near}"? "facemint show words" lists all.')


def words_of(*, primary: str | None = None, affectnet8: str | None = None) -> tuple[Word, ...]:
    """Words of a Shaver family, or of an AffectNet class, or of both at once; the argument None means any."""
    if primary is not None and primary not in PRIMARY6:
        raise ConfigError(f'vocabulary: "{primary}" is not a word family; expected one of {", ".join(PRIMARY6)}.')
    if affectnet8 is not None and affectnet8 not in AFFECTNET8:
        raise ConfigError(f'vocabulary: "{affectnet8}" is not an AffectNet class; expected one of {", ".join(AFFECTNET8)}.')
    return tuple(word for word in vocabulary() if primary in (None, word.primary) and affectnet8 in (None, word.affectnet8))


def rafdb7_number(name: str) -> int:
    """RAF-DB's own number of a class, 1 .. 7."""
    return RAFDB7.index(name) + 1


def _word(row: Mapping[str, str]) -> Word:
    try:
        return Word(
            word=row["word"],
            primary=row["primary"] or None,
            cluster=row["cluster"] or None,
            valence=float(row["valence"]),
            arousal=float(row["arousal"]),
            affectnet8=row["affectnet8"] or None,
            rafdb7=row["rafdb7"] or None,
            mapping_confidence=float(row["mapping_confidence"]),
            blend=_weights(row["blend"]),
            action_units=_weights(row["action_units"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"vocabulary: row {dict(row)} can't be read ({error}). Compare its columns with manifests/data/README.md.") from error


def _weights(cell: str) -> Mapping[str, float]:
    pairs = (pair.split(":") for pair in cell.split(";") if pair)
    return MappingProxyType({name: float(weight) for name, weight in pairs})

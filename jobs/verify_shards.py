"""One committed shard: its marker, files and hashes, and that tar, labels, attempts, manifest and marker say the same."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from jobs.images import EXTENSIONS
from jobs.locations import Location
from jobs.shards import rejected_id
from jobs.verify_attempts import Attempts, attempt_problems, slot_problems
from jobs.verify_files import PIECE_BYTES, HashedFile, hash_problem, size_of
from jobs.verify_json import JsonDamage, read_object
from jobs.verify_labels import LabelFacts, json_difference, json_labels, label_problems
from jobs.verify_markers import expected_files, outcome_problems, plan_problems, shape_problems
from jobs.verify_pictures import label_map_problem, picture_problem
from jobs.verify_tables import TableDamage, max_file_bytes, read_bounded
from jobs.verify_tar import Member, TarDamage, read_members
from manifests.records import ATTEMPT_SCHEMA, LABEL_SCHEMA, SLOT_SCHEMA
from manifests.rows import ManifestRow, ShardPlan, sample_id
from manifests.vocabulary import Word

MAX_ATTEMPTS = 1 << 15  # of a slot, where no recipe says fewer


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What all shards of a run have in common; None: nothing says it."""

    run_hash: str | None
    run_seed: int | None
    max_attempts: int | None
    labels: LabelFacts
    words: Mapping[str, Word]
    deep: bool  # decode every picture


class ShardCheck:
    """Looks at one committed shard; `files` are what its marker promises, for the search for orphans."""

    def __init__(self, folder: Location, shard: ShardPlan, rows: Sequence[ManifestRow], facts: RunFacts) -> None:
        self._folder, self._shard, self._facts = folder, shard, facts
        self._rows = {row.slot: row for row in rows}
        self._found = Attempts()
        self.files: set[str] = {f"data/{shard.name}.json"}
        self.marker: dict[str, Any] = {}  # empty when it can't be read

    @property
    def remedy(self) -> str:
        return f"Delete data/{self._shard.name}.json and run the same command again; the shard is made anew."

    def problems(self) -> Iterator[str]:
        """One sentence for each thing that is wrong."""
        file = f"data/{self._shard.name}.json"
        try:
            marker, _ = read_object(self._folder / file)
        except (JsonDamage, OSError) as damage:
            yield f"{file} is no marker: {damage}. {self.remedy}"
            return
        shape = list(shape_problems(marker, self._shard))
        for problem in shape or plan_problems(marker, self._shard):
            yield f"{file} {problem}. {self.remedy}"
        if shape:
            return
        self.marker = marker
        if self._facts.run_hash is not None and marker["run_hash"] != self._facts.run_hash:
            yield f"{file} is of run {marker['run_hash'][:12]}..., the other files are of run {self._facts.run_hash[:12]}.... {self.remedy}"
        expected = expected_files(self._shard.name, marker["counts"])
        self.files |= set(marker["files"]) & expected
        for name in sorted(expected ^ set(marker["files"])):
            yield f"{file} {'does not promise' if name in expected else 'promises'} {name[:120]}, its counts say otherwise. {self.remedy}"
        for problem in self._content_problems(marker):
            yield f"{problem}. {self.remedy}"

    def _content_problems(self, marker: dict[str, Any]) -> Iterator[str]:
        counts, name = marker["counts"], self._shard.name
        attempts = yield from self._table(f"attempts/{name}.parquet", ATTEMPT_SCHEMA, counts["attempts"])
        if attempts is None:
            return  # what the rest is compared with
        wrong = list(attempt_problems(attempts, self._rows, self._found, run_seed=self._facts.run_seed, max_attempts=self._facts.max_attempts))
        yield from (f"attempts/{name}.parquet: {problem}" for problem in wrong)
        if wrong:
            return
        wrong = list(outcome_problems(marker, self._rows, self._found))
        yield from (f"data/{name}.json {problem}" for problem in wrong)
        slots = yield from self._table(f"slots/{name}.parquet", SLOT_SCHEMA, self._shard.num_slots)
        if slots is not None and not wrong:
            open_slots = {entry["slot"]: (kind, entry["reason"]) for kind in ("unfilled", "quarantined") for entry in marker[kind]}
            yield from (f"slots/{name}.parquet: {problem}" for problem in slot_problems(slots, self._rows, self._found, open_slots))
        for entry in [] if wrong else marker["quarantined"]:
            yield from self._quarantined(entry)
        for place, count in (("data", "accepted"), ("rejected", "rejected")):
            if counts[count]:
                labels = yield from self._table(f"{place}/{name}.parquet", LABEL_SCHEMA, counts[count])
                if labels is not None:
                    facts = self._facts
                    broken = list(label_problems(labels, place, self._rows, self._found.rows, facts.labels, facts.words))
                    broken += [] if labels["sample_id"].to_pylist() == self._keys(place) else ["its samples are not those of the attempts, in their order"]
                    yield from (f"{place}/{name}.parquet: {problem}" for problem in broken)
                    labels = None if broken else labels
                yield from self._tar(place, labels)

    def _quarantined(self, entry: Mapping[str, Any]) -> Iterator[str]:
        """The file that says why a slot was set aside; its message is nobody else's."""
        row = self._rows[entry["slot"]]
        file = f"quarantine/{row.sample_id}.json"
        self.files.add(file)
        expected = {name: getattr(row, name) for name in ("slot", "sample_id", "cell", "identity_id", "expression", "scene_id")}
        expected |= {"attempt": entry["attempt"], "kind": entry["reason"]}
        if self._facts.run_seed is not None:
            expected["seed"] = row.seed(self._facts.run_seed, entry["attempt"])
        try:
            found, _ = read_object(self._folder / file)
        except (JsonDamage, OSError) as damage:
            yield f"{file} doesn't say why slot {row.slot} was set aside: {damage}"
            return
        if set(found) != {*expected, "seed", "message"} or any(found[name] != value for name, value in expected.items()):
            yield f"{file} says other things of slot {row.slot} than its marker and the plan"

    def _keys(self, place: str) -> list[str]:
        if place == "data":
            return [sample_id(slot) for slot in sorted(self._found.filled)]
        return [rejected_id(slot, attempt) for slot, attempt in self._found.rejected]

    def _table(self, file: str, schema: pa.Schema, num_rows: int) -> Generator[str, None, pa.Table | None]:
        """Yields problems, returns the table or None."""
        promise = self.marker["files"].get(file)
        if promise is None:
            return None
        limit = len(self._rows) * (self._facts.max_attempts or MAX_ATTEMPTS)
        if not 0 <= num_rows <= limit:
            yield f"data/{self._shard.name}.json counts {num_rows:,} rows for {file}, at most {limit:,} are possible"
            return None
        place = self._folder / file
        if not place.is_file():
            yield f"{file} is missing"
            return None
        if size_of(place) > max_file_bytes(num_rows):
            yield f"{file} has {size_of(place):,} bytes, at most {max_file_bytes(num_rows):,} are expected of {num_rows:,} rows"
            return None
        with HashedFile(place) as stream:
            content = b"".join(iter(lambda: stream.read(PIECE_BYTES), b""))
            problem = hash_problem(stream, promise)
        if problem:
            yield f"{file} {problem}"
            return None
        try:
            return read_bounded(content, schema, num_rows)
        except TableDamage as damage:
            yield f"{file}: {damage}"
            return None

    def _tar(self, place: str, labels: pa.Table | None) -> Iterator[str]:
        file = f"{place}/{self._shard.name}.tar"
        promise = self.marker["files"].get(file)
        if promise is None:
            return
        if not (self._folder / file).is_file():
            yield f"{file} is missing"
            return
        inside: list[str] = []
        with HashedFile(self._folder / file) as raw:
            stream = io.BufferedReader(raw, PIECE_BYTES)
            try:
                inside += self._member_problems(read_members(stream, promise["bytes"]), place, labels)
            except TarDamage as damage:
                inside.append(str(damage))
            while stream.read(PIECE_BYTES):
                pass  # the rest of a damaged one, for its hash
            problem = hash_problem(raw, promise)
        yield from [f"{file} {problem}"] if problem else (f"{file}: {sentence}" for sentence in inside[:5])

    def _member_problems(self, members: Iterator[Member], place: str, labels: pa.Table | None) -> Iterator[str]:
        """Whether the members are picture, JSON and label map of every expected sample, in order, and say what the label rows say."""
        keys = self._keys(place)
        picture = EXTENSIONS.get(self._facts.labels.constants.get("format", ""), None)
        rows = labels.select(["file_sha256", "pixel_sha256", "width", "height"]).to_pylist() if labels is not None else []
        measured = self._facts.labels.measured if place == "data" else False
        texts = json_labels(labels, measured=measured) if labels is not None and measured is not None else []
        for number, key in enumerate(keys):
            for kind in ("picture", "json", "seg.png"):
                member = next(members, None)
                extension = member.extension if member and kind == "picture" and picture is None and member.extension in ("jpg", "png") else picture
                picture = extension if kind == "picture" else picture
                wanted = f"{key}.{extension if kind == 'picture' else kind}"
                if member is None or member.name != wanted:
                    yield f"it has {'no more members' if member is None else f'member {member.name}'} where {wanted} should be"
                    return
                if labels is None:
                    continue
                if kind == "json":
                    texts = texts or json_labels(labels, measured=b'"bbox": ' in member.content)  # as the first one is
                    if member.content != texts[number]:
                        yield f"{member.name}: {json_difference(member.content, texts[number])}"
                else:
                    yield from self._picture_problems(member, kind, rows[number])
        if (extra := next(members, None)) is not None:
            yield f"it has member {extra.name}, which no attempt made"

    def _picture_problems(self, member: Member, kind: str, label: Mapping[str, Any]) -> Iterator[str]:
        problem = ""
        if kind == "picture" and hashlib.sha256(member.content).hexdigest() != label["file_sha256"]:
            yield f"{member.name} is not the picture that its label's file_sha256 names"
        elif self._facts.deep:
            problem = picture_problem(member.content, member.extension, label) if kind == "picture" else label_map_problem(member.content, label)
        if problem:
            yield f"{member.name} {problem}"

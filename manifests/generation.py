"""The slots that a plan adds to an earlier one, or all of a first plan's, in closed form: a row follows from its number alone."""

# I identities, E expressions, P pose bins, S scenes, C combinations of expression x pose bin (x scene), N rows

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from manifests.permutation import key_of, permute
from manifests.rows import AS_BACKGROUND, SPLITS, ShardPlan
from manifests.spec import Expression, Identity, PlanSpec
from manifests.splits import added_sizes, assign_identities

ROW_SCHEMA = pa.schema(
    [
        pa.field("slot", pa.int64(), nullable=False),
        pa.field("cell", pa.int64(), nullable=False),
        pa.field("identity_id", pa.string(), nullable=False),
        pa.field("identity_index", pa.int64(), nullable=False),
        pa.field("identity_group", pa.string()),
        pa.field("expression", pa.string(), nullable=False),
        pa.field("intensity", pa.float32(), nullable=False),
        pa.field("scene_id", pa.string(), nullable=False),
        pa.field("pose_bin", pa.string(), nullable=False),
        pa.field("view", pa.int32(), nullable=False),
        pa.field("mode", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
    ]
)

Numbers = NDArray[np.int64]


class Generation:
    """The slots of `spec` that `before` doesn't have: more views of its cells, and all views of new cells.

    Training slots come first, then val, then test; in each split a keyed shuffle makes every shard a mixture of the axes. Everything of the
    generations before keeps its number: identities keep index and split, cells and slots their numbers, and shards of a split are counted on.
    """

    def __init__(self, spec: PlanSpec, before: Generation | None = None) -> None:
        self.spec, self.before = spec, before
        self.number: int = before.number + 1 if before else 0
        self.expressions = spec.expressions or (Expression(word=AS_BACKGROUND, intensity=1.0),)
        self._views = np.array([expression.views or spec.views_per_cell for expression in self.expressions], dtype=np.int64)  # (E,)
        self._scenes_per_cell = len(spec.scene_ids) if spec.scenes == "every" else 1
        self._poses_per_cell = len(spec.poses) if spec.poses and spec.scenes == "spread" else 1
        self.num_combinations = len(self.expressions) * self._poses_per_cell * self._scenes_per_cell
        self._place_identities()
        self._count_views()
        per_split = self._num_old * self._offsets["old"][-1] + self._num_new * self._offsets["new"][-1]
        self.first_slot: int = before.stop if before else 0
        self.first_slots: Numbers = self.first_slot + np.concatenate([[0], np.cumsum(per_split)])  # (4,) where a split of this generation starts
        self.stop: int = int(self.first_slots[-1])
        self._first_shard = before.num_shards if before else np.zeros(len(SPLITS), dtype=np.int64)
        self.num_shards: Numbers = self._first_shard + -(-per_split // spec.shard_size)  # (3,) of each split, with those before
        self._first_cell = before.num_cells if before else 0
        self.num_cells: int = len(self.identities) * self.num_combinations

    def shards(self) -> Iterator[ShardPlan]:
        """Shards of this generation in the order of their slots; none crosses a split."""
        for number, split in enumerate(SPLITS):
            first, last = int(self.first_slots[number]), int(self.first_slots[number + 1])
            for place, start in enumerate(range(first, last, self.spec.shard_size)):
                index = int(self._first_shard[number]) + place
                yield ShardPlan(split=split, index=index, start=start, stop=min(start + self.spec.shard_size, last))

    def rows(self, start: int, stop: int) -> list[pa.Table]:
        """Rows of this generation's slots in start .. stop-1, a table for each split and age of identity, each in the order of its slots."""
        parts = []
        for split in range(len(SPLITS)):
            first, last = max(start, int(self.first_slots[split])), min(stop, int(self.first_slots[split + 1]))
            if first < last:
                parts.append(self._rows_of_split(split, np.arange(first, last, dtype=np.int64)))
        return parts

    def cells(self, identity_index: Numbers, combination: Numbers) -> Numbers:
        """Cell numbers (N,): cells of earlier generations keep theirs, new combinations of old identities follow, then new identities."""
        new_here = self._new_rank[combination]
        numbers = self._first_cell + self._num_before * self._num_new_combinations + (identity_index - self._num_before) * self.num_combinations + combination
        old = identity_index < self._num_before
        numbers = np.where(old, self._first_cell + identity_index * self._num_new_combinations + new_here, numbers)
        known = old & (self._old_combination[combination] >= 0)
        if self.before and known.any():
            numbers[known] = self.before.cells(identity_index[known], self._old_combination[combination[known]])
        return numbers

    def _place_identities(self) -> None:
        """Identities by index: those before keep theirs, new ones follow, training first; `_members` are the indexes of each split."""
        spec, before = self.spec, self.before
        known = {identity.identity_id for identity in before.identities} if before else set()
        added = [identity for identity in spec.identities if identity.identity_id not in known]
        old_members = before.members if before else [np.zeros(0, dtype=np.int64)] * len(SPLITS)
        sizes = added_sizes([len(members) for members in old_members], len(added), spec.split)
        split_of = assign_identities(added, sizes, spec.run_seed)
        order = np.argsort(split_of, kind="stable")
        self._num_before = len(before.identities) if before else 0
        self.identities: tuple[Identity, ...] = (*(before.identities if before else ()), *(added[place] for place in order))
        edges = self._num_before + np.concatenate([[0], np.cumsum(np.bincount(split_of, minlength=len(SPLITS)))])
        new_members = [np.arange(edges[split], edges[split + 1], dtype=np.int64) for split in range(len(SPLITS))]
        self.members: list[Numbers] = [np.concatenate([old, new]) for old, new in zip(old_members, new_members, strict=True)]
        self._num_old: Numbers = np.array([len(members) for members in old_members], dtype=np.int64)  # (3,)
        self._num_new: Numbers = np.array([len(members) for members in new_members], dtype=np.int64)  # (3,)

    def _count_views(self) -> None:
        """For each combination: where it was in the generation before (-1: nowhere), and how many views old and new identities still miss."""
        axes = (len(self.expressions), self._poses_per_cell, self._scenes_per_cell)
        self._expression_of, self._pose_of, self._scene_of = (axis.ravel() for axis in np.indices(axes))  # (C,) each
        self._old_combination = np.full(self.num_combinations, -1, dtype=np.int64)
        self._first_view = np.zeros(self.num_combinations, dtype=np.int64)  # of the views that old identities miss
        self._old_expression_views = np.zeros(len(self.expressions), dtype=np.int64)
        before = self.before
        if before:
            expression = _places([(e.word, e.intensity) for e in before.expressions], [(e.word, e.intensity) for e in self.expressions])
            self._old_expression_views[expression >= 0] = before._views[expression[expression >= 0]]
            every = self.spec.scenes == "every"
            scene = _places(before.spec.scene_ids, self.spec.scene_ids) if every else np.zeros(1, dtype=np.int64)
            old = (expression[self._expression_of] * before._poses_per_cell + self._pose_of) * before._scenes_per_cell + scene[self._scene_of]
            self._old_combination = np.where((expression[self._expression_of] >= 0) & (scene[self._scene_of] >= 0), old, -1)
            self._first_view = np.where(self._old_combination >= 0, self._old_expression_views[self._expression_of], 0)
        views = self._views[self._expression_of]
        self._offsets: dict[str, Numbers] = {  # (C + 1,) where the slots of a combination start among those of an identity
            "old": np.concatenate([[0], np.cumsum(views - self._first_view)]),
            "new": np.concatenate([[0], np.cumsum(views)]),
        }
        is_new = self._old_combination < 0
        self._new_rank = np.cumsum(is_new) - 1
        self._num_new_combinations = int(is_new.sum())

    def _rows_of_split(self, split: int, slots: Numbers) -> pa.Table:
        first = self.first_slots[split]
        size = int(self.first_slots[split + 1] - first)
        shuffled = permute(slots - first, size, key_of(self.spec.run_seed, "slots", SPLITS[split], *self._label))
        old_slots = self._num_old[split] * self._offsets["old"][-1]
        member, combination, view = (np.empty(len(slots), dtype=np.int64) for _ in range(3))
        for age, chosen in (("old", shuffled < old_slots), ("new", shuffled >= old_slots)):
            if not chosen.any():
                continue
            offsets = self._offsets[age]
            person, rest = np.divmod(shuffled[chosen] - (0 if age == "old" else old_slots), offsets[-1])
            combination[chosen] = np.searchsorted(offsets, rest, side="right") - 1
            view[chosen] = rest - offsets[combination[chosen]]
            member[chosen] = person + (0 if age == "old" else self._num_old[split])
        identity_index = self.members[split][member]
        expression = self._expression_of[combination]
        if self.spec.scenes == "every":
            scene = self._scene_of[combination]
        elif self.spec.scenes == "own":
            scene = self._own_scene[identity_index]
        else:
            scene = self._spread_scenes(split, member, combination, view)
        view += np.where(member < self._num_old[split], self._first_view[combination], 0)
        poses = self._pose_names.take(pa.array(scene)) if self.spec.poses else pa.repeat(pa.scalar(""), len(slots))
        return pa.Table.from_arrays(
            [
                pa.array(slots),
                pa.array(self.cells(identity_index, combination)),
                self._identity_ids.take(pa.array(identity_index)),
                pa.array(identity_index),
                self._groups.take(pa.array(identity_index)) if self._groups.null_count < len(self._groups) else pa.nulls(len(slots), pa.string()),
                self._words.take(pa.array(expression)),
                pa.array(self._intensities[expression]),
                self._scene_ids.take(pa.array(scene)),
                poses,
                pa.array(view.astype(np.int32)),
                pa.repeat(self.spec.mode, len(slots)),
                pa.repeat(SPLITS[split], len(slots)),
            ],
            schema=ROW_SCHEMA,
        )

    def _spread_scenes(self, split: int, member: Numbers, combination: Numbers, view: Numbers) -> Numbers:
        """Scene of each row, such that counts are level: of an expression, of an expression within a split, and in all, within each pose bin.

        The rows of an expression in a pose bin are numbered, split by split, identities in a shuffled order, views of a cell in a row;
        expressions follow each other, so that the bin's scenes are dealt out round by round, as cards are. A cell gets different scenes as
        long as there are no more views than scenes; a later generation deals on where the one before stopped.
        """
        expression = self._expression_of[combination]
        old = member < self._num_old[split]
        shuffled = np.empty_like(member)
        for age, chosen, first, count in (("old", old, 0, self._num_old[split]), ("new", ~old, self._num_old[split], self._num_new[split])):
            if chosen.any():
                keys = self._expression_keys[age][split][expression[chosen]]
                shuffled[chosen] = permute(member[chosen] - first, int(count), keys)
        old_views = (self._views - self._old_expression_views)[expression]
        within = np.where(old, shuffled * old_views, self._num_old[split] * old_views + shuffled * self._views[expression]) + view
        dealt = self._first_dealt[expression, split] + within
        scene = np.empty_like(member)
        for pose, (places, key, first) in enumerate(self._decks):
            here = self._pose_of[combination] == pose if len(self._decks) > 1 else slice(None)
            scene[here] = places[permute((first + dealt[here]) % len(places), len(places), key)]
        return scene

    @cached_property
    def _decks(self) -> list[tuple[Numbers, int, int]]:
        """Of each pose bin: places of its scenes, key of their order, and how many were dealt before."""
        place_of = {scene_id: place for place, scene_id in enumerate(self.spec.scene_ids)}
        decks = []
        for pose, (name, scene_ids) in enumerate([(bin_.name, bin_.scene_ids) for bin_ in self.spec.poses] or [(None, self.spec.scene_ids)]):
            places = np.array([place_of[scene_id] for scene_id in scene_ids], dtype=np.int64)
            key = key_of(self.spec.run_seed, "scene order", *([name] if name is not None else []))
            first = 0
            if self.before and self.before.deck_ids(pose) == scene_ids:
                first = self.before._decks[pose][2] + self.before.num_dealt
            decks.append((places, key, first))
        return decks

    def deck_ids(self, pose: int) -> tuple[str, ...]:
        """Scenes of a pose bin, or all."""
        return self.spec.poses[pose].scene_ids if self.spec.poses else self.spec.scene_ids

    @property
    def num_dealt(self) -> int:
        """Scenes that this generation deals in each pose bin."""
        return int((self._num_old.sum() * (self._views - self._old_expression_views) + self._num_new.sum() * self._views).sum())

    @cached_property
    def _first_dealt(self) -> Numbers:
        """(E, 3) rows of a pose bin before those of an expression in a split."""
        rows = self._num_old * (self._views - self._old_expression_views)[:, None] + self._num_new * self._views[:, None]
        return (np.cumsum(rows.ravel()) - rows.ravel()).reshape(rows.shape)

    @cached_property
    def _expression_keys(self) -> dict[str, NDArray[np.uint64]]:
        """(3, E) keys of the orders of identities in which scenes are dealt."""
        return {
            age: np.array([[key_of(self.spec.run_seed, "scenes", split, number, *label) for number in range(len(self.expressions))] for split in SPLITS],
                          dtype=np.uint64)
            for age, label in (("old", (*self._label, "old")), ("new", self._label))
        }  # fmt: skip

    @cached_property
    def _label(self) -> tuple[str | int, ...]:
        """Sets the shuffles of later generations apart from those of the first."""
        return ("generation", self.number) if self.before else ()

    @cached_property
    def _identity_ids(self) -> pa.StringArray:
        return pa.array([identity.identity_id for identity in self.identities], pa.string())

    @cached_property
    def _groups(self) -> pa.StringArray:
        return pa.array([identity.group for identity in self.identities], pa.string())

    @cached_property
    def _own_scene(self) -> Numbers:
        """(I,) place of the scene that belongs to an identity."""
        return _places([identity.identity_id for identity in self.spec.identities], [identity.identity_id for identity in self.identities])

    @cached_property
    def _words(self) -> pa.StringArray:
        return pa.array([expression.word for expression in self.expressions], pa.string())

    @cached_property
    def _intensities(self) -> NDArray[np.float32]:
        return np.array([expression.intensity for expression in self.expressions], dtype=np.float32)

    @cached_property
    def _scene_ids(self) -> pa.StringArray:
        return pa.array(self.spec.scene_ids, pa.string())

    @cached_property
    def _pose_names(self) -> pa.StringArray:
        """(S,) name of the pose bin of each scene."""
        bin_of = {scene_id: pose.name for pose in self.spec.poses for scene_id in pose.scene_ids}
        return pa.array([bin_of[scene_id] for scene_id in self.spec.scene_ids], pa.string())


def _places(names: Iterable[Hashable], wanted: Iterable[Hashable]) -> Numbers:
    """Place of each wanted name among the names, -1 where it is missing."""
    place_of = {name: place for place, name in enumerate(names)}
    return np.array([place_of.get(name, -1) for name in wanted], dtype=np.int64)

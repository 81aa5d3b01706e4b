"""Plans that grew: what a larger recipe may change, so that every row of the smaller one keeps its number and its content."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from manifests.errors import ResumeMismatch
from manifests.planner import Plan
from manifests.spec import PlanSpec

KEPT = ("mode", "scenes", "split", "run_seed", "shard_size")  # fields of a spec that growth can't change


def extended_plan(specs: Sequence[PlanSpec]) -> Plan:
    """The plan of a run that was extended from each spec to the next; a spec that isn't a growth of the one before raises ResumeMismatch."""
    for number, (old, new) in enumerate(pairwise(specs), start=1):
        problems = growth_problems(old, new)
        if problems:
            raise ResumeMismatch(
                f"plan: extension {number} is no growth of what there was ({'; '.join(problems)}). Only add people, expressions, scenes or views; "
                "or use another --out."
            )
    return Plan(specs[-1], earlier=specs[:-1])


def growth_problems(old: PlanSpec, new: PlanSpec) -> list[str]:
    """Why rows of `old` wouldn't be rows of `new`, a phrase for each axis; empty: it is a growth."""
    problems = [f"{name} changed" for name in KEPT if getattr(old, name) != getattr(new, name)]
    problems += _missing("identity", [identity.identity_id for identity in old.identities], [identity.identity_id for identity in new.identities])
    groups = {identity.identity_id: identity.group for identity in new.identities}
    moved = [identity.identity_id for identity in old.identities if groups.get(identity.identity_id, identity.group) != identity.group]
    problems += [f'identity "{name}" changed its group' for name in moved[:1]]
    old_views = {(e.word, e.intensity): e.views or old.views_per_cell for e in old.expressions}
    new_views = {(e.word, e.intensity): e.views or new.views_per_cell for e in new.expressions}
    problems += _missing("expression", [f"{word} at {i:g}" for word, i in old_views], [f"{word} at {i:g}" for word, i in new_views])
    if not old.expressions and new.views_per_cell < old.views_per_cell:
        problems.append(f"views are fewer, {new.views_per_cell} instead of {old.views_per_cell}")
    fewer = [(word, views, new_views[word, i]) for (word, i), views in old_views.items() if new_views.get((word, i), views) < views]
    problems += [f'views of "{word}" are fewer, {now} instead of {before}' for word, before, now in fewer[:1]]
    problems += _missing("scene", old.scene_ids, new.scene_ids)
    if [pose.name for pose in old.poses] != [pose.name for pose in new.poses]:
        problems.append("the pose bins changed")
    elif any(set(before.scene_ids) - set(now.scene_ids) for before, now in zip(old.poses, new.poses, strict=True)):
        problems.append("a scene changed its pose bin")
    return problems


def _missing(what: str, old: Sequence[str], new: Sequence[str]) -> list[str]:
    known = set(new)
    gone = [name for name in old if name not in known]
    more = f" and {len(gone) - 1:,} more are" if len(gone) > 1 else " is"
    return [f'{what} "{gone[0]}"{more} missing'] if gone else []

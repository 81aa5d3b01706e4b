"""The figures of sampled people as a Markdown page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jobs.figure_config import made_by
from jobs.new_people_figures import QUANTILES, Distinctness, Nearest, PeopleFigures, PeopleLeakage
from qc.dataset.uniqueness import Uniqueness
from qc.statistics import Interval

SHOWN = 10  # people nearest to training people
_LOOKS = {"proofs": "By {count} pictures with the same scenes and noise for everybody", "previews": "By the {count} faces that are measured first"}


def page(faces: PeopleFigures, vectors: Uniqueness, about: dict[str, Any], *, others: PeopleFigures | None = None) -> str:
    """Distinctness by recogniser, detection by detector, and the leakage table; the same of other pictures of the same people, where there are some."""
    parts = [
        f"# {about['people']} sampled people x {len(about['words'])} expressions",
        *_chosen_by(about["proofs"]),
        *_figures(faces, "the faces made"),
        f"Of the vectors that the people were sampled as, before any face was made, {vectors.observed:,} of {vectors.num_pairs:,} pairs reach the auditor's "
        f"threshold {vectors.threshold:.3f} (highest cosine {_number(vectors.max_cosine)}).",
    ]
    if others is not None:
        parts += [
            "## Other pictures of the same people",
            "As many again, with other scenes and noise, which nobody was chosen by.",
            *_figures(others, "other pictures"),
        ]
    facts = [
        *made_by(about),
        f"Expressions: {', '.join(about['words'])}; scenes of the bundled bank, dealt out evenly. First attempts, none was refused by a check.",
        "In brackets: 95 % intervals that draw people with all of their pictures. Equal error rate, FMR and TAR are over all pairs of pictures; a picture "
        "counts where the recogniser's own detector found a face.",
        "The calibrated threshold is that at FMR 0.001 among pictures of held-out rendered people; a pair of people matches where the cosine of their mean "
        "embeddings reaches it. Means lie nearer to each other than single pictures, so the number to compare with is that of held-out people, not 0.001.",
    ]
    return "\n\n".join([*parts, "## How it was measured", "\n".join(f"- {fact}" for fact in facts)]) + "\n"


def _figures(figures: PeopleFigures, name: str) -> list[str]:
    parts = [
        f"## Distinct from each other, {name}",
        _table(["figure", *figures.distinct], _distinct_rows(figures.distinct)),
        f"## Faces found, {name}",
        _table(
            ["detector", "a face", "exactly one face"],
            [
                [detector, _share(found.found.share, found.found.ci), _share(found.exactly_one.share, found.exactly_one.ci)]
                for detector, found in figures.detections.items()
            ],
        ),
    ]
    if figures.leaked is not None:
        parts += [f"## Distinct from training people (auditor), {name}", *_leakage(figures.leaked)]
    return parts


def _chosen_by(proofs: dict[str, Any] | None) -> list[str]:
    if proofs is None:
        return ["The people were taken as the prior draws them (proofs=0)."]
    told = [f"People were chosen by their faces: {proofs['people']:,} of {proofs['candidates']:,} candidates."]
    for look in proofs["looks"]:
        refused = look["refused"]
        told.append(
            f"{_LOOKS[look['name']].format(count=look['pictures'])}: {refused['earlier_person']:,} were refused because they come within "
            f"{_number(look['limit'])} of an earlier person (highest cosine of those taken: {_number(look['max_cosine'])}), "
            f"{refused['training_person']:,} because of a training person and {refused['no_face']:,} because no face was found."
        )
    return [" ".join(told)]


def _distinct_rows(distinct: Mapping[str, Distinctness]) -> list[list[str]]:
    found = list(distinct.values())
    return [
        ["people", *(f"{one.num_people:,}" for one in found)],
        ["pictures with a face", *(f"{one.num_pictures:,}" for one in found)],
        ["equal error rate", *(_share(one.eer, one.eer_ci) for one in found)],
        ["d'", *(_number(one.d_prime) for one in found)],
        ["threshold at FMR 0.001 of these faces", *(_number(one.threshold) for one in found)],
        ["TAR there", *(_share(one.tar, one.tar_ci) for one in found)],
        ["threshold at FMR 0.001 of held-out people", *(_number(one.calibrated_threshold) for one in found)],
        ["FMR of these faces there", *(_share(one.calibrated_fmr, one.calibrated_fmr_ci) for one in found)],
        ["pairs of people that match", *(_pairs(one.centres) for one in found)],
        ["the same of held-out people", *(_pairs(one.held_out_centres) for one in found)],
        ["people left when each that matches an earlier one is dropped", *("" if one.centres is None else f"{one.centres.num_unique:,}" for one in found)],
        ["highest cosine of two people", *("" if one.centres is None else _number(one.centres.max_cosine) for one in found)],
    ]


def _leakage(leaked: PeopleLeakage) -> list[str]:
    columns = {"sampled people": leaked.people, "their pictures": leaked.pictures, "held-out people": leaked.held_out}
    rows: list[list[str]] = [
        ["number", *(f"{one.num_rows:,}" for one in columns.values())],
        ["highest cosine to a training person, mean", *(_number(one.mean) for one in columns.values())],
        *([f"the same, quantile {share:g}", *(_number(one.quantiles[k]) for one in columns.values())] for k, share in enumerate(QUANTILES)),
        [f"at or above {_number(leaked.threshold)}", *(_above(one) for one in columns.values())],
    ]
    told = (
        f"{leaked.num_gallery:,} training people; the threshold is that at which {leaked.target_fmr:g} of the comparisons of {leaked.num_held_out} held-out "
        "people with them match. People are means of all of their pictures."
    )
    nearest = [[one["identity_id"], one["gallery_id"], f"{one['cosine']:.3f}"] for one in leaked.nearest[:SHOWN]]
    return [_table(["figure", *columns], rows), told, _table(["sampled person", "nearest training person", "cosine"], nearest)]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _pairs(centres: Uniqueness | None) -> str:
    return "" if centres is None else f"{centres.observed:,} of {centres.num_pairs:,} ({centres.observed / max(centres.num_pairs, 1):.2%})"


def _above(one: Nearest) -> str:
    return "not estimable" if one.above is None else f"{one.above:,} ({one.above_share:.1%})"


def _number(value: float | None) -> str:
    return "" if value is None else format(value, ".3f") if math.isfinite(value) else "not estimable"


def _share(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return ""
    if not math.isfinite(value):
        return "not estimable"
    ends = "" if interval is None or not math.isfinite(interval.low) else f" [{interval.low:.2%}, {interval.high:.2%}]"
    return f"{value:.2%}{ends}"

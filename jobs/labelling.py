"""The half of a worker that looks at pixels: encoded, judged, parsed and labelled, on CPU."""

# N attempts, H W pixels

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.attempts import Answer, Attempt
from jobs.conditions import AUDITOR, GATE, ConditionTables, Wish
from jobs.generating import Pixels, blaming
from jobs.images import Format, decode_grey, decode_rgb, encode, pixel_sha256
from jobs.marking.marker import Marker
from manifests.records import SampleRecord
from manifests.verdicts import QCVerdict
from manifests.vocabulary import AFFECTNET8, vocabulary
from qc.checks import QCRequest, Scene
from qc.dataset.hashes import phash64
from qc.judge import Judge, Observation
from qc.parsing import FaceParser

# The label row's columns that checks measure under the same name; whole numbers are the scalars and the rank.
LABEL_FIELDS = tuple(field.name for field in dataclasses.fields(SampleRecord) if field.name.startswith(("obs_", "sim_", "q_", "n_", "expression_error")))
WHOLE_FIELDS = tuple(name for name in LABEL_FIELDS if name.startswith("q_") or name == "obs_identity_rank")
MAX_PEOPLE = 20_000  # that a face is ranked among; with more, ranking would cost more than the nets
MAX_SCENES = 256  # decoded ones that a process keeps, some 100 kB each at 128 px
PHOTOGRAPHED = "licensed-reference"  # source of the person on a scene that is a user's photograph
NO_PICTURE = QCVerdict(accepted=False, reasons=("not_finite",), measurements={})
NOTHING_SEEN = Observation(faces=(), gate_embedding=None, audit_embedding=None, reading=None, sharpness=None)


class JudgeAndLabel:
    """Answers to attempts from their pixels; what is judged is what the reader of the data set will decode."""

    def __init__(self, tables: ConditionTables, judge: Judge, parser: FaceParser, *, image_format: Format, marker: Marker) -> None:
        self.tables = tables
        self.judge = judge
        self.parser = parser
        self.image_format: Format = image_format
        self.marker = marker
        self.words = {word.word: word for word in vocabulary()}
        gates = [person.embeddings[GATE] for person in tables.people.values() if GATE in person.embeddings]
        self._people = np.stack(gates) if 0 < len(gates) <= MAX_PEOPLE else None
        self._background_sharpness: dict[str, float | None] = {}
        self._scenes: dict[str, Scene] = {}

    def __call__(self, attempts: Sequence[Attempt], pixels: Pixels) -> list[Answer]:
        """One answer per attempt, in their order."""
        place = {id(attempt): number for number, attempt in enumerate(attempts)}

        def answers(some: Sequence[Attempt]) -> list[Answer]:
            places = [place[id(attempt)] for attempt in some]
            return self._answers([self.tables.wish(attempt) for attempt in some], pixels.images_rgb[places], pixels.finite[places])

        return blaming(attempts, answers)

    def again(self, attempts: Sequence[Attempt], answers: Sequence[Answer]) -> list[Answer]:
        """Answers with the same pictures, measured and judged anew."""
        finite = np.array(["not_finite" not in answer.verdict.reasons for answer in answers])
        return self._judged([self.tables.wish(attempt) for attempt in attempts], [answer.image for answer in answers], finite)

    def _answers(self, wishes: Sequence[Wish], images: NDArray[np.uint8], finite: NDArray[np.bool_]) -> list[Answer]:
        contents = [
            self.marker.encode(image, self.image_format, photograph=wish.scene.person.source == PHOTOGRAPHED)
            for wish, image in zip(wishes, images, strict=True)
        ]
        return self._judged(wishes, contents, finite)

    def _judged(self, wishes: Sequence[Wish], contents: Sequence[bytes], finite: NDArray[np.bool_]) -> list[Answer]:
        shown = np.stack([decode_rgb(content) for content in contents])
        parsed = self.parser.parse_pictures(shown)
        observations = self.judge.observe(shown, parsed)
        verdicts = self.judge.judge_observed(shown, [self._request(wish) for wish in wishes], observations)
        for number in np.flatnonzero(~finite):  # a hole painted over isn't a picture to be measured
            observations[number], verdicts[number] = NOTHING_SEEN, NO_PICTURE
        return [
            Answer(
                slot=wish.attempt.row.slot,
                attempt=wish.attempt.attempt,
                seed=wish.attempt.seed,
                image=contents[place],
                label_map=encode(parsed[place].label_map, "png"),
                width=shown.shape[2],
                height=shown.shape[1],
                pixel_sha256=pixel_sha256(shown[place]),
                verdict=verdicts[place],
                labels=labels_of(wish, verdicts[place], observations[place]) | {"phash64": phash64(shown[place])},
            )
            for place, wish in enumerate(wishes)
        ]

    def _request(self, wish: Wish) -> QCRequest:
        row = wish.attempt.row
        word = self.words.get(row.expression)
        scene = self._scene_of(wish)
        return QCRequest(
            gate_reference=wish.person.embeddings.get(GATE),
            audit_reference=wish.person.embeddings.get(AUDITOR),
            units=wish.expression.units,
            affectnet8=word.affectnet8 if word and row.intensity == 1 else None,  # weaker expressions may read as neutral
            pose_deg=wish.scene.pose_deg,
            landmarks5_px=wish.scene.landmarks5_px,
            background_sharpness=self._sharpness_of(wish),
            size_px=(scene.image_rgb.shape[1], scene.image_rgb.shape[0]),
            valence=word.valence * row.intensity if word else None,
            arousal=word.arousal * row.intensity if word else None,
            people=self._people,
            scene=scene,
        )

    def _scene_of(self, wish: Wish) -> Scene:
        name = wish.scene.scene_id
        if name not in self._scenes:
            if len(self._scenes) >= MAX_SCENES:  # dropped whole: which one is used next isn't known
                self._scenes.clear()
            mask = (decode_grey(wish.scene.face_mask_png) > 0).astype(np.uint8)
            self._scenes[name] = Scene(image_rgb=decode_rgb(wish.scene.image_png), face_mask=mask)
        return self._scenes[name]

    def _sharpness_of(self, wish: Wish) -> float | None:
        name = wish.scene.scene_id
        if name not in self._background_sharpness:
            self._background_sharpness[name] = self.judge.observe([self._scene_of(wish).image_rgb])[0].sharpness
        return self._background_sharpness[name]


def labels_of(wish: Wish, verdict: QCVerdict, seen: Observation) -> dict[str, Any]:
    """Fields of the label row that follow from what was measured, as plain numbers; what wasn't measured is left out."""
    measured = verdict.measurements
    labels: dict[str, Any] = {"identity_source": wish.person.source}
    for name in LABEL_FIELDS:
        if name in measured:
            labels[name] = round(measured[name]) if name in WHOLE_FIELDS else float(measured[name])
    probabilities = [measured.get(f"obs_prob_{name}") for name in AFFECTNET8]
    if None not in probabilities:
        labels["obs_expression_probs"] = tuple(float(p) for p in probabilities if p is not None)
    yaw, pitch, roll = wish.scene.pose_deg
    labels |= {"req_yaw": float(yaw), "req_pitch": float(pitch), "req_roll": float(roll)}
    if seen.faces:
        x0, y0, x1, y1 = (float(value) for value in seen.faces[0].bbox_px)
        labels["bbox"] = (x0, y0, x1 - x0, y1 - y0)
        labels["landmarks5"] = tuple(float(value) for value in seen.faces[0].landmarks5_px.ravel())
    return labels

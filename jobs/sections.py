"""The sections of a recipe: what each key means, with its unit and its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from manifests.errors import ConfigError
from manifests.poses import bin_names

# fmt: off
CheckName = Literal[
    "blank", "single_face", "alignment", "identity", "expression", "pose", "exposure", "sharpness", "integrity", "crop", "colour",
    "compression", "seam", "eyes", "mouth", "illumination", "background", "affect", "identity_rank",
]
# fmt: on


@dataclass(frozen=True, kw_only=True)
class SampledSection:
    """New people from the identity prior."""

    count: int = 0  # people; 0: none are sampled
    proofs: int = 3  # pictures drawn of each candidate, by which the auditor must tell it from earlier and from training people; 0: none
    previews: int = 5  # first attempts at its own rows, by which it must do so too; 0: none


@dataclass(frozen=True, kw_only=True)
class IdentitiesSection:
    """Who is in the pictures: a folder of photographs, or sampled people."""

    path: str | None = None  # folder with a picture per person, or a folder per person
    labels: str | None = None  # CSV or Parquet file with the columns person (folder or file name below path) and group
    groups: Mapping[str, int] = field(default_factory=dict)  # group -> people to take of it, of those that the labels name; empty: all people
    sampled: SampledSection = field(default_factory=SampledSection)

    def __post_init__(self) -> None:
        if self.groups and self.sampled.count:
            raise ConfigError(
                "configuration: identities.groups asks for demographic groups, but identities.sampled.count is "
                f"{self.sampled.count:,}, and sampled people carry no demographic label: the identity prior has none. "
                "Give photographs with identities.path and their labels with identities.labels, or leave the groups out."
            )
        if self.labels is not None and self.path is None:
            raise ConfigError("configuration: identities.labels is given without identities.path. Name the folder of photographs that it labels.")
        if self.groups and self.labels is None:
            raise ConfigError("configuration: identities.groups is given without identities.labels. Name a file with the columns person and group.")
        for group, count in self.groups.items():
            if count < 1:
                raise ConfigError(f"configuration: identities.groups.{group} is {count}, expected 1 or more people. Leave the group out for none.")


@dataclass(frozen=True, kw_only=True)
class ExpressionsSection:
    """What they show; the lists add up. A folder of reference pictures adds one expression per sub-folder, named by its word."""

    words: tuple[str, ...] = ()  # of the 136 expression words
    families: tuple[str, ...] = ()  # of love, joy, surprise, anger, sadness, fear: all words of the family
    affectnet8: tuple[str, ...] = ()  # AffectNet classes, or "all": the word that is nearest to the class
    intensities: tuple[float, ...] = (1.0,)  # above 0 .. 1 of a word's typical strength
    views: Mapping[str, int] = field(default_factory=dict)  # word -> pictures of its cells, where it isn't the recipe's views
    path: str | None = None  # folder WORD/picture.jpg of reference pictures, used instead of the bundled bank


@dataclass(frozen=True, kw_only=True)
class ScenesSection:
    """Where they are: bundled scenes, or photographs whose face is replaced."""

    path: str | None = None  # folder of photographs; null: one of the following two
    from_identities: bool = False  # the photographs of identities.path are the backgrounds too
    bundled: int = 0  # bundled scenes to use; 0: all
    every: bool = False  # each cell with every scene; false: each slot gets one, with level counts
    poses: tuple[float, ...] = ()  # edges of |yaw|, degrees, such as [0, 15, 45]: each bin, the last one open, is a cell of its own; empty: no axis

    def __post_init__(self) -> None:
        bin_names(self.poses)


@dataclass(frozen=True, kw_only=True)
class SplitSection:
    """Shares of the identities; they sum to 1."""

    train: float = 1.0
    val: float = 0.0
    test: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SamplerSection:
    """The diffusion sampler."""

    kind: Literal["dpm++", "pndm", "ddim", "consistency"] = "dpm++"  # consistency: 1 to 8 steps, 4 are meant; the core needs few-step weights
    steps: int = 12
    guidance: float = 3.0  # 1 means no guidance; of kind consistency the one that the few-step weights were distilled at


@dataclass(frozen=True, kw_only=True)
class LimitsSection:
    """Limits of the checks, named CHECK_LIMIT; null: the check's own."""

    alignment_max_offset: float | None = None  # mean of five points, in inter-eye distances
    alignment_max_scale: float | None = None  # times larger or smaller than asked
    alignment_max_turn_deg: float | None = None  # in the picture plane
    expression_max_error: float | None = None  # root mean square of 35 units
    expression_max_share: float | None = None  # error to the error that a neutral face would have
    expression_min_probability: float | None = None  # of the asked class
    pose_max_angle_deg: float | None = None
    sharpness_min_variance: float | None = None  # of the Laplacian
    sharpness_min_ratio: float | None = None  # to the background's face
    sharpness_min_kept: float | None = None  # of the kept background, to the scene's
    blank_min_entropy: float | None = None  # share of 8 bits
    single_face_min_second_area: float | None = None  # of the first face's, from which a second one counts
    exposure_max_under: float | None = None  # share of the face
    exposure_max_over: float | None = None
    exposure_min_range_bits: float | None = None  # entropy of the face's luminance
    exposure_min_dark_range_bits: float | None = None  # the same where the face is under-exposed
    exposure_max_shift: float | None = None  # of the kept background's L* against the scene's
    integrity_max_constant: float | None = None  # share of 8 x 8 blocks of one colour, more than the scene has
    integrity_max_clipped: float | None = None  # share of pixels at 0 or 255, more than the scene has
    integrity_max_difference: float | None = None  # of the kept background from the scene, grey levels
    crop_min_side: float | None = None  # points of the face to edge, face lengths
    crop_min_above: float | None = None  # eyes to edge
    crop_min_below: float | None = None  # mouth to edge
    crop_min_inter_eye_px: float | None = None
    colour_max_cast: float | None = None  # CIELAB units
    colour_max_unnatural: float | None = None  # of the cheeks; not judged unless set
    compression_max_blockiness: float | None = None  # step across block edges / inside blocks
    seam_max_excess: float | None = None  # grey levels a px
    seam_max_outline: float | None = None  # grey levels over 2 px, around the face
    eyes_max_error: float | None = None  # eye-to-chin distances; this and the following are not judged unless set
    mouth_max_error: float | None = None
    illumination_min_overlap: float | None = None  # 0 .. 1
    background_max_gradient: float | None = None
    affect_max_valence_error: float | None = None  # of -1 .. 1
    affect_max_arousal_error: float | None = None
    identity_rank_max_rank: float | None = None  # 1: nobody of the run is nearer


@dataclass(frozen=True, kw_only=True)
class QCSection:
    """Which pictures are accepted."""

    gate_fmr: float = 0.05  # false-match rate at which the identity gate's threshold is taken; a strong gate of your own deserves 0.001
    calibration: str | None = None  # folder with a sub-folder of photographs per person, to calibrate the gate on; null: bundled portraits
    gallery: str | None = None  # Parquet file of people that pictures must not look like, as the bundled gallery.parquet; null: that one
    rejecting: tuple[CheckName, ...] = get_args(CheckName)  # checks that may reject; the others only measure
    limits: LimitsSection = field(default_factory=LimitsSection)


@dataclass(frozen=True, kw_only=True)
class ImageSection:
    """How pictures are stored."""

    format: Literal["jpeg", "png"] = "jpeg"  # jpeg: quality 95, 4:4:4


@dataclass(frozen=True, kw_only=True)
class MarkingSection:
    """How a picture says that it is synthetic."""

    iptc: bool = True  # IPTC digital source type in its metadata; changes no pixel
    watermark: bool = False  # 48-bit id of the run in its pixels; what nets that learn from them make of it was not measured


@dataclass(frozen=True, kw_only=True)
class ModelsSection:
    """Other weights than the bundled ones, by path."""

    core: str | None = None  # folder of a DiffSFSR core
    pack: str | None = None  # insightface pack (folder of ONNX files) whose detector and recogniser find faces and gate identities
    dtype: Literal["float32", "bfloat16"] = "float32"  # of the core's arithmetic


@dataclass(frozen=True, kw_only=True)
class IsolationSection:
    """How much failure is borne before a slot is set aside, a worker given up, or the run stopped."""

    retries: int = 2  # of one attempt that raises an exception when it is run alone
    solo_deaths: int = 3  # of the process of one attempt that is run alone
    worker_deaths: int = 4  # one after the other without an answer in between
    max_quarantined: int = 100  # slots
    max_consecutive_errors: int = 100  # failed batches one after the other


@dataclass(frozen=True, kw_only=True)
class PlacementSection:
    """Where the workers of a Ray run are put."""

    gpus_per_worker: float = 1.0  # with device cuda; 0.5: two workers share a GPU
    judges: int = 0  # processes on a worker's node that judge on CPU while the worker makes the next pictures; 0: the worker judges
    recycle_mb: int = 0  # a worker whose memory grew beyond is replaced between batches; 0: never
    metrics_port: int = 0  # of 127.0.0.1 on the driver's machine, where a Prometheus server can read the metrics; 0: only metrics.prom is written

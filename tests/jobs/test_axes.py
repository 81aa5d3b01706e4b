from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.axes import Screenings, plan_spec
from jobs.bundle import SCENE_BANK
from jobs.config import config_from_words
from jobs.judging import open_pack
from jobs.models import ReferenceNets, open_screener
from jobs.references import Reference, Screener, Screening, screen_folder
from manifests.errors import ConfigError
from manifests.planner import Plan
from tests.jobs.test_references import SCREENER, picture

NONE = Screenings(identities=None, expressions=None, scenes=None)
PEOPLE = ("identities.sampled.count=3", "expressions.words=[neutral,contempt]", "views=2")


def rows(*words, screenings=NONE):
    plan = Plan(plan_spec(config_from_words([*PEOPLE, *words]), screenings))
    return plan.rows(0, plan.num_slots).to_pandas()


def test_every_person_shows_every_expression_equally_often_in_every_pose_bin(bundled):
    table = rows("scenes.poses=[0,5,15]")
    assert (table.groupby(["identity_id", "expression", "pose_bin"]).size() == 2).all()
    assert set(table["pose_bin"]) == {"0-5", "5-15", "15+"}
    assert len(table) == 3 * 2 * 3 * 2


def test_a_pose_bin_that_the_bundled_scenes_do_not_have_is_said(bundled):
    with pytest.raises(ConfigError, match=r"no scene is turned by 45\+ degrees \(scenes of each bin: 0-15: 55, 15-45: 17, 45\+: 0"):
        rows("scenes.poses=[0,15,45]")


def test_scenes_below_the_first_edge_are_left_out(bundled):
    spec = plan_spec(config_from_words([*PEOPLE, "scenes.poses=[15]"]), NONE)
    assert len(spec.scene_ids) == 17
    assert [pose.name for pose in spec.poses] == ["15+"]


def test_photographs_are_binned_by_the_yaw_that_was_measured_on_them(bundled):
    yaws = {"front.png": 2.0, "left.png": -20.0, "right.png": 30.0}
    found = [Reference(file=file, name=file, sha256="", landmarks5_px=((0.0, 0.0),) * 5, yaw_deg=yaw) for file, yaw in yaws.items()]
    screenings = dataclasses.replace(NONE, scenes=Screening(usable=tuple(found), unusable=()))
    table = rows("scenes.poses=[0,15]", "scenes.path=scenes", screenings=screenings)
    assert set(table[table["pose_bin"] == "15+"]["scene_id"]) == {"left.png", "right.png"}


def test_yaw_is_measured_when_poses_are_asked_for(tmp_path):
    picture(tmp_path / "people" / "ada.png", 1)
    screener = Screener(detect=SCREENER.detect, objection=SCREENER.objection, yaw_deg=lambda image, points: float(np.ptp(points[:2, 0])))
    screening = screen_folder(tmp_path / "people", screener, "scenes")
    assert [item.yaw_deg for item in screening.usable] == [30.0]
    assert Screening.from_json(screening.to_json()) == screening
    assert screen_folder(tmp_path / "people", SCREENER, "scenes").usable[0].yaw_deg is None


def test_an_expression_may_have_a_quota_of_its_own(bundled):
    table = rows("expressions.views.contempt=5")
    assert table.groupby("expression").size().to_dict() == {"neutral": 6, "contempt": 15}
    assert table.groupby("cell").size().value_counts().to_dict() == {2: 3, 5: 3}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("expressions.views.anger=2", "is not among the expressions"),
        ("expressions.views.contempt=0", "expected 1 or more"),
        ("expressions.views.contemt=2", "contempt"),
    ],
)
def test_a_quota_of_an_expression_that_is_not_there_is_said(bundled, word, reason):
    with pytest.raises(ConfigError, match=reason):
        rows(word)


def test_the_yaw_that_a_photograph_is_binned_by_is_the_one_of_its_condition_row(bundled, tmp_path):
    for row in pq.read_table(SCENE_BANK, columns=["scene_id", "image"]).slice(0, 3).to_pylist():
        (tmp_path / f"{row['scene_id']}.png").write_bytes(row["image"])
    config = config_from_words(["scenes.poses=[0]"])
    screening = screen_folder(tmp_path, open_screener(config), "scenes")
    nets = ReferenceNets(open_pack(config), size=128)
    for reference in screening.usable:
        reading = nets.read(reference.read(tmp_path), np.asarray(reference.landmarks5_px, dtype=np.float32))
        assert reference.yaw_deg == reading.pose_deg[0]
    assert len(screening.usable) == 3

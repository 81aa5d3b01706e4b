from __future__ import annotations

import pytest

from manifests.errors import ConfigError
from manifests.poses import PoseBin, bin_names, pose_bins
from manifests.spec import Expression, PlanSpec
from tests.manifests.specs import SMALL, changed


def test_bins_are_named_by_their_edges_and_the_last_is_open():
    assert bin_names([0, 15, 45]) == ("0-15", "15-45", "45+")
    assert bin_names([]) == ()


def test_a_scene_is_binned_by_how_far_it_is_turned_to_either_side():
    bins = pose_bins([0, 15, 45], {"a": -3.0, "b": 15.0, "c": -44.9, "d": 45.0, "e": 14.9, "f": -80.0})
    assert [(pose.name, pose.scene_ids) for pose in bins] == [("0-15", ("a", "e")), ("15-45", ("b", "c")), ("45+", ("d", "f"))]


def test_a_scene_below_the_first_edge_is_in_no_bin():
    assert [pose.scene_ids for pose in pose_bins([20], {"a": 3.0, "b": -20.0})] == [("b",)]


def test_a_bin_without_a_scene_is_named_with_the_scenes_of_each_bin_and_the_remedy():
    with pytest.raises(ConfigError, match=r"no scene is turned by 45\+ degrees \(scenes of each bin: 0-15: 1, 15-45: 1, 45\+: 0; .* 29 degrees\)") as error:
        pose_bins([0, 15, 45], {"a": 1.0, "b": -29.0})
    assert "give photographs of such heads with scenes.path" in str(error.value)


@pytest.mark.parametrize("edges", [[15, 0], [0, 0], [-1, 5], [0, 91], [0, float("nan")]])
def test_edges_rise_from_zero_to_ninety(edges):
    with pytest.raises(ConfigError, match="expected rising degrees from 0 to 90"):
        bin_names(edges)


EMPTY = PoseBin(name="90+", scene_ids=())


@pytest.mark.parametrize("names", [SMALL.scene_ids[:-1], (*SMALL.scene_ids, "other"), ()])
def test_the_bins_of_a_plan_hold_each_scene_once(names):
    with pytest.raises(ConfigError, match="expected each scene in one pose"):
        changed(poses=pose_bins([0], dict.fromkeys(names, 1.0)) if names else (*pose_bins([0], dict.fromkeys(SMALL.scene_ids, 1.0)), EMPTY))


def test_poses_are_no_axis_of_reenactment():
    people = tuple(type(SMALL.identities[0])(identity_id=f"p{number}") for number in range(7))
    with pytest.raises(ConfigError, match='mode "reenact" keeps the pose of each scene'):
        changed(mode="reenact", scenes="own", identities=people, poses=pose_bins([0], dict.fromkeys(SMALL.scene_ids, 1.0)))


def test_axes_that_are_not_used_do_not_change_the_fingerprint():
    assert "poses" not in SMALL.to_json() and "views" not in SMALL.to_json()["expressions"][0]
    binned = changed(poses=pose_bins([0], dict.fromkeys(SMALL.scene_ids, 1.0)))
    more = changed(expressions=(*SMALL.expressions[:2], Expression(word="anger", intensity=1.0, views=5)))
    assert len({SMALL.fingerprint(), binned.fingerprint(), more.fingerprint()}) == 3


def test_a_spec_survives_its_file():
    spec = changed(
        poses=pose_bins([0, 15], {name: float(number * 5) for number, name in enumerate(SMALL.scene_ids)}),
        expressions=(*SMALL.expressions[:2], Expression(word="anger", intensity=1.0, views=5)),
    )
    assert PlanSpec.from_json(spec.to_json()) == spec
    assert PlanSpec.from_json(SMALL.to_json()) == SMALL

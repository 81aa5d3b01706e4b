from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import InputError
from manifests.verdicts import REJECT_REASONS, Measurement, QCVerdict, verdict

SIMILARITY = Measurement(name="sim_gate_ref", value=0.4, unit="cosine")


def test_nothing_failed_means_accepted_and_measurements_are_kept():
    accepted = verdict([SIMILARITY], [])
    assert accepted.accepted and accepted.reject_reason is None
    assert accepted.measurements == {"sim_gate_ref": 0.4}


def test_measurements_are_kept_when_rejected():
    assert verdict([SIMILARITY], ["identity"]).measurements == {"sim_gate_ref": 0.4}


@given(st.lists(st.sampled_from(REJECT_REASONS), min_size=1))
def test_reasons_come_once_each_in_order_of_precedence(failed):
    rejected = verdict([], failed)
    assert list(rejected.reasons) == [reason for reason in REJECT_REASONS if reason in failed]
    assert rejected.reject_reason == rejected.reasons[0]
    assert not rejected.accepted


def test_what_could_not_be_measured_is_absent():
    assert verdict([Measurement(name="yaw", value=float("nan"), unit="deg")], []).measurements == {}


def test_an_unknown_reason_is_named():
    with pytest.raises(InputError, match='"ugly" is not a reject reason'):
        verdict([], ["ugly", "identity"])


@pytest.mark.parametrize(("accepted", "reasons"), [(True, ("identity",)), (False, ())])
def test_accepted_means_no_reasons(accepted, reasons):
    with pytest.raises(InputError, match="accepted exactly when there are none"):
        QCVerdict(accepted=accepted, reasons=reasons, measurements={})

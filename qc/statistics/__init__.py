"""Rates, curves and intervals in the words of ISO/IEC 19795-1; intervals draw identities and not pairs."""

from __future__ import annotations

from qc.statistics.bootstrap import bootstrap_eer, bootstrap_tar
from qc.statistics.gate_audit import GateAudit, correlation, gate_audit
from qc.statistics.intervals import Interval, Proportion, bootstrap_mean, proportion, proportions, wilson
from qc.statistics.multiplicity import benjamini_hochberg, beta_prior, binomial_p, shrunken_rates
from qc.statistics.plain import plain
from qc.statistics.scores import (
    RULE_OF,
    ScoreSet,
    Threshold,
    d_prime,
    equal_error_rate,
    fmr,
    fnmr,
    pairwise_scores,
    reference_scores,
    sampled_scores,
    tar_at_fmr,
    threshold_at_fmr,
)
from qc.statistics.verification import DetCurve, OperatingPoint, RatesAt, Verification, rates_at, verification

__all__ = [
    "RULE_OF",
    "DetCurve",
    "GateAudit",
    "Interval",
    "OperatingPoint",
    "Proportion",
    "RatesAt",
    "ScoreSet",
    "Threshold",
    "Verification",
    "benjamini_hochberg",
    "beta_prior",
    "binomial_p",
    "bootstrap_eer",
    "bootstrap_mean",
    "bootstrap_tar",
    "correlation",
    "d_prime",
    "equal_error_rate",
    "fmr",
    "fnmr",
    "gate_audit",
    "pairwise_scores",
    "plain",
    "proportion",
    "proportions",
    "rates_at",
    "reference_scores",
    "sampled_scores",
    "shrunken_rates",
    "tar_at_fmr",
    "threshold_at_fmr",
    "verification",
    "wilson",
]

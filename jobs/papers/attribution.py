"""Who each label column is from: the recipe, the core that drew the picture, a network that measured it, or plain code."""

from __future__ import annotations

from typing import Any

from jobs.bundle import BUNDLED
from jobs.papers.facts import Facts
from manifests.ledger import read_ledger

# First match decides: beginning of a column's name -> agent.
COLUMNS = (
    ("obs_identity", "agent-gate"),
    ("sim_gate", "agent-gate"),
    ("sim_audit", "agent-auditor"),
    ("obs_", "agent-estimator"),
    ("expression_error", "agent-estimator"),
    ("bbox", "agent-detector"),
    ("landmarks", "agent-detector"),
    ("q_", "agent-checks"),
    ("n_", "agent-checks"),
    ("qc_", "agent-judge"),
    *((name, "agent-recipe") for name in ("req_", "expression_", "identity_", "split", "cell", "view", "mode")),
)
PIPELINE = "agent-facemint"  # hashes, sizes, seeds, versions

# Agent -> what it is, and the roles of its weights in the ledger.
AGENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "agent-recipe": ("the recipe: what was asked for, not what is seen", ()),
    "agent-core": ("the diffusion core, which drew the pictures", ("core",)),
    "agent-gate": ("the recogniser that accepts or rejects an identity", ("gate",)),
    "agent-auditor": ("the recogniser that only reports", ("auditor",)),
    "agent-estimator": ("the network that reads expression and pose", ("estimator",)),
    "agent-detector": ("the network that finds faces and their five points", ("detector",)),
    "agent-parser": ("the network that labels pixels", ("parser",)),
    "agent-checks": ("code without a network, on the pixels and the parser's mask", ()),
    "agent-judge": ("limits of the recipe, applied to what was measured", ()),
    PIPELINE: ("facemint itself: hashes, sizes, seeds and versions", ()),
}


def agent_of(column: str) -> str:
    """The agent that a label column is attributed to."""
    return next((agent for beginning, agent in COLUMNS if column.startswith(beginning)), PIPELINE)


def agents(facts: Facts) -> list[dict[str, Any]]:
    """The agents as PROV nodes; those that are networks with the sha256 of their files."""
    nodes = []
    weights = read_ledger(BUNDLED).weights
    for name, (what, roles) in AGENTS.items():
        hashes = {weight.name: facts.record.weights[weight.name] for weight in weights if weight.role in roles and weight.name in facts.record.weights}
        if name == "agent-core" and facts.config.models.core:
            hashes |= {file: digest for file, digest in facts.record.weights.items() if file.startswith("core/")}
        if name in ("agent-gate", "agent-detector") and facts.config.models.pack:
            hashes = {file: digest for file, digest in facts.record.weights.items() if file.startswith("pack/")}
        files = "; ".join(f"{file} sha256 {digest}" for file, digest in sorted(hashes.items()))
        nodes.append({"@type": "prov:SoftwareAgent", "@id": name, "name": name, "description": f"{what}. {files}".strip()})
    return nodes

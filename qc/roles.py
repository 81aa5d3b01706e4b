"""Keeps the models apart that condition pictures, let them pass and audit the result."""

from __future__ import annotations

from collections.abc import Mapping

from manifests.ledger import Role, Weight, check_roles


def refuse_shared_models(conditioners: Mapping[str, str], gate: tuple[str, str], auditor: tuple[str, str] | None) -> None:
    """Raises RoleError with both names when one file (by sha256) holds two of the roles.

    conditioners  name -> sha256; gate, auditor  (name, sha256), auditor None when nothing audits
    """
    holders: list[tuple[str, str, Role]] = [(name, sha256, "conditioner") for name, sha256 in conditioners.items()]
    holders.append((*gate, "gate"))
    if auditor is not None:
        holders.append((*auditor, "auditor"))
    check_roles(Weight(name=name, file=f"{name}.onnx", sha256=sha256, role=role, licence="", source="", bytes=0) for name, sha256, role in holders)

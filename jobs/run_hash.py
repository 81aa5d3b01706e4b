"""The hash that names what the shards of a run depend on: shards made under another one are not taken over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


def run_hash_of(configuration: str, plan: str, conditions: Mapping[str, str], weights: Mapping[str, str], version: str) -> str:
    """sha256 of the fingerprints of configuration and plan, the condition tables (file -> sha256), the weights (name -> sha256) and facemint's version."""
    parts = {"configuration": configuration, "plan": plan, "conditions": dict(conditions), "weights": dict(weights), "version": version}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

"""Parts of a run for machines that don't talk to each other: part i of n makes the shards whose number leaves i when divided by n."""

from __future__ import annotations

import re

from manifests.errors import ConfigError

PART = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)


def parse_part(text: str) -> tuple[int, int]:
    """(i, n) of "i/n", with 0 <= i < n; the words of a SLURM array whose numbers start at 0."""
    match = PART.fullmatch(text)
    if match is None:
        raise ConfigError(f'part: "{text}" is not a part, expected I/N, such as 0/4 for the first of four.')
    part, num_parts = int(match[1]), int(match[2])
    if num_parts == 0:
        raise ConfigError(f'part: "{text}" divides a run into no parts, expected I/N with N of 1 or more.')
    if part >= num_parts:
        raise ConfigError(f'part: "{text}" is beyond the last of {num_parts} parts, expected I/N from 0/{num_parts} to {num_parts - 1}/{num_parts}.')
    return part, num_parts

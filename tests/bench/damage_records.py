"""Damage of markers, shards as a whole, the configuration, the run record and the stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.bench.tampering import NotHere, Tampering, other


def marker_count(run: Tampering) -> None:
    def change(marker: dict[str, Any]) -> None:
        name = run.choose(sorted(marker["counts"]))
        marker["counts"][name] += run.choose([-1, 1, 10**9])

    run.edit_marker(run.choose(run.shards()), change)


def marker_field(run: Tampering) -> None:
    def change(marker: dict[str, Any]) -> None:
        name = run.choose(sorted(set(marker) - {"counts", "files", "unfilled", "quarantined"}))
        marker[name] = other(marker[name])

    run.edit_marker(run.choose(run.shards()), change)


def marker_shape(run: Tampering) -> None:
    def change(marker: dict[str, Any]) -> None:
        name = run.choose(sorted(marker))
        value = marker.pop(name)
        if run.draw.random() < 0.6:
            marker[name] = run.choose([None, [], {}, "x", -1, [value], {"a": value}, True])
            if marker[name] == value:
                raise NotHere

    run.edit_marker(run.choose(run.shards()), change)


def marker_promise(run: Tampering) -> None:
    def change(marker: dict[str, Any]) -> None:
        file = run.choose(sorted(marker["files"]))
        promise = marker["files"].pop(file)
        if run.draw.random() < 0.6:
            marker["files"][run.choose(["../../secret", "/etc/passwd", "data/other.tar", f"{file}x"])] = promise

    run.edit_marker(run.choose(run.shards()), change)


def hostile_marker(run: Tampering) -> None:
    run.write_marker(run.choose(run.shards()), run.choose([b"[" * 100_000, b"{}", b"[]\n", b"\xff", b"null", b'{"counts":' * 10_000, b"1" * 10_000]))


def missing_marker(run: Tampering) -> None:
    run.delete(f"data/{run.choose(run.shards())}.json")


def open_slots(run: Tampering) -> None:
    """A filled slot that the marker lists as unfilled, or an entry that is gone."""

    def change(marker: dict[str, Any]) -> None:
        if marker["unfilled"] and run.draw.random() < 0.5:
            marker["unfilled"].pop()
        else:
            asked = {"slot": marker["start"], "cell": 0, "identity_id": "x", "expression": "anger", "scene_id": "x"}
            marker["unfilled"].append({**asked, "attempts": 1, "reason": "attempts", "reasons": {}})

    run.edit_marker(run.choose(run.shards()), change)


def doubled_shard(run: Tampering) -> None:
    """A shard's files and marker again under a further name."""
    shard = run.choose(run.shards())
    for file in [file for file in run.promised() if Path(file).stem == shard]:
        run.write(file.replace(shard, f"{shard[:-6]}000777"), run.read(file))


def replaced_shard(run: Tampering) -> None:
    """A shard whose files and marker are those of another one."""
    shards = run.shards()
    one, other = run.choose(shards), run.choose(shards)
    if one == other:
        raise NotHere
    for file in [file for file in run.promised() if Path(file).stem == other and not file.endswith(".json")]:
        run.write(file.replace(other, one), run.read(file))
    text = run.read(f"data/{other}.json").decode().replace(other, one)
    run.write_marker(one, text.encode())


def configuration(run: Tampering) -> None:
    """Another recipe, with the stage's hash in step."""
    text = run.read("config.yaml").decode()
    key, digit = run.choose([("views", 1), ("seed", 7), ("max_attempts", 1), ("shard_size", 9), ("guidance", 9)])
    run.write("config.yaml", text.replace(f"{key}: ", f"{key}: {digit}", 1).encode())
    run.reseal_stage("plan", "config.yaml")


def hostile_configuration(run: Tampering) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    run.write("config.yaml", run.choose([bomb, "[" * 5000, "seed: !!python/object:os.system x", "\0", "seed: [", "seed: 1\nseed: 2\n"]).encode())
    run.reseal_stage("plan", "config.yaml")


def run_record(run: Tampering) -> None:
    value = json.loads(run.read("run.json"))
    part = run.choose(["counts", "weights", "versions", "config_hash"])
    if part == "config_hash":
        value[part] = other(value[part])
    else:
        name = run.choose(sorted(name for name in value[part] if part != "versions" or name == "facemint"))
        value[part][name] = other(value[part][name])
    run.write("run.json", (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())
    run.reseal_stage("make", "run.json")


def stage_marker(run: Tampering) -> None:
    """A hash of a stage's marker."""
    stage = run.choose(["plan", "prepare", "make", "summarize"])
    marker = json.loads(run.read(f"stages/{stage}.json"))
    part = run.choose(["inputs", "outputs"])
    name = run.choose(sorted(marker[part]))
    marker[part][name] = other(marker[part][name])
    run.edit_json(f"stages/{stage}.json", lambda value: value.update(marker))


def missing_stage(run: Tampering) -> None:
    run.delete(f"stages/{run.choose(['plan', 'prepare', 'make'])}.json")


def report(run: Tampering) -> None:
    run.flip(run.choose(sorted(json.loads(run.read("stages/summarize.json"))["outputs"])))


KINDS = (
    marker_count,
    marker_field,
    marker_shape,
    marker_promise,
    hostile_marker,
    missing_marker,
    open_slots,
    doubled_shard,
    replaced_shard,
    configuration,
    hostile_configuration,
    run_record,
    stage_marker,
    missing_stage,
    report,
)

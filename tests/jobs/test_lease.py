from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.files import write_whole
from jobs.lease import Holder, Lease
from manifests.errors import BusyError, StorageError

ROOT = Path(__file__).resolve().parent.parent.parent

# Waits for a file, so that several start at the same moment, takes the lease, says so, and keeps it until it is told to end.
TAKE = """
import sys, time
from pathlib import Path
from jobs.lease import Lease
from jobs.locations import location
from manifests.errors import BusyError
sys.stdout.write("ready\\n"); sys.stdout.flush()
end = time.monotonic() + 60
while not Path(sys.argv[2]).exists() and time.monotonic() < end: pass
try:
    with Lease(location(sys.argv[1])) as lease:
        sys.stdout.write("mine\\n"); sys.stdout.flush()
        sys.stdin.read()
        lease.check()
except BusyError as error:
    sys.stdout.write(f"{error}\\n"); sys.stdout.flush()
"""


@pytest.fixture(params=["here", "in a store"])
def folder(request, tmp_path):
    return tmp_path / "run" if request.param == "here" else request.getfixturevalue("run_folder")


def quick(folder, **words):
    return Lease(folder, **{"heartbeat_seconds": 0.05, "settle_seconds": 0.1, **words})


def start(folder, go):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, str(folder), str(go)], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process, *, kill=False):
    if kill:
        process.kill()
    rest, _ = process.communicate(timeout=60)
    return rest


def stranger(**fields):
    now = time.time()
    holder = Holder(token="t", host="elsewhere", machine="another system", pid=4711, process_started="1", started=now, heartbeat=now)
    return replace(holder, **fields)


def test_a_second_command_is_refused_while_the_first_holds_the_lease(folder):
    with quick(folder) as lease:
        lease.check()
        with pytest.raises(BusyError, match=rf"in use by process {os.getpid()} on {socket.gethostname()} since 20.* UTC. Wait for it or stop it") as refusal:
            quick(folder).__enter__()
        assert refusal.value.exit_code == 75
        lease.check()
    assert not (folder / "lease.json").exists()
    with quick(folder):
        pass


def test_leases_of_two_names_do_not_disturb_each_other(folder):
    with quick(folder, name="lease-0-of-2") as one, quick(folder, name="lease-1-of-2") as other:
        one.check()
        other.check()


@pytest.mark.parametrize(("held", "asked"), [("lease", "lease-0-of-2"), ("lease-1-of-2", "lease"), ("lease-0-of-2", "lease-0-of-4")])
def test_commands_that_would_make_the_same_shards_exclude_each_other(folder, held, asked):
    with quick(folder, name=held) as lease:
        with pytest.raises(BusyError, match=f"in use by process {os.getpid()} "):
            quick(folder, name=asked).__enter__()
        assert not (folder / f"{asked}.json").exists()
        lease.check()
    with quick(folder, name=asked):
        pass


def test_a_part_of_another_division_that_is_gone_is_no_obstacle(folder):
    write_whole(folder / "lease-3-of-9.json", stranger(heartbeat=0.0).to_bytes())
    with quick(folder) as lease:
        lease.check()


def test_a_lease_that_cannot_be_read_for_a_moment_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.patience.FIRST_WAIT_SECONDS", 0.001)
    with quick(tmp_path, heartbeat_seconds=30.0) as lease:
        read, failures = Path.read_bytes, [OSError(errno.EIO, "Input/output error")] * 3

        def failing(path):
            if failures:
                raise failures.pop()
            return read(path)

        monkeypatch.setattr(Path, "read_bytes", failing)
        lease.check()
        assert not failures
        failures += [OSError(errno.EIO, "Input/output error")] * 9
        time.sleep(1.1)
        with pytest.raises(StorageError, match="can't be read .Input/output error"):
            lease.check()
        failures.clear()


def test_a_lease_that_ends_leaves_no_file(tmp_path):
    with quick(tmp_path), pytest.raises(BusyError):
        quick(tmp_path).__enter__()
    assert not list(tmp_path.iterdir())


def test_of_two_processes_that_start_at_once_one_wins(folder, tmp_path):
    processes = [start(folder, tmp_path / "go") for _ in range(2)]
    (tmp_path / "go").touch()
    firsts = [process.stdout.readline() for process in processes]
    for process in processes:
        finish(process)
    assert firsts.count("mine\n") == 1
    assert sum("in use by process" in first for first in firsts) == 1


def test_a_command_that_died_while_it_replaced_another_is_no_obstacle(tmp_path):
    write_whole(tmp_path / "lease.json", stranger(heartbeat=0.0).to_bytes())
    right = tmp_path / ".lease.json.after-t"
    right.write_bytes(stranger(token="u").to_bytes())
    os.utime(right, (0, 0))
    with quick(tmp_path) as lease:
        lease.check()
        assert [path.name for path in tmp_path.iterdir()] == ["lease.json"]


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_that_try_at_once_one_wins(tmp_path, stale):
    for turn in range(5):
        folder = tmp_path / str(turn)
        if stale:
            write_whole(folder / "lease.json", stranger(heartbeat=0.0).to_bytes())
        gate = threading.Barrier(6)
        won, lost = [], []

        def take(folder=folder, gate=gate, won=won, lost=lost):
            gate.wait(timeout=20)
            try:
                won.append(quick(folder, heartbeat_seconds=0.02).__enter__())
            except BusyError:
                lost.append(1)

        threads = [threading.Thread(target=take) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert (len(won), len(lost)) == (1, 5)
        won[0].check()
        won[0].__exit__(None, None, None)
        assert not list(folder.iterdir())


def test_a_killed_holder_is_replaced_at_once(folder, tmp_path):
    (tmp_path / "go").touch()
    process = start(folder, tmp_path / "go")
    assert process.stdout.readline() == "mine\n"
    with pytest.raises(BusyError, match=f"process {process.pid} "):
        quick(folder).__enter__()
    finish(process, kill=True)
    with quick(folder) as lease:
        lease.check()


def test_a_process_number_that_was_given_again_is_not_the_holder(folder):
    with quick(folder) as lease:
        mine = Holder.from_bytes(lease.path.read_bytes())
    write_whole(folder / "lease.json", replace(mine, token="t", process_started="1").to_bytes())
    with quick(folder) as lease:
        lease.check()


def test_another_machine_is_believed_for_a_minute(folder):
    write_whole(folder / "lease.json", stranger(heartbeat=time.time() - 50).to_bytes())
    with pytest.raises(BusyError, match="process 4711 on elsewhere .* run again 60 s after its last heartbeat"):
        quick(folder).__enter__()
    write_whole(folder / "lease.json", stranger(heartbeat=time.time() - 61).to_bytes())
    with quick(folder) as lease:
        lease.check()


def test_another_machine_with_a_wrong_clock_that_still_writes_is_alive(tmp_path):
    write_whole(tmp_path / "lease.json", stranger(heartbeat=1000.0).to_bytes())
    threading.Timer(0.3, lambda: write_whole(tmp_path / "lease.json", stranger(heartbeat=1005.0).to_bytes())).start()
    with pytest.raises(BusyError, match="elsewhere"):
        quick(tmp_path, heartbeat_seconds=1.0).__enter__()


def test_the_heart_beats(folder):
    with quick(folder) as lease:
        first = Holder.from_bytes(lease.path.read_bytes())
        end = time.monotonic() + 20
        while Holder.from_bytes(lease.path.read_bytes()).heartbeat == first.heartbeat:
            assert time.monotonic() < end
            time.sleep(0.02)
        lease.check()


def test_a_driver_whose_lease_was_taken_stops_and_leaves_the_other_alone(folder):
    with quick(folder, heartbeat_seconds=30.0) as lease:
        taken = stranger().to_bytes()
        write_whole(folder / "lease.json", taken)
        end = time.monotonic() + 20
        with pytest.raises(BusyError, match="taken by process 4711 on elsewhere. This command stops"):
            while time.monotonic() < end:
                lease.check()
                time.sleep(0.02)
    assert (folder / "lease.json").read_bytes() == taken


def test_a_driver_whose_lease_was_deleted_stops(tmp_path):
    with quick(tmp_path, heartbeat_seconds=30.0) as lease:
        (tmp_path / "lease.json").unlink()
        with pytest.raises(BusyError, match="was deleted"):
            lease.check()


def test_a_damaged_lease_is_said(tmp_path):
    write_whole(tmp_path / "lease.json", "{")
    with pytest.raises(StorageError, match="is damaged"):
        quick(tmp_path).__enter__()


def test_the_later_of_two_that_write_to_a_store_at_once_has_it(run_folder):
    path = run_folder / "lease.json"
    late = threading.Timer(0.3, lambda: path.store.put(path.key, stranger().to_bytes()))
    late.start()
    with pytest.raises(BusyError, match="elsewhere"):
        quick(run_folder, settle_seconds=1.0, heartbeat_seconds=30.0).__enter__()
    late.join()

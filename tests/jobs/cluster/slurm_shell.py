"""A stand-in for SLURM's sbatch, scontrol and srun that runs jobs on this machine at once, and refuses options that SLURM does not have.

Options: manual pages sbatch(1) and srun(1) of SLURM 22.05. State is a folder, $SLURM_SHELL.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

FLAGS = {"parsable", "requeue", "exclusive"}
VALUED = {
    "array", "cpus-per-task", "dependency", "gpus-per-node", "job-name", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output", "signal", "time",
}  # fmt: skip
TIMES = 40  # that a job may be started


def options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Options before the command, and the command."""
    found = {}
    for place, word in enumerate(words):
        if not word.startswith("--"):
            return found, words[place:]
        name, equals, value = word[2:].partition("=")
        if name not in (VALUED if equals else FLAGS):
            raise SystemExit(f"slurm_shell: unknown option {word}")
        found[name] = value
    return found, []


def directives(script: str) -> dict[str, str]:
    """Options of the #SBATCH lines, which SLURM reads up to the first command, without the shell's rules."""
    lines = []
    for line in script.splitlines():
        if line.strip() and not line.startswith("#"):
            break
        if line.startswith("#SBATCH "):
            lines.append(line.removeprefix("#SBATCH ").strip())
    return options(lines)[0]


def sbatch(words: list[str]) -> int:
    given, (script, *arguments) = options(words)
    state = Path(os.environ["SLURM_SHELL"])
    asked = directives(Path(script).read_text()) | given
    job = 1000 + 10 * len(list(state.glob("job-*")))
    first, last = map(int, asked["array"].split("-")) if "array" in asked else (0, 0)
    (state / f"job-{job}.json").write_text(json.dumps({"asked": asked, "arguments": arguments}))
    kind, _, before = asked.get("dependency", "").partition(":")
    codes = json.loads((state / f"codes-{before}").read_text()) if before else []
    if kind == "afterok" and any(codes):
        sys.stdout.write(f"{job}\n")
        return 0
    tasks = [(job + number, number if "array" in asked else None) for number in range(first, last + 1)]
    if "array" in asked:
        (state / f"array-{job}").write_text(json.dumps([task for task, _ in tasks]))
    # One after the other, but the last two at the same time.
    ended = [run(state, script, arguments, [task]) for task in tasks[:-2]] if len(tasks) > 2 else []
    ended.append(run(state, script, arguments, tasks[-2:] if len(tasks) > 2 else tasks))
    (state / f"codes-{job}").write_text(json.dumps([code for codes in ended for code in codes]))
    sys.stdout.write(f"{job}\n")
    return 0


def run(state: Path, script: str, arguments: list[str], tasks: list[tuple[int, int | None]]) -> list[int]:
    """Exit codes of tasks that run at the same time, each started again as often as it asks to."""
    codes = {}
    for restart in range(TIMES):
        waiting = [task for task in tasks if task not in codes]
        started = [(task, start(state, script, arguments, *task, restart)) for task in waiting]
        for (task, _), process in started:
            code = process.wait()
            requeue = state / f"requeue-{task}"
            if requeue.exists():
                requeue.unlink()
            else:
                codes[(task, _)] = code
        if len(codes) == len(tasks):
            break
    return [codes[task] for task in tasks]


def start(state: Path, script: str, arguments: list[str], task: int, number: int | None, restart: int) -> subprocess.Popen[bytes]:
    """The batch shell of a task; sent the signal to stop when the file stop-after-SECONDS asks for it, on its first start."""
    environment = dict(os.environ, SLURM_JOB_ID=str(task), SLURM_JOB_NUM_NODES="1", SLURM_JOB_NODELIST="127.0.0.1", SLURM_RESTART_COUNT=str(restart))
    if number is not None:
        array = task - number
        environment |= {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_JOB_ID": str(array)}
        if task == json.loads((state / f"array-{array}").read_text())[-1]:  # as SLURM has it: the last one keeps the number of the array
            environment["SLURM_JOB_ID"] = str(array)
    with (state / f"log-{task}").open("ab") as log:
        process = subprocess.Popen(["bash", script, *arguments], env=environment, stdout=log, stderr=log)
    for order in state.glob(f"stop-{task}-when-*") if restart == 0 else ():
        wanted = Path((order).read_text())
        end = time.monotonic() + 60
        while not wanted.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
    return process


def scontrol(words: list[str]) -> int:
    if words[:2] == ["show", "hostnames"]:
        sys.stdout.write("\n".join(words[2].split(",")) + "\n")
    elif words[0] == "requeue" and (named := re.fullmatch(r"(\d+)(?:_(\d+))?", words[1])):
        state, job = Path(os.environ["SLURM_SHELL"]), int(named[1])
        array = state / f"array-{job}"
        if named[2]:
            tasks = [job + int(named[2])]
        else:
            tasks = json.loads(array.read_text()) if array.is_file() else [job]  # the number of an array names all of its tasks
        for task in tasks:
            (state / f"requeue-{task}").touch()
    else:
        raise SystemExit(f"slurm_shell: scontrol {words}")
    return 0


def srun(words: list[str]) -> int:
    _, command = options(words)
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    raise SystemExit({"sbatch": sbatch, "scontrol": scontrol, "srun": srun}[sys.argv[1]](sys.argv[2:]))

"""The command that runs a recipe on other machines: submit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobs.commands.words import overrides, recipe
from manifests.errors import ConfigError

if TYPE_CHECKING:
    from jobs.cluster.order import Order

KINDS = ("kuberay", "sbatch", "sbatch-array")


@click.command()
@recipe
@click.option("--out", required=True, help="Run folder as every machine of the cluster names it: an object store, or a full path on shared storage.")
@click.option("--address", envvar="RAY_API_SERVER_ADDRESS", help="Dashboard of a Ray cluster, such as http://HOST:8265; or RAY_API_SERVER_ADDRESS.")
@click.option("--wait/--no-wait", default=True, help="Follow the job's log and end with its exit code, or return once it is submitted.")
@click.option("--print", "kind", type=click.Choice(KINDS), help="Print a file to edit and apply, instead of submitting.")
@click.option("--name", help="Name of the job; facemint-RECIPE if left out.")
@click.option("--machines", type=int, default=1, show_default=True, help="With --print: machines with workers; parts of a sbatch-array.")
@click.option("--cpus", type=int, default=8, show_default=True, help="With --print: CPU cores of each machine.")
@click.option("--gpus", type=int, default=0, show_default=True, help="With --print: GPUs of each machine.")
@click.option("--hours", type=int, default=24, show_default=True, help="With --print: time limit.")
@click.option("--image", help="With --print kuberay: container image with facemint in it.")
@click.option("--claim", metavar="NAME:/FOLDER", help="With --print kuberay: PersistentVolumeClaim with the run folder, and where it is mounted.")
@overrides
def submit(
    recipe: str,
    out: str,
    address: str | None,
    wait: bool,
    kind: str | None,
    name: str | None,
    machines: int,
    cpus: int,
    gpus: int,
    hours: int,
    image: str | None,
    claim: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Runs a recipe on a Ray cluster, which writes the run folder; or prints a file for KubeRay or SLURM that does."""
    from jobs.cluster.order import Machines, compose_order, staffed

    order = compose_order(recipe, overrides, out=out, name=name)
    if kind is None:
        _submit(order, address, wait=wait)
        return
    asked = Machines(count=machines, cpus=cpus, gpus=gpus, hours=hours)
    order = staffed(order, asked, overrides, together=kind != "sbatch-array")
    if kind == "kuberay":
        from jobs.cluster.kuberay import parse_claim, rayjob

        if image is None:
            raise ConfigError("submit: --print kuberay needs --image, a container image with facemint in it that the cluster can fetch.")
        click.echo(rayjob(order, asked, image=image, claim=None if claim is None else parse_claim(claim)), nl=False)
    else:
        from jobs.cluster.slurm import array_script, ray_script

        click.echo((ray_script if kind == "sbatch" else array_script)(order, asked), nl=False)


def _submit(order: Order, address: str | None, *, wait: bool) -> None:
    from jobs.cluster.submit import follow, open_client
    from jobs.cluster.submit import submit as start

    if address is None:
        raise ConfigError("submit: there is no --address. Give the dashboard of a Ray cluster, such as http://HOST:8265, or --print a file for a scheduler.")
    client = open_client(address)
    submission = start(client, order)
    click.echo(f"submitted {submission} to {address}; stop it with: ray job stop --address {address} {submission}")
    if not wait:
        return
    try:
        code = follow(client, submission, lambda lines: click.echo(lines, nl=False))
    except KeyboardInterrupt:
        click.echo(f"{submission} goes on; follow it with: ray job logs --follow --address {address} {submission}", err=True)
        raise
    raise click.exceptions.Exit(code)

"""Commands about marks: detect prints them, mark signs copies of a run's shards."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from jobs.commands.words import run_folder
from jobs.locations import Location, location
from manifests.errors import ConfigError, InputError
from manifests.printable import printable

ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="FILE...|RUN...")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one object a line.")
@click.option("--place", type=click.Choice(["data", "rejected", "signed"]), default="data", show_default=True, help="Which pictures of a run.")
@click.option("--max", "max_pictures", type=click.IntRange(1), default=1000, show_default=True, help="How many pictures of a run, from the first on.")
def detect(targets: tuple[str, ...], as_json: bool, place: str, max_pictures: int) -> None:
    """Prints what pictures say about being synthetic: IPTC metadata, C2PA manifest, watermark. Writes nothing."""
    import json

    from jobs.marking.detect import look, look_through_run

    for target in targets:
        where = location(target)
        if isinstance(where, Path) and where.is_file():
            seen = look(target, _read(where))
            click.echo(json.dumps(seen.to_json()) if as_json else printable(seen.line()))
        else:
            expected = _run_id(where)
            counts: Counter[str] = Counter()
            for seen in look_through_run(where, place, max_pictures=max_pictures):
                counts.update(pictures=1, iptc=seen.source_type is not None, c2pa=not (seen.manifest is None or isinstance(seen.manifest, str)))
                counts.update(watermark=seen.watermark.present, of_this_run=seen.watermark.sound and seen.watermark.payload == expected)
                if as_json:
                    click.echo(json.dumps(seen.to_json(expected)))
            if not counts["pictures"]:
                raise InputError(f"detect: {target} has no pictures in {place}/. Name the folder of a run, or a JPEG or PNG file.")
            if not as_json:
                parts = f"{counts['iptc']:,} with IPTC, {counts['c2pa']:,} with C2PA, {counts['watermark']:,} with a watermark"
                click.echo(f"{target}/{place}: {counts['pictures']:,} pictures, {parts} ({counts['of_this_run']:,} with this run's id {expected:012x})")


@click.command()
@run_folder
@click.option("--certificate", type=click.Path(dir_okay=False, path_type=Path), envvar="FACEMINT_C2PA_CERTIFICATE", help="PEM: chain, the signer's own first.")
@click.option("--key", type=click.Path(dir_okay=False, path_type=Path), envvar="FACEMINT_C2PA_KEY", help="PEM: private key without a password.")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default="es256", show_default=True, help="Of the signature; must fit the key.")
def mark(folder: Location, certificate: Path | None, key: Path | None, algorithm: str) -> None:
    """Writes signed/: copies of a run's accepted shards whose pictures carry signed C2PA manifests; the run's own shards stay as they are.

    FACEMINT_C2PA_CERTIFICATE and FACEMINT_C2PA_KEY name the files where the options are left out. Needs the extra c2pa.
    """
    if certificate is None or key is None:
        raise ConfigError("mark: name your certificate and key with --certificate and --key, or in FACEMINT_C2PA_CERTIFICATE and FACEMINT_C2PA_KEY.")
    from jobs.config import load_config
    from jobs.marking.c2pa import Credential, Signer
    from jobs.marking.signing import FOLDER, sign_run

    signer = Signer(Credential(certificate=certificate, key=key, algorithm=algorithm))  # type: ignore[arg-type] # click checked it
    scenes = load_config(folder / "config.yaml").scenes
    names = list(sign_run(folder, signer.sign, photographs=bool(scenes.path or scenes.from_identities)))
    click.echo(f"signed {len(names):,} shards in {folder / FOLDER}" if names else f"{folder / FOLDER} holds every shard already")


def _read(path: Path) -> bytes:
    from qc.images import ImageLimits

    limit = ImageLimits().max_bytes
    if path.stat().st_size > limit:
        raise InputError(f"detect: {path} has {path.stat().st_size:,} bytes, at most {limit:,} are read. Name a smaller picture.")
    return path.read_bytes()


def _run_id(folder: Location) -> int:
    from jobs.extend import recipe_of_run
    from jobs.marking.marker import run_id

    return run_id(recipe_of_run(folder))

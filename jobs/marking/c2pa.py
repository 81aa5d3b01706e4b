"""Signed C2PA manifests: put into a picture's file with its owner's certificate, and read from anybody's; needs the extra `c2pa`."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from jobs.bundle import facemint_version
from jobs.images import Format
from jobs.marking.iptc import SourceType
from manifests.errors import ConfigError, InputError

Algorithm = Literal["es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519"]
MIME: dict[Format, str] = {"jpeg": "image/jpeg", "png": "image/png"}
# No thumbnails: 78 kB and 33 ms a picture, for something that is the picture itself. Nothing is fetched: what is elsewhere counts as missing.
_SETTINGS = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}


@dataclass(frozen=True, kw_only=True)
class Credential:
    """Whose signature it is; the key is read when a signer is opened and kept nowhere else."""

    certificate: Path  # PEM, the signer's own first, then those that signed it
    key: Path  # PEM, PKCS 8, without a password
    algorithm: Algorithm = "es256"

    def __post_init__(self) -> None:
        for what, path in (("certificate", self.certificate), ("key", self.key)):
            if not path.is_file():
                raise ConfigError(f"c2pa: the {what} {path} is not a file. Name a PEM file.")


@dataclass(frozen=True, kw_only=True)
class Signed:
    """What a manifest in a file says, and what there is to say about it."""

    state: str  # Valid, Trusted or Invalid, as the C2PA library judges it
    trusted: bool  # whether the certificate is one that the library trusts
    issuer: str
    generator: str  # program that made the claim
    source_type: str | None  # IPTC's term in the manifest's actions
    failures: tuple[str, ...]  # codes of the C2PA specification


def has_library() -> bool:
    """Whether the extra is installed."""
    from importlib.util import find_spec

    return find_spec("c2pa") is not None


class Signer:
    """Signs pictures. Signatures and manifests have random numbers in them, so signing twice gives different bytes."""

    def __init__(self, credential: Credential) -> None:
        self._c2pa = _library()
        algorithm = getattr(self._c2pa.C2paSigningAlg, credential.algorithm.upper())
        certificate, key = (_read(path) for path in (credential.certificate, credential.key))
        # No address of a time stamp: it would send a request for each picture.
        try:
            self._signer = self._c2pa.Signer.from_info(
                self._c2pa.C2paSignerInfo(alg=algorithm, sign_cert=certificate, private_key=key, ta_url=None)  # type: ignore[arg-type]
            )
        except self._c2pa.C2paError:
            raise ConfigError(  # without the library's words and without their cause: they could quote the key
                f"c2pa: {credential.certificate} and {credential.key} are no certificate chain and {credential.algorithm} key that fit. "
                "Name PEM files of a chain and of the unencrypted PKCS 8 key of its first certificate."
            ) from None
        self._context = self._c2pa.Context.from_dict(_SETTINGS)

    def sign(self, content: bytes, form: Format, source_type: SourceType) -> bytes:
        """The file with a manifest that says that it was created, and how; pixels and XMP stay."""
        names = self._c2pa.C2paDigitalSourceType
        term = names.TRAINED_ALGORITHMIC_MEDIA if source_type == "trainedAlgorithmicMedia" else names.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA
        claim = {"claim_generator_info": [{"name": "facemint", "version": facemint_version()}], "title": "synthetic face"}
        builder = self._c2pa.Builder(claim, self._context)
        builder.set_intent(self._c2pa.C2paBuilderIntent.CREATE, term)
        signed = io.BytesIO()
        try:
            builder.sign(self._signer, MIME[form], io.BytesIO(content), signed)
        except self._c2pa.C2paError:
            raise ConfigError(
                "c2pa: the library refuses to sign with this certificate. It needs a chain whose first certificate is for signing "
                "(key usage digitalSignature, extended key usage of documents or e-mail), is valid now, and fits the key and the algorithm."
            ) from None
        return signed.getvalue()


def read_manifest(content: bytes, form: Format) -> Signed | None:
    """What the manifest of a picture says; None without one. Raises InputError when there is one that can't be read."""
    c2pa = _library()
    try:
        reader = c2pa.Reader.try_create(MIME[form], io.BytesIO(content), context=c2pa.Context.from_dict(_SETTINGS))
    except c2pa.C2paError as error:
        raise InputError(f"c2pa: the manifest can't be read ({' '.join(str(error).split())[:160]}). The file was damaged or changed.") from error
    if reader is None:
        return None
    with reader:
        found: dict[str, Any] = json.loads(reader.json())
    active = found["manifests"][found["active_manifest"]]
    results = found.get("validation_results", {}).get("activeManifest", {})
    failures = tuple(sorted({str(item["code"]) for item in results.get("failure", [])}))
    generator = (active.get("claim_generator_info") or [{}])[0]
    return Signed(
        state=str(found.get("validation_state", "unknown")),
        trusted="signingCredential.untrusted" not in failures,
        issuer=str(active.get("signature_info", {}).get("issuer", "")),
        generator=f"{generator.get('name', '')} {generator.get('version', '')}".strip(),
        source_type=_source_type(active),
        failures=failures,
    )


def _source_type(manifest: dict[str, Any]) -> str | None:
    for assertion in manifest.get("assertions", []):
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            for action in assertion.get("data", {}).get("actions", []):
                if "digitalSourceType" in action:
                    return str(action["digitalSourceType"]).rpartition("/")[2]
    return None


def _library() -> ModuleType:
    try:
        import c2pa
    except ImportError as error:
        raise ConfigError('c2pa: the package c2pa-python is not installed. Install facemint with its extra: pip install "facemint[c2pa]".') from error
    return c2pa


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"c2pa: {path} can't be read ({error.strerror}). Check its permissions.") from error

"""`strongroom sign`: hash, scan and sign a model in one go; and the verifying of such signatures.

The bundle is the one of OpenSSF model signing (docs/signing.md): `model_signing verify` takes it,
and what `model_signing sign` makes is verified here.
"""

import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from strongroom.engines.crypto import dsse, model_signature
from strongroom.engines.crypto.certificate_chain import Roots, certificates_in
from strongroom.engines.crypto.model_signature import (
    GIT_PATHS,
    MAX_BUNDLE_BYTES,
    WHOLE_FILE,
    Manifest,
    Resource,
    Serialization,
)
from strongroom.engines.crypto.signing import SigningKey, VerifyingKey
from strongroom.engines.scanning.findings import Report, Verdict
from strongroom.errors import CallerError, TamperedError, UsageError, ValidationError
from strongroom.faces.cli import model_folder, options, output
from strongroom.faces.cli.model_folder import ModelFolder, OpenFiles
from strongroom.vault.roots import read_private_file

FINDINGS_EXIT_CODE = 6
_MAX_PEM_BYTES = 4 << 20
_MAX_KEY_BYTES = 1 << 14
_TOLD = 8
_BLOCKING = (Verdict.MALICIOUS, Verdict.UNREADABLE)


def run_sign(
    path: Path,
    *,
    key: str,
    certificates: Path | None,
    signature: Path,
    ignored: Sequence[Path],
    follows_links: bool,
    scans: bool,
    passphrase_file: str | None,
    as_json: bool,
) -> int:
    """Sign a model; the exit code: 6, and nothing written, where the scan finds an attack.

    Args:
        key: file with the private key in PEM, or `-` for stdin.
        certificates: PEM; the signer's first, then those up to the root.
        signature: where the bundle goes.
        ignored: not covered, with all below.
        scans: whether the files are scanned before they are signed.

    Raises:
        StrongroomError: as `find` and `hash_files`; no usable key; the signature may not go there.
    """
    _require_replaceable(signature)
    signing_key = _signing_key(key, passphrase_file)
    model_signature.require_usable(signing_key.verifying_key)
    chain = certificates_in(_public(certificates)) if certificates is not None else []
    how = Serialization(
        follows_links=follows_links,
        ignored=(*GIT_PATHS, *_paths_inside(path, [*ignored, signature])) if path.is_dir() else (),
    )
    folder = model_folder.find(path, how)
    if not folder.files:
        raise ValidationError("there is no file to sign")
    reports: list[Report] = []
    scan = partial(_scan, folder, reports) if scans else None
    resources = model_folder.hash_files(folder.files, how, scan)
    model_folder.require_unchanged(folder.files)
    if reports and reports[0].verdict in _BLOCKING:
        output.words(f"not signed: {reports[0].reason()}")
        output.words("  next: look at `strongroom scan`; --no-scan signs it all the same")
        return FINDINGS_EXIT_CODE
    bundle = model_signature.sign(Manifest(folder.name, tuple(resources), how), signing_key, chain)
    _write(signature, bundle)
    output.words(f"signed: {len(resources):,} files of `{output.clean(folder.name)}`")
    _say_uncovered(folder)
    output.data(
        {
            "signature": str(signature),
            "files": len(resources),
            "bytes": sum(file.size for file in folder.files),
            "key_id": signing_key.verifying_key.key_id,
            "scan": str(reports[0].verdict) if reports else "not scanned",
            "not_covered": list(folder.uncovered),
        },
        as_json=as_json,
    )
    return 0


def run_verify_signature(
    path: Path,
    *,
    signature: Path,
    public_key: Path | None,
    chains: Sequence[Path],
    ignored: Sequence[Path],
    follows_links: bool,
    moment: str | None,
    as_json: bool,
) -> None:
    """Verify a model against a bundle, or against a signed statement about its files.

    Args:
        public_key: the key that one trusts, in PEM.
        chains: certificates that one trusts, in PEM, in place of a key.
        ignored: left out beside what the signature leaves out.
        follows_links: allow links to files; only where the signer followed them too.
        moment: RFC 3339; when the certificates must have been valid, else now.

    Raises:
        TamperedError: the signature is not good, or the files are not those that were signed.
    """
    content = _read(signature, MAX_BUNDLE_BYTES)
    if (public_key is None) == (not chains):
        raise UsageError(
            "a model is verified against a key or certificates that you trust",
            next_step="give --public-key, or --certificate-chain",
        )
    if public_key is not None:
        key = VerifyingKey.from_pem(_public(public_key))
        signer = f"key {key.key_id[:16]}"
        with _advice():
            if model_signature.is_bundle(content):
                manifest = model_signature.verify_by_key(content, key)
            else:
                manifest = _stated(dsse.verify(content, [key]))
    else:
        roots = Roots(b"\n".join(_public(chain) for chain in chains))
        at = _moment(moment)
        with _advice():
            manifest, who = model_signature.verify_by_certificates(content, roots, at)
        signer = who.name
    folder = _compare(path, manifest, _paths_inside(path, [*ignored, signature]), follows_links)
    name = output.clean(folder.name)
    output.words(f"verified: `{name}`, {len(folder.files):,} files, signed by {signer}")
    _say_uncovered(folder)
    output.data(
        {
            "verified": "model",
            "model": manifest.model,
            "signer": signer,
            "files": len(folder.files),
            "bytes": sum(file.size for file in folder.files),
            "not_covered": list(folder.uncovered),
        },
        as_json=as_json,
    )


@contextmanager
def _advice() -> Iterator[None]:
    """A signature that is not good says nothing of a server: there is no backup to go back to."""
    try:
        yield
    except TamperedError as error:
        if error.next_step != TamperedError.next_step:
            raise
        raise TamperedError(
            error.message,
            next_step="get the signature again from where the model comes from, and make sure that "
            "the key or certificate is its signer's",
        ) from None


# ---- comparing ----


def _compare(
    path: Path, manifest: Manifest, own: Sequence[str], follows_links: bool
) -> ModelFolder:
    """The folder, once its files are those of the manifest. Raises TamperedError."""
    signed = manifest.serialization
    how = Serialization(
        algorithm=signed.algorithm,
        follows_links=follows_links and signed.follows_links,
        ignored=tuple(dict.fromkeys([*signed.ignored, *own])),
        shard_bytes=signed.shard_bytes,
    )
    folder = model_folder.find(path, how)
    paths = {resource.path for resource in manifest.resources}
    present = {file.path for file in folder.files}
    # Before any byte is read: what is gone or new needs no digest to be told.
    known = [file for file in folder.files if file.path in paths]
    found = {one.name: one for one in model_folder.hash_files(known, how)}
    expected = {one.name: one for one in manifest.resources}
    changed = {
        one.path
        for one in (*manifest.resources, *found.values())
        if one.path in present
        and found.get(one.name, one).digest != expected.get(one.name, _NONE).digest
    }
    changed |= {one.path for one in manifest.resources if one.path in present
                and one.name not in found}  # fmt: skip
    # A sharded signature says nothing of empty files: they have no pieces.
    empty = {file.path for file in folder.files if file.size == 0 and how.shard_bytes}
    problems = [
        *_told("changed", changed),
        *_told("missing", paths - present),
        *_told("added", present - paths - empty),
    ]
    if problems:
        raise TamperedError(
            f"the model is not what was signed: {'; '.join(problems)}",
            next_step="get the files again from where they were signed",
        )
    return folder


_NONE = Resource("", "")


def _told(word: str, paths: set[str]) -> list[str]:
    if not paths:
        return []
    shown = [f"`{output.clean(path)}`" for path in sorted(paths)[:_TOLD]]
    more = f" and {len(paths) - _TOLD:,} more" if len(paths) > _TOLD else ""
    return [f"{word}: {', '.join(shown)}{more}"]


def _stated(statement: dsse.Statement) -> Manifest:
    """What a statement says whose subjects are files, such as provenance."""
    resources = tuple(Resource(one.name, one.sha256) for one in statement.subjects)
    return Manifest(statement.predicate_type, resources, Serialization(ignored=("model.sig",)))


def _say_uncovered(folder: ModelFolder) -> None:
    if folder.uncovered:
        shown = ", ".join(f"`{output.clean(path)}`" for path in folder.uncovered[:_TOLD])
        more = len(folder.uncovered) - _TOLD
        output.words(f"not covered: {shown}{f' and {more:,} more' if more > 0 else ''}")


# ---- scanning ----


def _scan(folder: ModelFolder, reports: list[Report]) -> None:
    from strongroom.engines.scanning.models import scan_files

    with OpenFiles() as opened:
        reports.append(
            scan_files([
                (folder.name if file.path == WHOLE_FILE else file.path, partial(opened.look, file))
                for file in folder.files
            ])
        )  # fmt: skip


# ---- in and out ----


def _paths_inside(model: Path, given: Sequence[Path]) -> tuple[str, ...]:
    """Paths relative to the model, of those that lie in it."""
    if not model.is_dir():
        return ()
    root = model.resolve()
    inside = []
    for one in given:
        # Where it lies, not what it points at: a link in the folder is its own name.
        place = (one if one.is_absolute() else Path.cwd() / one).parent.resolve() / one.name
        if place.is_relative_to(root) and place != root:
            inside.append(place.relative_to(root).as_posix())
    return tuple(dict.fromkeys(inside))


def _signing_key(given: str, passphrase_file: str | None) -> SigningKey:
    pem = sys.stdin.buffer.read(_MAX_KEY_BYTES) if given == "-" else read_private_file(Path(given))
    if b"ENCRYPTED" not in pem:
        return SigningKey.from_pem(pem)
    return SigningKey.from_pem(pem, options.secret("passphrase", passphrase_file).encode())


def _public(path: Path) -> bytes:
    return _read(path, _MAX_PEM_BYTES)


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise CallerError(f"cannot read `{path}`: {error.strerror}") from None
    if len(content) > most:
        raise CallerError(f"`{path}` is too long")
    return content


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("--at is a moment such as 2026-11-27T08:00:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _require_replaceable(signature: Path) -> None:
    """A new file, or an older signature: nothing else is written over."""
    if signature.exists() and not (
        signature.is_file() and model_signature.is_bundle(_read(signature, MAX_BUNDLE_BYTES))
    ):
        raise UsageError(
            f"`{signature}` is there already and is no signature",
            next_step="name another file with --signature",
        )


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise CallerError(f"cannot write `{path}`: {error.strerror}") from None

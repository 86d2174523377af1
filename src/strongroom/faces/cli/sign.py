"""`strongroom sign`: hash, scan and sign a model in one go; and the verifying of such signatures.

The bundle is the one of OpenSSF model signing (docs/signing.md): `model_signing verify` takes it,
and what `model_signing sign` makes is verified here.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from strongroom.engines.crypto import model_signature
from strongroom.engines.crypto.model_signature import (
    GIT_PATHS,
    MAX_BUNDLE_BYTES,
    WHOLE_FILE,
    Manifest,
    Resource,
    Serialization,
)
from strongroom.engines.scanning.findings import Report, Verdict
from strongroom.errors import CallerError, TamperedError, UsageError, ValidationError
from strongroom.faces.cli import model_folder, output
from strongroom.faces.cli.model_folder import ModelFolder, OpenFiles
from strongroom.faces.cli.signers import Given, Signer, read_file
from strongroom.faces.cli.trusted_signers import Trusted

FINDINGS_EXIT_CODE = 6
_TOLD = 8
_BLOCKING = (Verdict.MALICIOUS, Verdict.UNREADABLE)


def run_sign(
    path: Path,
    *,
    given: Given,
    signature: Path,
    ignored: Sequence[Path],
    follows_links: bool,
    scans: bool,
    as_json: bool,
) -> int:
    """Sign a model; the exit code: 6, and nothing written, where the scan finds an attack.

    Args:
        given: who signs.
        signature: where the bundle goes.
        ignored: not covered, with all below.
        scans: whether the files are scanned before they are signed.

    Raises:
        StrongroomError: as `find` and `hash_files`; nobody to sign; the signature may not go there.
    """
    _require_replaceable(signature)
    how = Serialization(
        follows_links=follows_links,
        ignored=(*GIT_PATHS, *_paths_inside(path, [*ignored, signature])) if path.is_dir() else (),
    )
    with given.signer() as signer:
        return _sign(path, signer, how, signature, scans=scans, as_json=as_json)


def _sign(
    path: Path, signer: Signer, how: Serialization, signature: Path, *, scans: bool, as_json: bool
) -> int:
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
    bundle, who = signer.sign(Manifest(folder.name, tuple(resources), how))
    _write(signature, bundle)
    output.words(f"signed: {len(resources):,} files of `{output.clean(folder.name)}`")
    _say_uncovered(folder)
    output.data(
        {
            "signature": str(signature),
            "files": len(resources),
            "bytes": sum(file.size for file in folder.files),
            **who,
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
    trusted: Trusted,
    ignored: Sequence[Path],
    follows_links: bool,
    as_json: bool,
) -> None:
    """Verify a model against a bundle, or against a signed statement about its files.

    Args:
        trusted: whose signature is believed.
        ignored: left out beside what the signature leaves out.
        follows_links: allow links to files; only where the signer followed them too.

    Raises:
        TamperedError: the signature is not good, or the files are not those that were signed.
    """
    manifest, signer, moment = trusted.open(read_file(signature, MAX_BUNDLE_BYTES))
    folder = _compare(path, manifest, _paths_inside(path, [*ignored, signature]), follows_links)
    name = output.clean(folder.name)
    words = f"verified: `{name}`, {len(folder.files):,} files, signed by {output.clean(signer)}"
    output.words(words if moment is None else f"{words} at {moment:%Y-%m-%d %H:%M:%S} UTC")
    _say_uncovered(folder)
    output.data(
        {
            "verified": "model",
            "model": manifest.model,
            "signer": signer,
            **({} if moment is None else {"signed_at": moment.isoformat()}),
            "files": len(folder.files),
            "bytes": sum(file.size for file in folder.files),
            "not_covered": list(folder.uncovered),
        },
        as_json=as_json,
    )


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
    paths = {resource.path for resource in manifest.resources}
    folder = _named(model_folder.find(path, how), paths)
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


def _named(folder: ModelFolder, paths: set[str]) -> ModelFolder:
    """A model of one file under its own name where that is the one path that was signed.

    Statements of attacks and of a server name such a file; OpenSSF signatures call it `.`.
    """
    if paths != {folder.name} or [one.path for one in folder.files] != [WHOLE_FILE]:
        return folder
    return replace(folder, files=(replace(folder.files[0], path=folder.name),))


_NONE = Resource("", "")


def _told(word: str, paths: set[str]) -> list[str]:
    if not paths:
        return []
    shown = [f"`{output.clean(path)}`" for path in sorted(paths)[:_TOLD]]
    more = f" and {len(paths) - _TOLD:,} more" if len(paths) > _TOLD else ""
    return [f"{word}: {', '.join(shown)}{more}"]


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


def _require_replaceable(signature: Path) -> None:
    """A new file, or an older signature: nothing else is written over."""
    if signature.exists() and not (
        signature.is_file() and model_signature.is_bundle(read_file(signature, MAX_BUNDLE_BYTES))
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

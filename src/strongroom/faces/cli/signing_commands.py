"""The command `sign`, and what `verify` takes for the signature of a model."""

from pathlib import Path
from typing import Annotated

import typer

from strongroom.faces.cli.options import Json

DEFAULT = "model.sig"
"""Where the stock tool puts a signature that is not told otherwise."""
_PANEL = "Signature of a model"

Signature = Annotated[
    Path | None,
    typer.Option("--signature", metavar="FILE", help=f"Its signature; else {DEFAULT}.",
                 rich_help_panel=_PANEL),
]  # fmt: skip
PublicKey = Annotated[
    Path | None,
    typer.Option("--public-key", metavar="FILE", help="The key that you trust, in PEM.",
                 rich_help_panel=_PANEL),
]  # fmt: skip
CertificateChain = Annotated[
    list[Path] | None,
    typer.Option("--certificate-chain", metavar="FILE", help="Or certificates that you trust.",
                 rich_help_panel=_PANEL),
]  # fmt: skip
Ignore = Annotated[
    list[Path] | None,
    typer.Option("--ignore", metavar="PATH", help="Not covered, with all below.",
                 rich_help_panel=_PANEL),
]  # fmt: skip
FollowLinks = Annotated[
    bool,
    typer.Option("--follow-links", help="Take links to files for the files.",
                 rich_help_panel=_PANEL),
]  # fmt: skip
At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="When the certificates must have been valid.",
                 rich_help_panel=_PANEL),
]  # fmt: skip


def sign(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder or file of the model.")],
    key: Annotated[
        str, typer.Option("--key", metavar="FILE", help="Private key in PEM, or `-` for stdin.")
    ],
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate", metavar="FILE", help="Certificates in PEM, the signer's first."
        ),
    ] = None,
    signature: Annotated[
        Path, typer.Option("--signature", metavar="FILE", help="Where the signature goes.")
    ] = Path(DEFAULT),
    ignore: Ignore = None,
    follow_links: FollowLinks = False,
    scan: Annotated[
        bool, typer.Option("--scan/--no-scan", help="Scan the files before they are signed.")
    ] = True,
    passphrase_file: Annotated[
        str | None,
        typer.Option("--passphrase-file", metavar="FILE", help="Of the key; else it is asked for."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Sign a model for OpenSSF model signing, once a scan finds no attack in it.

    Verify it with `strongroom verify PATH --public-key FILE`, or with the stock `model_signing`.
    """
    from strongroom.faces.cli.sign import run_sign

    raise typer.Exit(
        run_sign(
            path,
            key=key,
            certificates=certificate,
            signature=signature,
            ignored=ignore or (),
            follows_links=follow_links,
            scans=scan,
            passphrase_file=passphrase_file,
            as_json=as_json,
        )
    )

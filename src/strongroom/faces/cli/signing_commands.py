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
Sigstore = Annotated[
    bool,
    typer.Option("--sigstore", help="Or an identity, through Sigstore.", rich_help_panel=_PANEL),
]
Identity = Annotated[
    str | None,
    typer.Option("--identity", metavar="NAME", help="Who must have signed: e-mail address or URI.",
                 rich_help_panel=_PANEL),
]  # fmt: skip
IdentityProvider = Annotated[
    str | None,
    typer.Option("--identity-provider", metavar="URL", help="Who must have vouched for them.",
                 rich_help_panel=_PANEL),
]  # fmt: skip
TrustConfig = Annotated[
    Path | None,
    typer.Option("--trust-config", metavar="FILE",
                 help="Trusted root of the Sigstore deployment, or its trust configuration.",
                 rich_help_panel=_PANEL),
]  # fmt: skip
_REPORT = "Report of an attack"
OfModel = Annotated[
    Path | None,
    typer.Option("--model", metavar="PATH", help="The model that it is about.",
                 rich_help_panel=_REPORT),
]  # fmt: skip
OfData = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE", help="Rows the model was trained on.",
                 rich_help_panel=_REPORT),
]  # fmt: skip
OfHeldOut = Annotated[
    Path | None,
    typer.Option("--held-out", metavar="FILE", help="Rows it never saw.",
                 rich_help_panel=_REPORT),
]  # fmt: skip
OfPlan = Annotated[
    Path | None,
    typer.Option("--plan", metavar="FILE", help="The plan it was made under.",
                 rich_help_panel=_REPORT),
]  # fmt: skip
_DEVICE = "Key in a device"
_IDENTITY = "Identity, through Sigstore"


def sign(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder or file of the model.")],
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="FILE", help="Private key in PEM, or `-` for stdin."),
    ] = None,
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
    pkcs11_uri: Annotated[
        str | None,
        typer.Option("--pkcs11-uri", metavar="URI", help="Names the key (RFC 7512), without a PIN.",
                     rich_help_panel=_DEVICE),
    ] = None,
    pkcs11_module: Annotated[
        Path | None,
        typer.Option("--pkcs11-module", metavar="FILE", help="Driver of the device.",
                     rich_help_panel=_DEVICE),
    ] = None,
    pin_file: Annotated[
        str | None,
        typer.Option("--pin-file", metavar="FILE", help="Its PIN, `-` for stdin; else asked for.",
                     rich_help_panel=_DEVICE),
    ] = None,
    sigstore: Annotated[
        bool, typer.Option("--sigstore", help="Sign by an identity.", rich_help_panel=_IDENTITY)
    ] = False,
    trust_config: Annotated[
        Path | None,
        typer.Option("--trust-config", metavar="FILE", help="Client trust configuration in JSON.",
                     rich_help_panel=_IDENTITY),
    ] = None,
    identity_token_file: Annotated[
        str | None,
        typer.Option("--identity-token-file", metavar="FILE",
                     help="Token (JWT), `-` for stdin; else asked for.",
                     rich_help_panel=_IDENTITY),
    ] = None,
    ambient_identity: Annotated[
        bool,
        typer.Option("--ambient-identity", help="Take the identity of this CI run.",
                     rich_help_panel=_IDENTITY),
    ] = False,
    client_id: Annotated[
        str,
        typer.Option("--client-id", metavar="NAME", help="Whom the token is for.",
                     rich_help_panel=_IDENTITY),
    ] = "sigstore",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Sign a model for OpenSSF model signing, once a scan finds no attack in it.

    Verify it with `strongroom verify PATH --public-key FILE`, or with the stock `model_signing`.
    """
    from strongroom.faces.cli.sign import run_sign
    from strongroom.faces.cli.signers import Given

    given = Given(
        key=key, passphrase_file=passphrase_file, certificate=certificate, device_key=pkcs11_uri,
        driver=pkcs11_module, pin_file=pin_file, uses_sigstore=sigstore, trust_config=trust_config,
        token_file=identity_token_file, is_ambient=ambient_identity, client_id=client_id,
    )  # fmt: skip
    raise typer.Exit(
        run_sign(
            path,
            given=given,
            signature=signature,
            ignored=ignore or (),
            follows_links=follow_links,
            scans=scan,
            as_json=as_json,
        )
    )

"""Runs in the interpreter that holds the stock tools; a JSON request a line, an answer a line.

It knows nothing of Strongroom: it does what the commands `model_signing` and a CycloneDX
validator do.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

# By name: the type checker looks at another interpreter than this runs in.
model_signing = import_module("model_signing")


def hashing(request: dict[str, Any]) -> Any:  # noqa: ANN401 # of a library that is not here
    config = model_signing.hashing.Config()
    if request.get("shard_size"):
        config = config.use_shard_serialization(shard_size=request["shard_size"])
    elif request.get("algorithm"):
        config = config.use_file_serialization(hashing_algorithm=request["algorithm"])
    model, signature = Path(request["model"]).resolve(), Path(request["signature"]).resolve()
    inside = [signature.relative_to(model)] if signature.is_relative_to(model) else []
    return config.set_ignored_paths(
        paths=inside, ignore_git_paths=request.get("git", True)
    ).set_allow_symlinks(request.get("links", False))


def sign(request: dict[str, Any]) -> None:
    config = model_signing.signing.Config()
    if request.get("certificate"):
        chain = [Path(one) for one in request["chain"]]
        config = config.use_certificate_signer(
            private_key=Path(request["key"]), signing_certificate=Path(request["certificate"]),
            certificate_chain=chain,
        )  # fmt: skip
    elif request.get("token"):
        config = config.use_sigstore_signer(
            identity_token=request["token"], trust_config=Path(request["trust_config"])
        )
    elif request.get("uri"):
        config = config.use_pkcs11_signer(pkcs11_uri=request["uri"])
    else:
        config = config.use_elliptic_key_signer(private_key=Path(request["key"]))
    config.set_hashing_config(hashing(request)).sign(
        Path(request["model"]), Path(request["signature"])
    )


def verify(request: dict[str, Any]) -> None:
    config = model_signing.verifying.Config()
    if request.get("chain"):
        chain = [Path(one) for one in request["chain"]]
        config = config.use_certificate_verifier(certificate_chain=chain)
    elif request.get("identity"):
        config = config.use_sigstore_verifier(
            identity=request["identity"], oidc_issuer=request["provider"],
            trust_config=Path(request["trust_config"]),
        )  # fmt: skip
    else:
        config = config.use_elliptic_key_verifier(public_key=Path(request["public_key"]))
    config.set_hashing_config(hashing(request)).verify(
        Path(request["model"]), Path(request["signature"])
    )


def validate(request: dict[str, Any]) -> None:
    version = import_module("cyclonedx.schema").SchemaVersion.from_version(request["version"])
    validator = import_module("cyclonedx.validation.json").JsonStrictValidator(version)
    problem = validator.validate_str(request["text"])
    if problem is not None:
        raise ValueError(str(problem)[:2_000])


DOES = {"sign": sign, "verify": verify, "validate": validate}


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        try:
            DOES[request["do"]](request)
            answer = ""
        except Exception as error:  # noqa: BLE001 # told to whoever asked
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)  # noqa: T201 # the answer


if __name__ == "__main__":
    main()

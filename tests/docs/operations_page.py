"""Writes docs/operations.md from the declarations: `python -m tests.docs.operations_page`."""

import importlib
import pkgutil
import sys

import strongroom
from strongroom.gate.declaration import DECLARED, Operation

HEAD = """# Operations

Every verb of the server, from its declaration: what it is called, what a policy must permit, where
it lies under `/api/v1`, and the class of the record that each call leaves, permitted or not
(OCSF 1.8). Written by `python -m tests.docs.operations_page`; a test compares.

Beside these, MLflow's own calls are recorded under their method's name (`mlflow.create_run`, …:
[mlflow.md](mlflow.md)), predictions as `endpoint.invoke`, sign-ins as `sign_in.…`
([identity.md](identity.md)), and whatever is not declared as `undeclared`.

| operation | action | route | command | record | does |
|---|---|---|---|---|---|
"""


def import_all() -> None:
    """Import every room, so that all operations are declared."""
    for module in pkgutil.walk_packages(strongroom.__path__, "strongroom."):
        if module.name.endswith(("operations", ".keys")) and ".faces." not in module.name:
            importlib.import_module(module.name)


def row(declared: Operation) -> str:
    """One line of the table."""
    route = f"`{declared.route.method} {declared.route.path}`" if declared.route else ""
    command = f"`strongroom {declared.command.words}`" if declared.command else ""
    return (
        f"| `{declared.name}` | `{declared.action}` | {route} | {command} "
        f"| {declared.audit.value} | {declared.summary} |"
    )


def page() -> str:
    """The page as it should be."""
    import_all()
    ours = (op for op in DECLARED.values() if op.handler.__module__.startswith("strongroom."))
    return HEAD + "\n".join(row(op) for op in sorted(ours, key=lambda op: op.name)) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())

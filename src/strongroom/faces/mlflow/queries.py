"""The GraphQL queries of MLflow's user interface: exactly these, nothing else."""

import json

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse
from graphql.language import FieldNode, FragmentDefinitionNode

from strongroom.errors import UndeclaredError, ValidationError

OFFERED = {
    "MlflowGetExperimentQuery": "mlflowGetExperiment",
    "GetRun": "mlflowGetRun",
    "SearchRuns": "mlflowSearchRuns",
    "GetMetricHistoryBulkInterval": "mlflowGetMetricHistoryBulkInterval",
}
"""Name of the query, and the one field that it may ask for."""

MAX_TOKENS = 2_000


def checked(body: bytes) -> bytes:
    """The body to hand on: written anew from what was checked, so that nobody reads another.

    Raises:
        ValidationError: not a GraphQL request.
        UndeclaredError: another query than the user interface's.
    """
    try:
        request = json.loads(body)
        query, variables = request["query"], request.get("variables")
        document = parse(query, max_tokens=MAX_TOKENS, no_location=True)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, GraphQLError) as error:
        raise ValidationError("the body is no GraphQL request") from error
    if variables is not None and not isinstance(variables, dict):
        raise ValidationError("the variables of the query must be an object")
    operations = [it for it in document.definitions if isinstance(it, OperationDefinitionNode)]
    others = [
        it
        for it in document.definitions
        if not isinstance(it, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    if len(operations) != 1 or others or not _offered(operations[0]):
        raise UndeclaredError("this query is not offered")
    return json.dumps({"query": query, "variables": variables}).encode()


def _offered(operation: OperationDefinitionNode) -> bool:
    name = operation.name.value if operation.name else ""
    fields = operation.selection_set.selections
    return (
        operation.operation is OperationType.QUERY
        and len(fields) == 1
        and isinstance(fields[0], FieldNode)
        and fields[0].name.value == OFFERED.get(name)
    )

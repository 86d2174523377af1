"""The terms of a query, from what a request says."""

from collections.abc import Mapping

from strongroom.engines.privacy.dp.declaring import declared
from strongroom.engines.privacy.dp.intake import Kind
from strongroom.engines.privacy.dp.query import Terms, Unit
from strongroom.services.data.query_types import QueryDataset


def terms_of(request: QueryDataset, subject: str, kinds: Mapping[str, Kind]) -> Terms:
    """The terms of a query on a version whose subject column is `subject`, or empty.

    Raises: ValidationError, DpQueryError and the errors below it.
    """
    said = declared(request.bounds, request.keys, request.bins, kinds)
    unit = Unit(subject, request.groups, request.rows)
    return Terms(request.epsilon, request.delta, unit, said.bounds, said.keys, said.bins)

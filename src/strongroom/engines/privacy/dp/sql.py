"""A small part of SQL, turned into a query whose privacy is bounded; all else is refused by name.

    SELECT [column, …] aggregate [AS name], …
    FROM table [WHERE condition] [GROUP BY column, …]

Aggregates: COUNT(*), COUNT(column), COUNT(DISTINCT subject), SUM, AVG, VARIANCE, STDDEV, MEDIAN,
PERCENTILE_CONT(share) WITHIN GROUP (ORDER BY column). Conditions compare a column with a constant:
=, <>, <, <=, >, >=, IN, BETWEEN, IS NULL, with AND, OR and NOT. Names of columns are taken as they
are written, upper and lower case apart.

sqlglot parses; nothing of what it parsed is run. What is not listed here is not looked into.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strongroom.engines.privacy.dp.predicates import (
    AllOf,
    AnyOf,
    Compared,
    Comparison,
    Constant,
    Missing,
    Not,
    Predicate,
    Within,
)
from strongroom.engines.privacy.dp.query import Aggregate, Function, Query
from strongroom.errors import DpSqlError

if TYPE_CHECKING:
    from sqlglot import exp

MAX_CHARACTERS = 5_000
_MAX_NAME = 200
_MAX_DIGITS = 40

_REASONS = {
    "having": "HAVING would show which groups pass: filter the answer instead",
    "order": "ORDER BY is of no use here: groups come in the order of their keys",
    "limit": "LIMIT would choose by the data: take what you need from the answer",
    "offset": "OFFSET would choose by the data",
    "distinct": "DISTINCT is taken within COUNT(DISTINCT subject) only",
    "joins": "a join lets one person's rows multiply",
    "laterals": "a lateral join lets one person's rows multiply",
    "with_": "a subquery cannot be bounded here: ask of one table",
    "windows": "a window function looks at other rows",
    "qualify": "QUALIFY looks at other rows",
    "subquery": "a subquery cannot be bounded here: ask of one table",
    "select": "a subquery cannot be bounded here: ask of one table",
    "union": "a union cannot be bounded here: ask of one table",
    "exists": "a subquery cannot be bounded here: ask of one table",
    "window": "a window function looks at other rows",
    "case": "CASE is not taken: put the condition into WHERE",
    "cast": "a cast could fail on a value, which would show it",
    "trycast": "a cast is not taken",
    "div": "dividing could fail on a value, which would show it: divide the answers",
    "mod": "dividing could fail on a value, which would show it",
    "add": "arithmetic could overflow on a value, which would show it",
    "sub": "arithmetic could overflow on a value, which would show it",
    "mul": "arithmetic could overflow on a value, which would show it",
    "anonymous": "functions are not taken",
    "min": "the least value is one person's: ask for a low quantile",
    "max": "the greatest value is one person's: ask for a high quantile",
    "filter": "FILTER is not taken: put the condition into WHERE",
    "star": "`*` would show rows: ask for aggregates",
    "rollup": "give one grouping for each query",
    "cube": "give one grouping for each query",
    "groupingsets": "give one grouping for each query",
}
"""Why something is refused, by sqlglot's name for it."""

_SELECT_TAKEN = frozenset({"kind", "expressions", "from_", "where", "group"})


@dataclass(frozen=True, slots=True)
class ParsedSql:
    """A query and the name of the table that it asks of."""

    query: Query
    table: str


def parse_sql(text: str, subject: str = "") -> ParsedSql:
    """A query from SQL.

    Args:
        subject: column that says whose a row is, for COUNT(DISTINCT subject).

    Raises: DpSqlError, DpQueryError.
    """
    if len(text) > MAX_CHARACTERS:
        raise DpSqlError(f"SQL has at most {MAX_CHARACTERS:,} characters")
    return _Reader(subject).query(_parsed(text))


def _parsed(text: str) -> "exp.Select":
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        found = sqlglot.parse(text)
    except SqlglotError:
        raise DpSqlError("this is not SQL that can be read") from None
    except RecursionError:
        raise DpSqlError("the SQL is nested too deeply") from None
    statements = [one for one in found if one is not None]
    if len(statements) != 1:
        raise DpSqlError("give one SELECT")
    if not isinstance(statements[0], exp.Select):
        raise _refused(statements[0], "only SELECT is taken")
    return statements[0]


def _refused(met: "exp.Expr", otherwise: str = "") -> DpSqlError:
    """Why this part is not taken."""
    name = met.key
    reason = _REASONS.get(name) or otherwise or f"{name.upper()} is not taken"
    return DpSqlError(reason)


class _Reader:
    """Turns what sqlglot parsed into a query."""

    def __init__(self, subject: str) -> None:
        self._subject = subject

    def query(self, select: "exp.Select") -> ParsedSql:
        """The query of a SELECT. Raises: DpSqlError."""
        for name, value in select.args.items():
            if value and name not in _SELECT_TAKEN:
                raise DpSqlError(_REASONS.get(name, f"{name.strip('_').upper()} is not taken"))
        if select.args.get("kind"):
            raise DpSqlError("only a plain SELECT is taken")
        table = self._table(select)
        groupings = self._groupings(select)
        aggregates = self._aggregates(select, groupings)
        where = select.args.get("where")
        condition = self._condition(where.this) if where is not None else None
        return ParsedSql(Query(aggregates, groupings, condition), table)

    def _table(self, select: "exp.Select") -> str:
        from sqlglot import exp

        source = select.args.get("from_")
        if source is None:
            raise DpSqlError("FROM says which table is asked")
        table = source.this
        if not isinstance(table, exp.Table):
            raise _refused(table)
        is_plain = isinstance(table.this, exp.Identifier)
        if not is_plain or any(value for name, value in table.args.items() if name != "this"):
            raise DpSqlError("FROM names one table, and nothing more")
        return str(table.name)

    def _groupings(self, select: "exp.Select") -> tuple[str, ...]:
        group = select.args.get("group")
        if group is None:
            return ()
        if any(value for name, value in group.args.items() if name != "expressions"):
            raise DpSqlError("GROUP BY takes columns")
        return tuple(self._column(one) for one in group.expressions)

    def _aggregates(
        self, select: "exp.Select", groupings: tuple[str, ...]
    ) -> tuple[Aggregate, ...]:
        from sqlglot import exp

        found: list[Aggregate] = []
        taken = set(groupings)
        for one in select.expressions:
            named = str(one.alias) if isinstance(one, exp.Alias) else ""
            inner = one.this if isinstance(one, exp.Alias) else one
            if isinstance(inner, exp.Column) and not isinstance(inner.this, exp.Star):
                self._grouped(inner, groupings, named)
                continue
            function, column, share = self._aggregate(inner)
            name = named[:_MAX_NAME] or _free(_default_name(function, column, share), taken)
            taken.add(name)
            found.append(Aggregate(function, name, column, share))
        if not found:
            raise DpSqlError("a column alone would show rows: ask for aggregates")
        return tuple(found)

    def _grouped(self, inner: "exp.Column", groupings: tuple[str, ...], named: str) -> None:
        if self._column(inner) not in groupings:
            raise DpSqlError(
                f"`{inner.name[:_MAX_NAME]}` stands neither in an aggregate nor in GROUP BY"
            )
        if named:
            raise DpSqlError("a column that is grouped by keeps its name")

    def _aggregate(self, one: "exp.Expr") -> tuple[Function, str, float]:
        """Function, column and share."""
        from sqlglot import exp

        plain: dict[type[exp.Expr], Function] = {
            exp.Sum: Function.SUM, exp.Avg: Function.MEAN,
            exp.Variance: Function.VARIANCE, exp.VariancePop: Function.VARIANCE,
            exp.Stddev: Function.DEVIATION, exp.StddevPop: Function.DEVIATION,
            exp.StddevSamp: Function.DEVIATION,
        }  # fmt: skip
        if isinstance(one, exp.Count):
            return (*self._count(one), 0.5)
        if type(one) in plain:
            return plain[type(one)], self._column(one.this), 0.5
        if isinstance(one, exp.Median):
            return Function.QUANTILE, self._column(one.this), 0.5
        if isinstance(one, exp.WithinGroup):
            return self._percentile(one)
        raise _refused(one)

    def _count(self, one: "exp.Count") -> tuple[Function, str]:
        from sqlglot import exp

        if one.args.get("expressions"):
            raise DpSqlError("COUNT is of one column")
        inner = one.this
        if isinstance(inner, exp.Star) and not any(inner.args.values()):
            return Function.COUNT, ""
        if not isinstance(inner, exp.Distinct):
            return Function.COUNT, self._column(inner)
        columns = [self._column(part) for part in inner.expressions]
        if not self._subject or columns != [self._subject]:
            raise DpSqlError(
                "COUNT(DISTINCT …) counts people: name the column that says whose a row is"
            )
        return Function.PEOPLE, ""

    def _percentile(self, one: "exp.WithinGroup") -> tuple[Function, str, float]:
        from sqlglot import exp

        order = one.expression
        inner = one.this
        if not isinstance(inner, exp.PercentileCont) or not isinstance(order, exp.Order):
            raise _refused(inner, "WITHIN GROUP is taken with PERCENTILE_CONT")
        share = self._constant(inner.this)
        if len(order.expressions) != 1 or order.expressions[0].args.get("desc"):
            raise DpSqlError("WITHIN GROUP (ORDER BY column), rising")
        if not isinstance(share, int | float) or isinstance(share, bool):
            raise DpSqlError("the share of PERCENTILE_CONT is a number between 0 and 1")
        return Function.QUANTILE, self._column(order.expressions[0].this), float(share)

    # ---- conditions ----

    def _condition(self, one: "exp.Expr") -> Predicate:
        from sqlglot import exp

        match one:
            case exp.Paren():
                return self._condition(one.this)
            case exp.And():
                return AllOf(tuple(self._condition(part) for part in one.flatten()))
            case exp.Or():
                return AnyOf(tuple(self._condition(part) for part in one.flatten()))
            case exp.Not():
                return Not(self._condition(one.this))
            case exp.Column():
                return Compared(self._column(one), Comparison.EQUAL, constant=True)
            case exp.Is() if isinstance(one.expression, exp.Null):
                return Missing(self._column(one.this))
            case exp.In():
                return self._within(one)
            case exp.Between() if not one.args.get("symmetric"):
                column = self._column(one.this)
                low, high = self._constant(one.args["low"]), self._constant(one.args["high"])
                return AllOf((
                    Compared(column, Comparison.AT_LEAST, low),
                    Compared(column, Comparison.AT_MOST, high),
                ))  # fmt: skip
            case exp.EQ() | exp.NEQ() | exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
                return self._compared(one)
            case _:
                raise _refused(one)

    def _compared(self, one: "exp.Expr") -> Compared:
        from sqlglot import exp

        straight, turned = _COMPARISONS[one.key]
        if isinstance(one.this, exp.Column):
            return Compared(self._column(one.this), straight, self._constant(one.expression))
        if isinstance(one.expression, exp.Column):
            return Compared(self._column(one.expression), turned, self._constant(one.this))
        raise _refused(one.this, "a comparison is of a column with a constant")

    def _within(self, one: "exp.In") -> Within:
        if any(value for name, value in one.args.items() if name not in ("this", "expressions")):
            raise DpSqlError(_REASONS["subquery"])
        constants = tuple(self._constant(part) for part in one.expressions)
        return Within(self._column(one.this), constants)

    # ---- the smallest parts ----

    def _column(self, one: "exp.Expr") -> str:
        from sqlglot import exp

        if not isinstance(one, exp.Column) or isinstance(one.this, exp.Star):
            raise _refused(one, f"{one.key.upper()} stands where a column is wanted")
        if any(value for name, value in one.args.items() if name != "this"):
            raise DpSqlError("columns are named without their table")
        return str(one.name)

    def _constant(self, one: "exp.Expr") -> Constant:
        from sqlglot import exp

        match one:
            case exp.Literal() if one.is_string:
                return str(one.this)
            case exp.Literal():
                return _number(str(one.this))
            case exp.Boolean():
                return bool(one.this)
            case exp.Paren():
                return self._constant(one.this)
            case exp.Neg():
                number = self._constant(one.this)
                if isinstance(number, bool | str):
                    raise DpSqlError("only a number has a sign")
                return -number
            case exp.Cast() if one.to.is_type("date", "timestamp") and one.this.is_string:
                return str(one.this.this)
            case exp.Null():
                raise DpSqlError("nothing equals NULL: ask with IS NULL")
            case exp.Column():
                raise DpSqlError("a comparison is of a column with a constant")
            case _:
                raise _refused(one)


_COMPARISONS = {
    "eq": (Comparison.EQUAL, Comparison.EQUAL),
    "neq": (Comparison.DIFFERENT, Comparison.DIFFERENT),
    "lt": (Comparison.LESS, Comparison.MORE),
    "lte": (Comparison.AT_MOST, Comparison.AT_LEAST),
    "gt": (Comparison.MORE, Comparison.LESS),
    "gte": (Comparison.AT_LEAST, Comparison.AT_MOST),
}
"""As written with the column first, and last."""


def _number(text: str) -> int | float:
    """Raises: DpSqlError, for a number that no double holds."""
    convert: Callable[[str], int | float] = int if text.isdigit() else float
    if len(text) <= _MAX_DIGITS:
        try:
            number = convert(text)
        except ValueError:
            number = float("inf")
        if abs(number) <= 1e300:
            return number
    raise DpSqlError("a number is too long or too large")


def _default_name(function: Function, column: str, share: float) -> str:
    if function is Function.QUANTILE:
        name = "median" if share == 0.5 else f"p{share * 100:g}"
    else:
        name = function.value
    return f"{name}_{column}"[:_MAX_NAME] if column else name


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken."""
    found, number = name, 2
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found

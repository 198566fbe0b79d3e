"""The workloads by their names."""

from __future__ import annotations

from bench.idle import IdleWithStatements
from bench.orm import Django, Mixture, Rails, SqlAlchemy
from bench.prepared import PreparedRows
from bench.workload import Idle, Rows, Shop, Workload

NAMES = ("point", "rows100", "rows10000", "prepared", "shop", "django", "sqlalchemy", "rails", "orm", "idle")


def workload_of(name: str, prefix: str = "", statements: int = 0) -> Workload:
    """The workload called ``name`` (one of NAMES); its tables' names begin with ``prefix``. Idle clients have so many ``statements``
    prepared. Raises KeyError.
    """
    match name:
        case "point":
            return Rows(name, per_query=1, per_turn=4, owners=20_000, prefix=prefix)
        case "rows100":
            return Rows(name, per_query=100, per_turn=1, owners=200, prefix=prefix)
        case "rows10000":
            return Rows(name, per_query=10_000, per_turn=1, owners=4, prefix=prefix)
        case "prepared":
            return PreparedRows(name, per_turn=4, owners=20_000, prefix=prefix)
        case "shop":
            return Shop(prefix)
        case "idle":
            return IdleWithStatements(statements) if statements else Idle()
        case "orm":
            return Mixture(prefix)
    return {"django": Django, "sqlalchemy": SqlAlchemy, "rails": Rails}[name](prefix)

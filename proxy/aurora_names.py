"""Host names of Aurora ("Types of Aurora endpoints"): which of them lead to a server that changes, and where the instances of the same cluster are.

    prod.cluster-c7tj4example.us-east-1.rds.amazonaws.com          the writer, or whom DNS still takes for it
    prod.cluster-ro-c7tj4example.us-east-1.rds.amazonaws.com       some reader
    batch.cluster-custom-c7tj4example.us-east-1.rds.amazonaws.com  some instance of a group
    db-1.c7tj4example.us-east-1.rds.amazonaws.com                  this instance

So the name of an instance in the table, its ``aurora_server_id``, and the rest of any of these names are its host's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

PLACE: Final = "?"
"""In a template: where the instance's name goes."""

_NAME: Final = re.compile(
    r"[^.]+\.(cluster-(?:ro-|custom-)?)?([a-z0-9]+\.[a-z0-9-]+\.rds\.amazonaws\.com(?:\.cn)?)\.?",
    re.IGNORECASE,
)
_INSTANCE: Final = re.compile(r"[A-Za-z0-9-]{1,63}")


@dataclass(frozen=True, slots=True)
class AuroraName:
    """What a host name says."""

    is_seed: bool  # it leads now to this instance, now to that
    template: str  # host names of the cluster's instances, with PLACE for the instance's name


def aurora_name(host: str) -> AuroraName | None:
    """None for a name that is not Aurora's own: an address, an alias, a proxy."""
    found = _NAME.fullmatch(host)
    return None if found is None else AuroraName(found[1] is not None, f"{PLACE}.{found[2].lower()}")


def is_of_readers(host: str) -> bool:
    """Whether the name leads to another instance each time, whatever happens: that of the readers, or of a group."""
    found = _NAME.fullmatch(host)
    return found is not None and found[1] is not None and found[1].lower() != "cluster-"


def instance_host(template: str, server_id: str) -> str | None:
    """Where the instance is; None for what can be no instance's name."""
    return template.replace(PLACE, server_id) if _INSTANCE.fullmatch(server_id) else None

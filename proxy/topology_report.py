"""What the topology looks like now, for /state and metrics: who is what, how far readers are behind and whether they get reads, every switch."""

from __future__ import annotations

from proxy.lag import UNKNOWN_LAG
from proxy.readers import Reader, ReaderTable
from proxy.topology import Member, TopologyCore
from proxy.topology_actions import Moment, ServerRole


def report(core: TopologyCore, table: ReaderTable, is_paused: bool, now: float) -> dict[str, object]:
    """All of it. ``is_paused``: clients of the writer wait."""
    timelines = [*core.timelines.finished, core.timelines.current]
    return {
        "kind": core.kind.value,
        "state": core.state.value,
        "epoch": core.epoch,
        "writer": None if core.writer is None else core.writer.name,
        "is_paused": is_paused,
        "problem": core.problem,
        "members": [_member(member, core, table, now) for member in core.members.values()],
        "switches": [[_moment(each, now) for each in moments] for moments in timelines if moments],
    }


def _member(member: Member, core: TopologyCore, table: ReaderTable, now: float) -> dict[str, object]:
    """One server. Lag, its age and eligibility are those of a reader."""
    found: dict[str, object] = {
        "name": member.name,
        "server_id": member.server_id,
        "role": member.role.value,
        "epoch": member.epoch,
        "is_seed": member.is_seed,
        "trouble": _trouble(member, core.writer),
    }
    reader = table.readers.get(member.name)
    if reader is not None and reader.has_role:
        found.update(_of_reader(reader, now))
    return found


def _trouble(member: Member, writer: Member | None) -> str:
    """Why it cannot be looked at, or not at all of it; or why it has no role."""
    if member.cause is not None:
        return f"{member.cause.value}: {member.trouble}"
    if writer is not None and writer is not member and _is_twin(member, writer):
        return f"is the same server as {writer.name}, so it is not used: configure it once"
    return "" if member.seen is None else "; ".join(member.seen.remarks)


def _is_twin(member: Member, writer: Member) -> bool:
    is_known = member.server_id != "" and not member.is_seed
    return is_known and member.role is ServerRole.NONE and member.server_id == writer.server_id


def _of_reader(reader: Reader, now: float) -> dict[str, object]:
    gate = reader.gate
    is_known = gate.lag != UNKNOWN_LAG
    return {
        "lag": round(gate.lag, 6) if is_known else None,
        "lag_age": round(now - gate.measured_at, 3) if is_known else None,
        "is_eligible": reader.contender.weight > 0 and gate.is_eligible(now),
        "why": reader.why(now),
    }


def _moment(moment: Moment, now: float) -> dict[str, object]:
    return {
        "ago": round(now - moment.at, 3),
        "event": moment.event.value,
        "server": moment.name,
        "what": moment.text,
    }

"""Limits of databases, and of users on the server."""

from __future__ import annotations

from proxy.pool_limits import Quota, Refusals


def test_a_quota_has_room_until_it_is_leased() -> None:
    quota = Quota(b"shop", 1)
    assert quota.has_room()
    quota.leased = 1
    assert not quota.has_room()
    quota.most = 0
    assert quota.configured == 1


def test_refusals_last_from_the_first_until_one_is_let_in() -> None:
    refusals = Refusals()
    assert refusals.last_for(9.0) < 0.0
    for now, error in ((10.0, "first"), (12.0, "second")):
        refusals.failed(now, error)
        assert refusals.error == error
    assert refusals.last_for(13.0) == 3.0
    refusals.succeeded()
    assert refusals.last_for(14.0) < 0.0 and not refusals.error

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from config.sections import PoolMode, Role, ServerTlsMode
from config.settings import NO_UPSTREAM, Settings
from config.values import Address

READER = {"host": "r", "role": "reader"}


def errors_of(**table: Any) -> list[tuple[str, str]]:
    """Where and what pydantic complains about."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(table)
    return [
        (".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, "))
        for each in caught.value.errors()
    ]


def settings(**table: Any) -> Settings:
    """Settings with an upstream."""
    return Settings.model_validate({"upstream": "db", **table})


def test_one_upstream_is_enough() -> None:
    found = settings()
    assert [str(each) for each in found.listen] == ["127.0.0.1:6033"]
    assert found.reader_listen == ()
    assert (found.pool.size, found.pool.mode, found.pool.acquire_timeout) == (40, PoolMode.TRANSACTION, 5.0)
    assert (found.limits.max_clients, found.limits.login_timeout) == (10000, 10.0)
    assert found.limits.max_allowed_packet == 64 << 20
    assert found.server_tls.mode is ServerTlsMode.PREFERRED
    assert found.http.listen == Address("127.0.0.1", 6070)
    assert found.passthrough
    assert (found.drain_timeout, found.users) == (30.0, ())


def test_users_with_rules_need_no_password_and_databases_have_rules_of_their_own() -> None:
    found = settings(
        users=[{"name": "etl", "priority": "batch"}, {"name": "web", "max_backends": 5}],
        databases=[{"name": "shop", "max_backends": 3}],
    )
    assert [(user.priority, user.max_backends) for user in found.users] == [("batch", 0), ("interactive", 5)]
    assert [(database.name, database.max_backends) for database in found.databases] == [("shop", 3)]
    with pytest.raises(ValidationError, match="expected each database once; repeated: shop"):
        settings(databases=[{"name": "shop", "max_backends": 3}, {"name": "shop", "max_backends": 4}])


def test_upstreams_are_told_apart_by_role() -> None:
    found = settings(upstream=["w", READER], reader_listen="127.0.0.1:6034")
    assert [each.host for each in found.writers] == ["w"]
    assert [(each.host, each.role) for each in found.readers] == [("r", Role.READER)]


def test_without_upstream_there_is_an_error_of_its_own() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({})
    assert [each["type"] for each in caught.value.errors()] == [NO_UPSTREAM]


@pytest.mark.parametrize(
    ("table", "where", "message"),
    [
        (
            {"upstream": "a,b"},
            "upstream",
            'expected one writer, found a:3306, b:3306; the others need role = "reader"',
        ),
        (
            {"upstream": ["a", {"host": "a", "role": "reader"}]},
            "upstream",
            "expected each server once; repeated: a:3306",
        ),
        (
            {"upstream": [{"host": "a", "name": "x"}, {**READER, "name": "x"}]},
            "upstream",
            "expected names that differ; repeated: x",
        ),
        ({"upstream": [READER]}, "listen", 'needs an upstream with role = "writer"'),
        (
            {"upstream": "db", "reader_listen": "x:1"},
            "reader_listen",
            'needs an upstream with role = "reader"',
        ),
        ({"upstream": "db", "listen": "off"}, "reader_listen", "expected an address here or in `listen`"),
        ({"upstream": "db", "listen": "x:1,x:1"}, "listen", "expected each address once; repeated: x:1"),
        (
            {"upstream": ["db", READER], "listen": "unix:/x", "reader_listen": "unix:/x"},
            "reader_listen",
            "expected each address once; repeated: unix:/x",
        ),
        (
            {"upstream": "db", "users": [{"name": "a", "password": "1"}, {"name": "a", "password": "2"}]},
            "users",
            "expected each user once; repeated: a",
        ),
        (
            {"upstream": "db", "workers": 5, "pool": {"size": 4}},
            "workers",
            "expected at most `pool.size`, which is 4, for each worker has one at least",
        ),
        (
            {"upstream": "db", "workers": "2", "limits": {"max_clients": 1}},
            "workers",
            "expected at most `limits.max_clients`, which is 1, for each worker has one at least",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    table: dict[str, Any], where: str, message: str
) -> None:
    assert errors_of(**table) == [(where, message)]


def test_readers_alone_may_be_served() -> None:
    found = settings(upstream=[READER], listen="off", reader_listen="127.0.0.1:6033")
    assert (found.writers, found.listen) == ((), ())


def test_free_ports_may_be_asked_for_several_times() -> None:
    assert len(settings(listen="127.0.0.1:0,127.0.0.1:0").listen) == 2


def test_bad_upstreams_are_not_held_against_listen() -> None:
    assert [
        where for where, _ in errors_of(upstream="a:x", listen="y:z", pool={"siz": 5}, log={"level": "loud"})
    ] == [
        "upstream.0",
        "listen.0",
        "pool.siz",
        "log.level",
    ]


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        settings().drain_timeout = 5


def test_secrets_show_in_no_text_of_the_settings() -> None:
    found = settings(users=[{"name": "app", "password": "hunter2"}])
    assert "hunter2" not in f"{found!r} {found} {found.model_dump()} {found.model_dump_json()}"


@pytest.mark.parametrize(
    ("table", "warnings"),
    [
        ({"upstream": "127.0.0.1"}, 0),
        ({"upstream": "127.0.0.1", "listen": "0.0.0.0:1"}, 1),
        ({"upstream": ["127.0.0.1", READER], "reader_listen": "0.0.0.0:1"}, 1),
        ({"http": "[::]:1"}, 1),
        ({"http": "off"}, 0),
        ({"server_tls": {"mode": "disabled"}}, 1),
        ({"upstream": "unix:/x", "server_tls": {"mode": "disabled"}}, 0),
    ],
)
def test_what_others_could_read_is_warned_about(table: dict[str, Any], warnings: int) -> None:
    assert len(settings(**table).warnings()) == warnings


def test_without_passthrough_a_user_needs_a_password() -> None:
    rules = [{"name": "a", "max_backends": 3}, {"name": "b", "password": "x", "max_backends": 3}]
    assert len(settings(users=rules).users) == 2
    assert len(settings(users=rules[1:], passthrough=False).users) == 1
    with pytest.raises(ValidationError, match="needs a password for a: as `passthrough` is false"):
        settings(users=rules, passthrough=False)
    # one mistake is told once
    with pytest.raises(ValidationError) as caught:
        settings(users=rules, passthrough=3)
    assert [error["loc"] for error in caught.value.errors()] == [("passthrough",)]


def test_limits_that_limit_nothing_are_warned_about() -> None:
    made = settings(
        pool={"size": 10},
        users=[{"name": "a", "max_backends": 11}, {"name": "b", "max_backends": 10}],
        databases=[{"name": "shop", "max_backends": 20}, {"name": "blog", "max_backends": 1}],
    )
    assert made.warnings() == [
        "max_backends of user a is 11, which is more than pool.size and limits nothing",
        "max_backends of database shop is 20, which is more than pool.size and limits nothing",
    ]


@pytest.mark.parametrize(("budget", "warnings"), [({"fleet": 4}, 1), ({}, 0)])
def test_a_budget_that_is_off_and_says_something_is_warned_about(
    budget: dict[str, Any], warnings: int
) -> None:
    assert len(settings(budget={"enabled": False, **budget}).warnings()) == warnings
    assert settings(budget=budget).warnings() == []


def test_an_open_listener_with_tls_is_not_warned_about(tmp_path: Any) -> None:
    pem = tmp_path / "some.pem"
    pem.touch()
    tls = {"certificate": pem, "key": pem, "mode": "required"}
    assert settings(listen="0.0.0.0:1", client_tls=tls).warnings() == []


@pytest.mark.parametrize(
    ("kind", "upstream", "expected"),
    [
        ("static", ["a", READER], True),
        ("auto", ["a"], True),
        ("auto", ["a", READER], False),
        ("aurora", ["a"], False),
        ("replication", ["a", READER], False),
    ],
)
def test_one_server_has_the_role_that_it_is_configured_for(
    kind: str, upstream: list[Any], expected: bool
) -> None:
    made = settings(upstream=upstream, topology={"kind": kind}, routing={"autocommit_reads": "reader"})
    assert made.is_static is expected
    assert any("topology.kind" in warning for warning in made.warnings()) is expected
    assert not settings(upstream=upstream, topology={"kind": kind}).warnings()


def test_so_have_readers_without_a_writer() -> None:
    upstream = [READER, {**READER, "host": "s"}]
    assert settings(upstream=upstream, listen=[], reader_listen="127.0.0.1:1").is_static


def test_one_process_works_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.settings.cores", lambda: 8)
    assert settings().worker_count == 1
    assert settings(workers=3).worker_count == 3
    assert settings(workers="auto").worker_count == 8
    assert settings(workers="auto", pool={"size": 4}).worker_count == 4
    assert settings(workers="auto", limits={"max_clients": 2}).worker_count == 2
    assert [where for where, _ in errors_of(upstream="db", workers=2, pool={"siz": 1})] == ["pool.siz"]

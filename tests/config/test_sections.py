from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from config.sections import (
    TABLE_RULE,
    ClientTls,
    ClientTlsMode,
    Http,
    Limits,
    Pool,
    Role,
    Section,
    ServerTls,
    Upstream,
    User,
    flag,
)
from config.values import Address

HASH = "*" + "0123456789abcdefABCD" * 2


def errors_of(model: type[Section], table: object) -> list[tuple[str, str]]:
    """Where and what pydantic complains about."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(table)
    return [(".".join(map(str, each["loc"])), each["msg"]) for each in caught.value.errors()]


@pytest.fixture
def pem(tmp_path: Path) -> str:
    path = tmp_path / "some.pem"
    path.touch()
    return str(path)


@pytest.mark.parametrize(
    ("table", "address", "name"),
    [
        ("db", Address("db", 3306), "db:3306"),
        ("[::1]:3307", Address("::1", 3307), "[::1]:3307"),
        ("unix:/run/mysqld.sock", Address(path="/run/mysqld.sock"), "unix:/run/mysqld.sock"),
        ({"host": "::1"}, Address("::1", 3306), "[::1]:3306"),
        ({"host": "db", "port": 3307, "name": "main"}, Address("db", 3307), "main"),
        ({"socket": "/run/mysqld.sock"}, Address(path="/run/mysqld.sock"), "unix:/run/mysqld.sock"),
    ],
)
def test_an_upstream_has_an_address_and_a_name(table: object, address: Address, name: str) -> None:
    upstream = Upstream.model_validate(table)
    assert (upstream.address, upstream.name, upstream.role) == (address, name, Role.WRITER)


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("db:x", ""),
        (5, ""),
        ({}, "socket"),
        ({"host": "db", "socket": "/x"}, "socket"),
        ({"host": "db:3306"}, "host"),
        ({"host": "app@db"}, "host"),
        ({"host": "db", "port": 0}, "port"),
        ({"host": "db", "port": True}, "port"),
        ({"socket": "x"}, "socket"),
        ({"host": "db", "role": "reeder"}, "role"),
        ({"host": "db", "name": "two words"}, "name"),
    ],
)
def test_an_upstream_that_leads_nowhere_is_refused_once(table: object, where: str) -> None:
    assert [loc for loc, _ in errors_of(Upstream, table)] == [where]


def test_host_or_socket_is_a_rule_of_the_table() -> None:
    with pytest.raises(ValidationError) as caught:
        Upstream.model_validate({})
    assert caught.value.errors()[0]["type"] == TABLE_RULE


def test_min_idle_is_not_above_size() -> None:
    assert Pool(size=5, min_idle=5).min_idle == 5
    assert errors_of(Pool, {"size": 5, "min_idle": 6}) == [
        ("min_idle", "Value error, expected at most `pool.size`, which is 5")
    ]


def test_who_waits_is_refused_before_he_gives_up() -> None:
    assert Pool(acquire_timeout=2, shed_target=1.9).shed_target == 1.9
    assert Pool(acquire_timeout=0.5).shed_target == 0.0
    for target in (2, 2.5):
        assert errors_of(Pool, {"acquire_timeout": 2, "shed_target": target}) == [
            (
                "shed_target",
                "Value error, expected less than `pool.acquire_timeout`, which is 2, as nobody waits for longer",
            )
        ]
    assert [loc for loc, _ in errors_of(Pool, {"acquire_timeout": 0, "shed_target": 6})] == [
        "acquire_timeout"
    ]


def test_a_user_with_neither_a_password_nor_a_rule_says_nothing() -> None:
    [(_, text)] = errors_of(User, {"name": "a", "priority": "interactive"})
    assert "or a rule" in text
    assert User.model_validate({"name": "a", "priority": "batch"}).password is None


def test_a_bad_size_is_not_held_against_min_idle() -> None:
    assert [loc for loc, _ in errors_of(Pool, {"size": 0, "min_idle": 6})] == ["size"]


def test_spans_and_sizes_are_spelled_as_people_do() -> None:
    assert Pool.model_validate({"max_age": "2h"}).max_age == 7200
    assert Limits.model_validate({"max_allowed_packet": "16M"}).max_allowed_packet == 16 << 20


@pytest.mark.parametrize(
    "table",
    [{"max_allowed_packet": "2G"}, {"max_allowed_packet": 1023}, {"max_clients": 0}, {"max_clients": 10**30}],
)
def test_limits_have_limits(table: dict[str, Any]) -> None:
    assert len(errors_of(Limits, table)) == 1


def test_clients_may_use_tls_with_or_without_a_certificate_of_the_users(pem: str) -> None:
    assert ClientTls().mode is ClientTlsMode.OPTIONAL
    assert ClientTls.model_validate({"mode": "required"}).certificate is None
    assert ClientTls.model_validate({"certificate": pem, "key": pem, "mode": "required"}).mode == "required"


@pytest.mark.parametrize("model", [ClientTls, ServerTls])
@pytest.mark.parametrize("key", ["certificate", "key"])
def test_certificate_and_key_come_together(model: type[Section], key: str, pem: str) -> None:
    assert errors_of(model, {key: pem}) == [("key", "Value error, expected `certificate` and `key` together")]


def test_a_bad_certificate_is_not_held_against_its_key(pem: str) -> None:
    table = {"certificate": "/nowhere.pem", "key": pem, "mode": "required"}
    assert [loc for loc, _ in errors_of(ClientTls, table)] == ["certificate"]


def test_a_ca_for_servers_is_for_verifying(pem: str) -> None:
    assert ServerTls.model_validate({"mode": "verify-ca", "ca": pem}).ca == Path(pem)
    assert errors_of(ServerTls, {"ca": pem})[0][0] == "ca"
    assert [loc for loc, _ in errors_of(ServerTls, {"mode": "x", "ca": pem})] == ["mode"]


@pytest.mark.parametrize(
    "secret", [{"password": "p"}, {"password": ""}, {"native_hash": HASH}, {"password_env": "P"}]
)
def test_a_user_has_one_secret(secret: dict[str, str]) -> None:
    assert User.model_validate({"name": "app", **secret}).name == "app"


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"password": "p", "native_hash": HASH},
        {"password": "p", "password_env": "P"},
        {"password": "p", "native_hash": HASH, "password_env": "P"},
    ],
)
def test_a_user_with_none_or_several_secrets_is_refused(table: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        User.model_validate({"name": "app", **table})
    assert [each["type"] for each in caught.value.errors()] == [TABLE_RULE]


@pytest.mark.parametrize("native_hash", ["*00", "0" * 41, "*" + "g" * 40, f"{HASH}\n", ""])
def test_a_hash_has_its_form_and_is_not_repeated(native_hash: str) -> None:
    errors = errors_of(User, {"name": "app", "native_hash": native_hash})
    assert errors == [("native_hash", 'Value error, expected "*" and 40 hexadecimal digits')]


def test_secrets_show_in_no_text_of_a_user() -> None:
    user = User.model_validate({"name": "app", "password": "hunter2"})
    other = User.model_validate({"name": "b", "native_hash": HASH})
    assert "hunter2" not in f"{user!r} {user} {user.model_dump()} {user.model_dump_json()}"
    assert HASH not in f"{other!r} {other} {other.model_dump()} {other.model_dump_json()}"


def test_an_error_does_not_repeat_its_input() -> None:
    with pytest.raises(ValidationError) as caught:
        User.model_validate({"name": "app", "pasword": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_sections_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Pool().size = 5


def test_http_is_an_address_or_off() -> None:
    assert Http.model_validate("off").listen is None
    assert Http.model_validate({"listen": "127.0.0.1:1"}).listen == Address("127.0.0.1", 1)
    assert Http.model_validate("127.0.0.1:1").model_dump() == {"listen": "127.0.0.1:1"}
    assert Http.model_validate("off").model_dump() == {"listen": "off"}


def test_a_flag_is_noted_beside_its_field() -> None:
    assert flag("--x") == {"flag": "--x"}

from protocol.auth import Verifier
from protocol.constants import Capability
from proxy.credentials import Credential
from proxy.identity import Identity, KeyTable, user_of

APP = Credential(b"app", b"app", Verifier.of_password(b"app"))


def test_sessions_that_differ_in_nothing_a_server_fixes_at_login_have_the_same_key() -> None:
    keys = KeyTable()
    one = keys.key(b"app", int(Capability.FOUND_ROWS | Capability.DEPRECATE_EOF), True)
    other = keys.key(b"app", int(Capability.FOUND_ROWS | Capability.SESSION_TRACK), True)
    assert one is other
    assert "app" in repr(one)


def test_user_capabilities_and_having_a_schema_make_different_keys() -> None:
    keys = KeyTable()
    made = {
        keys.key(b"app", 0, True),
        keys.key(b"app", 0, False),
        keys.key(b"root", 0, True),
        keys.key(b"app", int(Capability.LOCAL_FILES), True),
        keys.key(b"app", int(Capability.IGNORE_SPACE), True),
        keys.key(b"app", int(Capability.MULTI_RESULTS), True),
    }
    assert len(made) == 6


def test_backends_are_shared_out_between_users() -> None:
    assert user_of(KeyTable().key(b"app", 0, True)) == b"app"
    assert user_of("anything else") is None


def test_multi_statements_include_multi_results() -> None:
    keys = KeyTable()
    both = int(Capability.MULTI_STATEMENTS | Capability.MULTI_RESULTS)
    assert keys.key(b"app", both & ~int(Capability.MULTI_RESULTS), True) is keys.key(b"app", both, True)


def test_a_session_has_a_key_for_each_case_of_having_a_schema() -> None:
    identity = Identity(APP, 0, 45, KeyTable(), b"shop")
    assert identity.key is identity.key_for(b"shop") is identity.key_with_schema
    assert identity.key_for(None) is identity.key_without_schema
    assert Identity(APP, 0, 45, KeyTable(), None).key.has_schema is False


def test_a_reset_on_mariadb_takes_ignore_space_out_of_the_key() -> None:
    keys = KeyTable()
    plain = Identity(APP, int(Capability.FOUND_ROWS), 45, keys, b"shop")
    for schema in (b"shop", None):
        spaced = Identity(APP, int(Capability.IGNORE_SPACE | Capability.FOUND_ROWS), 45, keys, schema)
        assert spaced.key_for(b"shop") is not plain.key
        spaced.lose_ignore_space(keys)
        assert spaced.key_for(b"shop") is plain.key
        assert spaced.key is plain.key_for(schema)

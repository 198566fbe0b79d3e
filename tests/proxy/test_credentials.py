from protocol.auth import Verifier
from proxy.credentials import (
    DELAY_BASE,
    DELAY_MEMORY,
    DELAY_USERS,
    PROOF_LIFETIME,
    Credential,
    Credentials,
    LoginDelays,
)


def credential(
    user: bytes = b"app", password: bytes | None = b"secret", is_configured: bool = False
) -> Credential:
    return Credential(user, password, Verifier.of_password(password or b""), is_configured)


def test_a_credential_knows_its_password_and_shows_none() -> None:
    known = credential()
    assert known.verifier.matches(b"secret")
    assert not known.verifier.matches(b"other")
    assert "secret" not in repr(known)


def test_a_learnt_credential_is_found_until_it_is_forgotten() -> None:
    credentials = Credentials([], True)
    first, second = credential(), credential(password=b"new")
    assert credentials.find(b"app") is None
    credentials.learn(first)
    credentials.learn(second)
    credentials.forget(first)
    assert credentials.find(b"app") is second
    credentials.forget(second)
    assert credentials.find(b"app") is None


def test_the_first_with_a_password_is_of_those_who_logged_in() -> None:
    hashed = Credential(b"hashed", None, Verifier.of_password(b"x"), is_configured=True)
    configured = Credential(b"configured", b"x", Verifier.of_password(b"x"), is_configured=True)
    assert Credentials([hashed], True).first() is None
    credentials = Credentials([hashed, configured], True)
    assert credentials.first() is configured
    learnt = credential()
    credentials.learn(learnt)
    credentials.learn(Credential(b"later", b"y", Verifier.of_password(b"y")))
    assert credentials.first() is learnt


def test_a_configured_credential_is_neither_replaced_nor_forgotten() -> None:
    configured = credential(is_configured=True)
    credentials = Credentials([configured], False)
    credentials.learn(credential(password=b"other"))
    credentials.forget(configured)
    credentials.forget_all()
    assert credentials.find(b"app") is configured
    assert not credentials.allows_passthrough


def test_a_change_of_accounts_forgets_what_was_learnt() -> None:
    credentials = Credentials([], True)
    credentials.learn(credential())
    credentials.forget_all()
    assert credentials.find(b"app") is None


def test_whoever_wants_to_hears_of_accepted_ones() -> None:
    credentials = Credentials([], True)
    heard: list[object] = []
    credentials.heard = lambda: heard.append(credentials.first())
    learnt = credential()
    credentials.learn(learnt)
    assert heard == [learnt]


def test_each_wrong_password_in_a_row_is_answered_later_up_to_a_limit() -> None:
    delays = LoginDelays(5.0)
    assert [delays.failed(b"app", 0.0) for _ in range(3)] == [DELAY_BASE, DELAY_BASE * 2, DELAY_BASE * 4]
    for _ in range(40):
        last = delays.failed(b"app", 0.0)
    assert last == 5.0
    assert delays.failed(b"other", 0.0) == DELAY_BASE


def test_a_good_login_and_a_long_pause_forgive_the_failures() -> None:
    delays = LoginDelays(5.0)
    delays.failed(b"app", 0.0)
    delays.succeeded(b"app")
    assert delays.failed(b"app", 1.0) == DELAY_BASE
    assert delays.failed(b"app", 2.0 + DELAY_MEMORY) == DELAY_BASE


def test_users_chosen_by_an_attacker_do_not_fill_the_memory() -> None:
    delays = LoginDelays(5.0)
    for number in range(DELAY_USERS + 1):
        delays.failed(b"%d" % number, 0.0)
    assert delays.failed(b"0", 0.0) == DELAY_BASE
    assert delays.failed(b"5", 0.0) == DELAY_BASE * 2


def test_the_next_password_is_not_tried_before_the_delay_is_over() -> None:
    delays = LoginDelays(1.0)
    assert delays.remaining(b"app", 100.0) == 0
    delays.failed(b"app", 0.0)
    delays.failed(b"app", 0.0)
    assert delays.remaining(b"app", 0.0) == 0.2
    assert delays.remaining(b"app", 101.0) == 0
    delays.succeeded(b"app")
    assert delays.remaining(b"app", 100.0) == 0


def test_what_a_server_said_of_a_password_is_believed_for_a_while() -> None:
    learnt, configured = credential(), credential(is_configured=True)
    learnt.proven_at = 100.0
    assert not learnt.needs_proof(100.0 + PROOF_LIFETIME)
    assert learnt.needs_proof(101.0 + PROOF_LIFETIME)
    assert not configured.needs_proof(1e9)


def test_who_was_turned_away_is_the_last_to_be_borrowed() -> None:
    credentials = Credentials([], True)
    credentials.put_last(b"a")
    first, second = (Credential(user, b"pw", Verifier.of_password(b"pw")) for user in (b"a", b"b"))
    credentials.learn(first)
    credentials.learn(second)
    credentials.put_last(b"a")
    assert credentials.first() is second
    credentials.put_last(b"b")
    assert credentials.first() is first

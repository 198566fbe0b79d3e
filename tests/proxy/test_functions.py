from __future__ import annotations

from proxy.functions import COMMON, MARIADB, MYSQL
from proxy.lexer import VARIABLES, WORDS


def test_the_lists_do_not_overlap() -> None:
    assert not COMMON & MARIADB
    assert not COMMON & MYSQL
    assert not MARIADB & MYSQL


def test_names_are_in_lower_case() -> None:
    assert all(name == name.lower() for name in COMMON | MARIADB | MYSQL)


def test_functions_that_the_lexer_knows_are_listed_unless_they_are_loaded_from_libraries() -> None:
    loaded = {word for word in WORDS if word.startswith((b"service_", b"version_tokens_"))}

    tables = {word for word, code in WORDS.items() if code == VARIABLES}
    # of PREVIOUS VALUE FOR
    keywords = {b"previous"}

    assert set(WORDS) - loaded - tables - keywords <= COMMON | MARIADB | MYSQL

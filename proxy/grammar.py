"""The slow half of `classify`: the statements whose grammar decides what they do to the session.

One function for each first word that needs one, in :data:`GRAMMARS`; the words of :data:`PLAIN` need none. Each gets the tokens of
one statement and adds to the :class:`Effects` of the whole text. Statements that contain others are in `classify`. Pessimistic: what does not look as the manuals describe it pins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.effects import (
    Effects,
    at,
    dotted,
    end_of_expression,
    is_assignment,
    is_symbol,
    words_of,
)
from proxy.lexer import NAME, NUMBER, STRING, SYSTEM, VARIABLE, WORD, Token
from proxy.pins import PinReason
from proxy.statement import (
    ADDS_DIAGNOSTICS,
    ALTERS_SCHEMA,
    BEGINS,
    BEGINS_READ_ONLY,
    CALLS,
    CHANGES_ACCOUNT,
    COMMITS_ITSELF,
    CONSISTENT_SNAPSHOT,
    DROPS_SCHEMA,
    ENDS,
    FIXED_NAME,
    GETS_DIAGNOSTICS,
    IS_SELECT,
    KEEPS_DIAGNOSTICS,
    KEPT_FOUND_ROWS,
    LOCAL_INFILE,
    MAY_RELEASE,
    MULTI,
    OWN_ID,
    READS_DIAGNOSTICS,
    READS_INSERT_ID,
    RELEASES,
    RENAMED,
    SETS,
    SETS_AUTOCOMMIT,
    SETS_GLOBAL,
    SETS_INSERT_ID,
    SETS_USER_VARIABLES,
    SHUTS_DOWN,
    SIGNALS,
    UNKNOWN_FOUND_ROWS,
    UPDATES,
    USES,
    USES_NO_TABLE,
    USES_TABLE,
    WANTS_FOUND_ROWS,
    Question,
)
from proxy.tables import of_altered, of_created, of_flush, of_query

PLAIN: Final[dict[bytes, int]] = {
    b"insert": USES_TABLE,
    b"replace": USES_TABLE,
    b"update": UPDATES | USES_TABLE,
    b"delete": USES_TABLE,
    b"truncate": USES_TABLE | COMMITS_ITSELF,
    b"describe": 0,
    b"desc": 0,
    b"explain": 0,
    b"analyze": 0,
    b"optimize": USES_TABLE | COMMITS_ITSELF,
    b"check": USES_TABLE,
    b"checksum": USES_TABLE,
    b"repair": USES_TABLE | COMMITS_ITSELF,
    b"help": USES_NO_TABLE,
    b"cache": USES_TABLE,
    b"import": 0,
    b"install": USES_NO_TABLE | COMMITS_ITSELF,
    b"uninstall": USES_NO_TABLE | COMMITS_ITSELF,
    b"change": USES_NO_TABLE,
    b"purge": USES_NO_TABLE,
    b"stop": USES_NO_TABLE,
    b"reset": USES_NO_TABLE,
    b"clone": 0,
    b"do": USES_NO_TABLE,
    b"signal": USES_NO_TABLE | SIGNALS,
    b"resignal": USES_NO_TABLE | SIGNALS | ADDS_DIAGNOSTICS,
    b"restart": SHUTS_DOWN,
    b"shutdown": SHUTS_DOWN,
    b"grant": CHANGES_ACCOUNT | COMMITS_ITSELF,
    b"revoke": CHANGES_ACCOUNT | COMMITS_ITSELF,
}
"""First words of statements whose first word is all that matters, with their flags."""

_ACCOUNTS: Final = frozenset([b"user", b"role"])
ROUTINES: Final = frozenset([b"procedure", b"function", b"trigger", b"event", b"package"])
_PARTS: Final = frozenset([b"column", b"index", b"key"])
_SCHEMAS: Final = frozenset([b"database", b"schema"])
_SCOPES: Final[dict[bytes, bool]] = {
    b"session": False,
    b"local": False,
    b"global": True,
    b"persist": True,
    b"persist_only": True,
}
_CANONICAL: Final[dict[bytes, bytes]] = {
    b"tx_isolation": b"transaction_isolation",
    b"tx_read_only": b"transaction_read_only",
    b"identity": b"last_insert_id",
}
CHARACTERISTICS: Final = frozenset([b"transaction_isolation", b"transaction_read_only"])
"""Of transactions. Without a scope they are set for the next one only."""
_CHARSETS: Final = (b"character_set_client", b"character_set_connection", b"character_set_results")


def canonical(name: bytes) -> bytes:
    """The one name under which the session knows a variable that servers call differently."""
    name = name.lower()
    return _CANONICAL.get(name, name)


# SET ("SET Syntax for Variable Assignment", "SET TRANSACTION Statement"; MariaDB: "SET STATEMENT")


def _set(effects: Effects, tokens: list[Token]) -> None:
    first, second = at(tokens, 1).word, at(tokens, 2)
    effects.flags |= USES_NO_TABLE
    if is_assignment(second) or is_symbol(second, b"."):
        assignments(effects, tokens, 1)
    elif first == b"password" or (first == b"default" and second.word == b"role"):
        effects.flags |= CHANGES_ACCOUNT | COMMITS_ITSELF
    elif first == b"role":
        effects.pin(PinReason.ROLE)
    elif first == b"resource":
        effects.pin(PinReason.RESOURCE_GROUP)
    else:
        assignments(effects, tokens, 1)
    if not effects.flags & MULTI and effects.variables == [b"autocommit"] and _is_switch(tokens):
        effects.flags |= SETS_AUTOCOMMIT


_SWITCHED: Final = frozenset([b"0", b"1", b"on", b"off"])


def _is_switch(tokens: list[Token]) -> bool:
    """SET [SESSION] name = value."""
    names = len(tokens) - 3
    return (
        0 < names <= 2
        and all([token.kind == WORD for token in tokens[1 : 1 + names]])
        and is_assignment(tokens[-2])
        and tokens[-1].text.lower() in _SWITCHED
    )


def assignments(effects: Effects, tokens: list[Token], i: int) -> None:
    is_global = False
    while i < len(tokens):
        scope = _SCOPES.get(tokens[i].word)
        following = at(tokens, i + 1)
        has_scope = scope is not None and not (is_assignment(following) or is_symbol(following, b"."))
        if has_scope:
            # "the most recent GLOBAL or SESSION keyword ... is used for following assignments that have none"
            is_global = scope is True
            i += 1
        i = _assignment(effects, tokens, i, is_global, has_scope)
        if i < 0:
            effects.unknown()
            return
        i += 1


def _assignment(effects: Effects, tokens: list[Token], i: int, is_global: bool, has_scope: bool) -> int:
    """One item of a SET; the index of the comma after it, or -1."""
    token, following = at(tokens, i), at(tokens, i + 1)
    if token.kind == VARIABLE:
        effects.flags |= SETS_USER_VARIABLES
        return _value(effects, tokens, i + 1, b"")
    if token.kind == SYSTEM:
        return _system_assignment(effects, tokens, i)
    if token.word == b"names" and not is_assignment(following):
        return _names(effects, tokens, i + 1)
    is_charset = token.word in (b"character", b"char") and following.word == b"set"
    if is_charset or (token.word == b"charset" and not is_assignment(following)):
        # collation_connection becomes that of the schema, which is not reported: it stays unconfirmed
        _assigned(effects, (*_CHARSETS, b"collation_connection"))
        return end_of_expression(tokens, i)
    if token.word == b"transaction" and not is_assignment(following):
        return _transaction(effects, tokens, i, is_global, has_scope)
    name, i = dotted(effects, tokens, i)
    if not name:
        return -1
    if is_global:
        effects.flags |= SETS_GLOBAL
        return _value(effects, tokens, i, b"")
    if name.lower() == b"password":
        effects.flags |= CHANGES_ACCOUNT | COMMITS_ITSELF
        return _value(effects, tokens, i, b"")
    return _value(effects, tokens, i, canonical(name))


def _assigned(effects: Effects, names: tuple[bytes, ...]) -> None:
    effects.flags |= SETS
    effects.variables.extend(names)


def _system_assignment(effects: Effects, tokens: list[Token], i: int) -> int:
    scope, _, rest = tokens[i].text[2:].lower().replace(b"`", b"").partition(b".")
    if scope not in _SCOPES or not rest:
        name, is_global, is_scoped = tokens[i].text[2:].lower().replace(b"`", b""), False, False
    else:
        name, is_global, is_scoped = rest, _SCOPES[scope], True
    name = canonical(name)
    if is_global:
        effects.flags |= SETS_GLOBAL
        return _value(effects, tokens, i + 1, b"")
    if name in CHARACTERISTICS and not is_scoped:
        # "SET @@transaction_isolation = ..." without SESSION is for the next transaction only
        effects.pin(PinReason.NEXT_TRANSACTION)
        return _value(effects, tokens, i + 1, b"")
    return _value(effects, tokens, i + 1, name)


def _value(effects: Effects, tokens: list[Token], i: int, name: bytes) -> int:
    """The ``= expression`` at ``i``, for the session variable ``name`` if there is one."""
    if not is_assignment(at(tokens, i)):
        return -1
    end = end_of_expression(tokens, i + 1)
    value = tokens[i + 1 : end]
    if not value:
        return -1
    if name:
        if effects.collation is not None and (name in _CHARSETS or name == b"collation_connection"):
            # which of the collations of the SET NAMES before is still in force is not reported: it stays unconfirmed
            _assigned(effects, (b"collation_connection",))
        _assigned(effects, (name,))
        if name == b"sql_auto_is_null":
            # the statements after it, which then are on this backend, will
            effects.flags |= READS_INSERT_ID
        if len(value) == 1 and value[0].word == b"default":
            effects.defaults.append(name)
    return end


def _names(effects: Effects, tokens: list[Token], i: int) -> int:
    """SET NAMES charset [COLLATE collation] | DEFAULT."""
    if at(tokens, i).kind not in (WORD, STRING, NAME):
        return -1
    effects.collation = b""
    if at(tokens, i + 1).word == b"collate":
        collation = at(tokens, i + 2)
        if collation.kind not in (WORD, STRING, NAME):
            return -1
        if collation.word != b"default":
            effects.collation = effects.plain(collation).lower()
    _assigned(effects, _CHARSETS)
    return end_of_expression(tokens, i)


def _transaction(effects: Effects, tokens: list[Token], i: int, is_global: bool, has_scope: bool) -> int:
    """SET [scope] TRANSACTION characteristic [, characteristic]: takes the rest of the statement."""
    words = words_of(tokens[i + 1 :])
    if is_global:
        effects.flags |= SETS_GLOBAL
    elif has_scope:
        if b"isolation" in words:
            _assigned(effects, (b"transaction_isolation",))
        if b"only" in words or b"write" in words:
            _assigned(effects, (b"transaction_read_only",))
    else:
        effects.pin(PinReason.NEXT_TRANSACTION)
    return len(tokens)


# Transactions


def _begin(effects: Effects, tokens: list[Token]) -> None:
    words = words_of(tokens[1:])
    if words not in ([], [b"work"]):
        # MariaDB's BEGIN NOT ATOMIC: a compound statement
        effects.unknown_run()
        return
    effects.flags |= BEGINS | USES_NO_TABLE
    effects.lift(PinReason.TABLE_LOCK)


def _start(effects: Effects, tokens: list[Token]) -> None:
    words = words_of(tokens[1:])
    effects.flags |= USES_NO_TABLE
    if words[:1] != [b"transaction"]:
        return
    effects.flags |= BEGINS
    if b"only" in words:
        effects.flags |= BEGINS_READ_ONLY
    if b"write" in words:
        effects.flags |= COMMITS_ITSELF
    if b"snapshot" in words:
        effects.flags |= CONSISTENT_SNAPSHOT
    effects.lift(PinReason.TABLE_LOCK)


def _end_transaction(effects: Effects, tokens: list[Token]) -> None:
    words = words_of(tokens[1:])
    effects.flags |= USES_NO_TABLE
    if b"to" in words:
        return
    effects.flags |= ENDS
    if words[-1:] != [b"release"]:
        effects.flags |= MAY_RELEASE
    elif words[-2:-1] != [b"no"]:
        effects.flags |= RELEASES
    effects.lift(PinReason.SAVEPOINT)


def _savepoint(effects: Effects, tokens: list[Token]) -> None:
    del tokens
    effects.flags |= USES_NO_TABLE
    effects.pin(PinReason.SAVEPOINT)


def _release(effects: Effects, tokens: list[Token]) -> None:
    del tokens
    effects.flags |= USES_NO_TABLE


def _xa(effects: Effects, tokens: list[Token]) -> None:
    verb = at(tokens, 1).word
    effects.flags |= USES_NO_TABLE
    if verb in (b"start", b"begin"):
        # from its END on servers refuse what would restore these, but MySQL runs CALL and EXECUTE
        effects.flags |= READS_INSERT_ID | WANTS_FOUND_ROWS
        effects.pin(PinReason.XA)
    elif verb in (b"commit", b"rollback"):
        effects.lift(PinReason.XA)
    elif verb not in (b"end", b"prepare", b"recover"):
        effects.unknown()


# Locks and handles


def _lock(effects: Effects, tokens: list[Token]) -> None:
    effects.flags |= USES_TABLE
    is_instance = at(tokens, 1).word == b"instance"
    effects.flags |= 0 if is_instance else COMMITS_ITSELF
    effects.pin(PinReason.INSTANCE_LOCK if is_instance else PinReason.TABLE_LOCK)


def _unlock(effects: Effects, tokens: list[Token]) -> None:
    effects.flags |= USES_NO_TABLE
    if at(tokens, 1).word == b"instance":
        effects.lift(PinReason.INSTANCE_LOCK)
    else:
        effects.lift(PinReason.TABLE_LOCK)
        effects.lift(PinReason.GLOBAL_READ_LOCK)


def _backup(effects: Effects, tokens: list[Token]) -> None:
    """MariaDB: BACKUP STAGE and BACKUP LOCK."""
    words = words_of(tokens[1:3])
    if words in ([b"stage", b"end"], [b"unlock"]):
        effects.lift(PinReason.INSTANCE_LOCK)
    else:
        effects.pin(PinReason.INSTANCE_LOCK)


def _flush(effects: Effects, tokens: list[Token]) -> None:
    words = words_of(tokens)
    effects.flags |= of_flush(tokens) | COMMITS_ITSELF
    if b"privileges" in words:
        effects.flags |= CHANGES_ACCOUNT
    if b"read" in words and b"lock" in words:
        kind = words.index(b"read")
        is_global = words[kind - 2] in (b"tables", b"table") and words[kind - 1] == b"with"
        effects.pin(PinReason.GLOBAL_READ_LOCK if is_global else PinReason.TABLE_LOCK)
    elif b"export" in words:
        effects.pin(PinReason.TABLE_LOCK)


def _handler(effects: Effects, tokens: list[Token]) -> None:
    name, i = dotted(effects, tokens, 1)
    verb = at(tokens, i).word
    name = name.rpartition(b".")[2]
    effects.flags |= USES_TABLE
    if verb == b"open":
        alias = at(tokens, i + 2) if at(tokens, i + 1).word == b"as" else at(tokens, i + 1)
        effects.pin(PinReason.HANDLER, effects.plain(alias) if alias.kind in (WORD, NAME) else name)
    elif verb == b"close":
        effects.lift(PinReason.HANDLER, name)
    elif verb != b"read":
        effects.unknown()


# Text prepared statements (PREPARE and EXECUTE are in `classify`)


def _deallocate(effects: Effects, tokens: list[Token]) -> None:
    effects.flags |= USES_NO_TABLE
    effects.lift(PinReason.PREPARED_TEXT, effects.plain(at(tokens, 2)).lower())


# Definitions


def _create(effects: Effects, tokens: list[Token]) -> None:
    words = words_of(tokens)
    i = 3 if words[1:3] == [b"or", b"replace"] else 1
    kind = at(tokens, i).word
    effects.flags |= of_created(kind) | (0 if kind == b"temporary" else COMMITS_ITSELF)
    if kind == b"temporary":
        i += 2
        if words[i : i + 1] == [b"if"]:
            i += 3
        name, _ = dotted(effects, tokens, i)
        effects.pin(PinReason.TEMPORARY_TABLE, name or FIXED_NAME)
    elif kind in _ACCOUNTS:
        effects.flags |= CHANGES_ACCOUNT


def _drop(effects: Effects, tokens: list[Token]) -> None:
    words = words_of(tokens)
    i = 2 if words[1:2] == [b"temporary"] else 1
    kind = at(tokens, i).word
    effects.flags |= of_altered(kind) | (0 if i == 2 or kind == b"prepare" else COMMITS_ITSELF)
    if kind == b"prepare":
        _deallocate(effects, tokens)
    elif kind in _SCHEMAS:
        effects.flags |= DROPS_SCHEMA
    elif kind in _ACCOUNTS:
        effects.flags |= CHANGES_ACCOUNT
    elif kind in (b"table", b"tables", b"sequence"):
        i += 3 if words[i + 1 : i + 2] == [b"if"] else 1
        while i < len(tokens):
            name, i = dotted(effects, tokens, i)
            effects.lift(PinReason.TEMPORARY_TABLE, name or FIXED_NAME)
            i += 1


def _alter(effects: Effects, tokens: list[Token]) -> None:
    words = words_of(tokens)
    effects.flags |= of_altered(at(tokens, 1).word) | COMMITS_ITSELF
    if at(tokens, 1).word in _ACCOUNTS:
        effects.flags |= CHANGES_ACCOUNT
    elif at(tokens, 1).word in _SCHEMAS:
        effects.flags |= ALTERS_SCHEMA
    elif b"table" in words[1:4] or b"tables" in words[1:2]:
        for i in range(len(words)):
            # temporary tables can be renamed, too (MariaDB; MySQL by ALTER TABLE only)
            if words[i] == b"rename" and at(tokens, i + 1).word not in _PARTS:
                effects.pin(PinReason.TEMPORARY_TABLE, RENAMED)
                return


# Others


def _use(effects: Effects, tokens: list[Token]) -> None:
    del tokens
    effects.flags |= USES | USES_NO_TABLE


_KILLERS: Final[dict[bytes, bool]] = {b"rds_kill": False, b"rds_kill_query": True}


def _call(effects: Effects, tokens: list[Token]) -> None:
    effects.flags |= CALLS | READS_INSERT_ID | of_query(tokens)
    name, i = dotted(effects, tokens, 1)
    schema, _, routine = name.lower().partition(b".")
    number = at(tokens, i + 1)
    if schema == b"mysql" and routine in _KILLERS and number.kind == NUMBER:
        effects.kill = (_KILLERS[routine], int(number.text))


def _kill(effects: Effects, tokens: list[Token]) -> None:
    """KILL [HARD | SOFT] [CONNECTION | QUERY] id; MariaDB's KILL QUERY ID and KILL USER go to the server as they are."""
    effects.flags |= USES_NO_TABLE
    i = 2 if at(tokens, 1).word in (b"hard", b"soft") else 1
    is_query = at(tokens, i).word == b"query"
    if is_query or at(tokens, i).word == b"connection":
        i += 1
    token = at(tokens, i)
    if token.kind == NUMBER and token.text.isdigit() and len(tokens) == i + 1:
        effects.kill = (is_query, int(token.text))
    elif token.word == b"connection_id":
        effects.kill = (is_query, OWN_ID)


def _load(effects: Effects, tokens: list[Token]) -> None:
    words = words_of(tokens[:5])
    # its OK does not tell of the insert id that it leaves
    effects.flags |= USES_TABLE | SETS_INSERT_ID
    if b"local" in words:
        effects.flags |= LOCAL_INFILE


def _get(effects: Effects, tokens: list[Token]) -> None:
    """GET DIAGNOSTICS @a = .., into user variables, which its marks name."""
    del tokens
    # MariaDB reports it as it does a SET
    effects.flags |= (
        READS_DIAGNOSTICS | GETS_DIAGNOSTICS | KEEPS_DIAGNOSTICS | USES_NO_TABLE | SETS_USER_VARIABLES
    )


# What follows SHOW [FULL | SESSION ..], where that is a SELECT inside, so that it leaves a FOUND_ROWS(); and where it is none.
_SHOWS_ROWS: Final = frozenset(
    b"tables databases schemas columns fields index indexes keys table status variables engines storage collation character charset"
    b" function procedure package triggers events plugins open profile".split()
)
_SHOWS_OTHER: Final = frozenset(
    b"grants processlist privileges binary master engine profiles replica replicas slave relaylog binlog contributors authors"
    b" all".split()
)
_WITH_TABLE: Final = frozenset([b"table", b"view", b"sequence"])
_SHOW_SCOPES: Final = frozenset([b"full", b"extended", b"session", b"global", b"local"])


def _show_kind(effects: Effects, tokens: list[Token]) -> None:
    """What SHOW of anything but warnings leaves behind."""
    i = 1
    while at(tokens, i).word in _SHOW_SCOPES:
        i += 1
    word, second = at(tokens, i).word, at(tokens, i + 1).word
    if word == b"create":
        effects.flags |= USES_TABLE if second in _WITH_TABLE else USES_NO_TABLE
    elif word in _SHOWS_OTHER:
        effects.flags |= USES_NO_TABLE
    elif word in _SHOWS_ROWS and second != b"code":
        effects.flags |= IS_SELECT | USES_TABLE
    else:
        effects.found_rows = UNKNOWN_FOUND_ROWS


_SHOWN: Final[dict[bytes, tuple[int, int]]] = {
    b"warnings": (Question.SHOW_WARNINGS, Question.COUNT_WARNINGS),
    b"errors": (Question.SHOW_ERRORS, Question.COUNT_ERRORS),
}


def _show(effects: Effects, tokens: list[Token]) -> None:
    texts = [token.text.lower() for token in tokens[1:9]]
    is_count = texts[:4] == [b"count", b"(", b"*", b")"]
    kinds = _SHOWN.get(
        (texts[4:5] if is_count else texts[:1] or [b""])[0] if texts[4:5] or not is_count else b""
    )
    if kinds is None:
        _show_kind(effects, tokens)
        return
    effects.flags |= READS_DIAGNOSTICS | KEEPS_DIAGNOSTICS | USES_NO_TABLE
    if is_count:
        effects.flags |= IS_SELECT
        if len(texts) == 5:
            effects.question = kinds[1]
        return
    effects.found_rows = KEPT_FOUND_ROWS
    numbers = [int(text) for text in texts[2::2] if text.isdigit()]
    if len(texts) == 1:
        effects.question = kinds[0]
    elif texts[1] == b"limit" and len(texts) == 3 and len(numbers) == 1:
        effects.question = kinds[0]
        effects.limit = (0, numbers[0])
    elif texts[1] == b"limit" and len(texts) == 5 and texts[3] in (b",", b"offset") and len(numbers) == 2:
        effects.question = kinds[0]
        effects.limit = (numbers[0], numbers[1]) if texts[3] == b"," else (numbers[1], numbers[0])


GRAMMARS: Final[dict[bytes, Callable[[Effects, list[Token]], None]]] = {
    b"set": _set,
    b"begin": _begin,
    b"start": _start,
    b"commit": _end_transaction,
    b"rollback": _end_transaction,
    b"savepoint": _savepoint,
    b"release": _release,
    b"xa": _xa,
    b"lock": _lock,
    b"unlock": _unlock,
    b"backup": _backup,
    b"flush": _flush,
    b"handler": _handler,
    b"deallocate": _deallocate,
    b"create": _create,
    b"drop": _drop,
    b"alter": _alter,
    b"rename": _alter,
    b"use": _use,
    b"call": _call,
    b"kill": _kill,
    b"load": _load,
    b"get": _get,
    b"show": _show,
}
"""What to do about statements by their first word."""

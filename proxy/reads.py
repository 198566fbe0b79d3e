"""Is a statement proved to be a read that any server of the cluster answers alike? A white list: what is not proved goes to the writer.

Asked of single statements outside transactions, once per text. The proof is on the lexer's tokens and on what `classify` found. Where a word only
means something in a certain place, it counts everywhere: a table called `sys` costs its statements the reader and nothing else.

Limits: views may use stored functions, and nothing in the text shows it; a reader refuses what writes, so only such a view that takes user locks would do so
on a reader unseen.
"""

from __future__ import annotations

from typing import Final

from proxy.effects import at, is_symbol, next_verb
from proxy.functions import COMMON, MARIADB, MYSQL
from proxy.lexer import NAME, ODD_BYTES, SYMBOL, SYSTEM, VARIABLE, WORD, Token, tokenize
from proxy.pins import PinReason
from proxy.statement import (
    GETS_DIAGNOSTICS,
    IS_CONDITIONAL,
    MAY_CALL,
    MAY_CALL_ON_MARIADB,
    MAY_CALL_ON_MYSQL,
    MULTI,
    READS_CONNECTION_ID,
    READS_DIAGNOSTICS,
    READS_FOUND_ROWS,
    READS_INSERT_ID,
    READS_ROW_COUNT,
    SETS_FOR_ITSELF,
    SETS_INSERT_ID,
    Statement,
)

# Why a statement is, or is not, proved to be a read. The first is the proof.
PROVED: Final = 0
NO_QUERY: Final = 1  # it does not begin like one
SHOWS: Final = 2  # SHOW, EXPLAIN, DESCRIBE: about the server that answers
SEVERAL: Final = 3  # statements in one text
CONDITIONAL: Final = 4  # /*! .. */: servers may read it differently
LOCKING: Final = 5  # FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE
INTO: Final = 6  # files, variables
ASSIGNS: Final = 7  # :=
USER_VARIABLE: Final = 8  # reads @x, which another backend may have
SYSTEM_VARIABLE: Final = 9  # reads @@x: the server's own
LOCAL_SCHEMA: Final = 10  # information_schema and others, that each server has its own of
RESIDUE: Final = 11  # FOUND_ROWS(), LAST_INSERT_ID() and the like
USER_LOCK: Final = 12  # GET_LOCK() and the like
SEQUENCE: Final = 13
SERVER_FUNCTION: Final = 14  # a function whose value, or effect, is the server's own
ROUTINE: Final = 15  # a function that may be a stored one
NOT_UNDERSTOOD: Final = 16

PROOF_NAMES: Final = (
    "proved",
    "no-query",
    "shows",
    "several-statements",
    "conditional-comment",
    "locking-read",
    "into",
    "assignment",
    "user-variable",
    "system-variable",
    "local-schema",
    "residue",
    "user-lock",
    "sequence",
    "server-function",
    "routine",
    "not-understood",
)

LOCAL_SCHEMAS: Final = frozenset([b"information_schema", b"performance_schema", b"mysql", b"sys"])
"""Also as the current schema of a session (`is_local_schema`)."""

_QUERIES: Final = frozenset([b"select", b"table", b"values"])
_SHOWS: Final = frozenset([b"show", b"explain", b"describe", b"desc"])
_RESIDUE: Final = (
    READS_INSERT_ID
    | SETS_INSERT_ID
    | READS_ROW_COUNT
    | READS_FOUND_ROWS
    | READS_DIAGNOSTICS
    | READS_CONNECTION_ID
    | GETS_DIAGNOSTICS
)
_WORDS: Final[dict[bytes, int]] = {
    b"into": INTO,
    b"sql_calc_found_rows": RESIDUE,
}
"""Reserved words that do not stand in a read."""
_PAIRS: Final[dict[bytes, tuple[frozenset[bytes], int]]] = {
    b"for": (frozenset([b"update", b"share"]), LOCKING),
    b"lock": (frozenset([b"in"]), LOCKING),
    b"value": (frozenset([b"for"]), SEQUENCE),
}
"""Words that do not with one of these after them."""
_CALLS: Final[dict[bytes, int]] = {
    **dict.fromkeys(
        [b"get_lock", b"release_lock", b"release_all_locks", b"is_free_lock", b"is_used_lock"], USER_LOCK
    ),
    **dict.fromkeys([b"last_insert_id", b"found_rows", b"row_count", b"connection_id"], RESIDUE),
    **dict.fromkeys([b"load_file", b"master_pos_wait", b"uuid_short"], SERVER_FUNCTION),
    **dict.fromkeys([b"nextval", b"lastval", b"setval"], SEQUENCE),
}
"""Functions that both servers or one of them have, and that are no part of a read."""
_SAFE_ON_MARIADB: Final = frozenset(
    b"""
    add_months chr column_check column_create column_exists column_get column_json column_list crc32c decode
    decode_oracle des_decrypt des_encrypt encode encrypt json_compact json_detailed json_equals json_exists
    json_loose json_normalize json_query lengthb md5 median natural_sort_key nvl nvl2 old_password percentile_cont
    percentile_disc rownum sformat sha sha1 sys_guid to_char
    """.split()
)
_SAFE_ON_MYSQL: Final = frozenset(
    b"""
    any_value bin_to_uuid columns format_bytes format_pico_time grouping gtid_subset gtid_subtract is_uuid
    json_schema_valid json_schema_validation_report json_storage_free json_storage_size json_table lateral of path
    regexp_like st_collect st_geohash st_isvalid st_latitude st_longitude st_simplify st_validate statement_digest
    statement_digest_text uuid_to_bin validate_password_strength
    """.split()
)
"""Functions, and words before a parenthesis, of one kind of server that are part of a read."""


def is_local_schema(schema: bytes) -> bool:
    """Whether tables without a schema's name are each server's own in a session with this current schema."""
    return schema.lower() in LOCAL_SCHEMAS


def proof_of(text: bytes, lexing: int, statement: Statement, is_mariadb: bool) -> int:
    """PROVED, or why not. ``statement`` is what `classify` made of the same text and lexing."""
    if statement.flags & MULTI:
        return SEVERAL
    if statement.flags & IS_CONDITIONAL:
        return CONDITIONAL
    if lexing & ODD_BYTES and not text.isascii():
        return NOT_UNDERSTOOD
    tokens = tokenize(text, 0, len(text), lexing, False)
    beginning = _beginning(tokens)
    if beginning != PROVED:
        return beginning
    found = _by_statement(statement, is_mariadb)
    return found if found != PROVED else _by_tokens(tokens, is_mariadb)


def _beginning(tokens: list[Token]) -> int:
    i = 0
    while is_symbol(at(tokens, i), b"("):
        i += 1
    word = at(tokens, i).word
    if word in _QUERIES or (word == b"with" and at(tokens, next_verb(tokens, i + 1)).word in _QUERIES):
        return PROVED
    return SHOWS if word in _SHOWS else NO_QUERY


def _by_statement(statement: Statement, is_mariadb: bool) -> int:
    """What `classify` knows."""
    if statement.user_variables:
        return ASSIGNS
    if PinReason.SEQUENCE_VALUE in statement.pins:
        return SEQUENCE
    if PinReason.USER_LOCK in statement.pins or statement.lifts:
        return USER_LOCK
    if statement.flags & _RESIDUE or statement.question:
        return RESIDUE
    if statement.flags & (MAY_CALL | (MAY_CALL_ON_MARIADB if is_mariadb else MAY_CALL_ON_MYSQL)):
        return ROUTINE
    if statement.pins or statement.temporary or statement.flags & SETS_FOR_ITSELF:
        return NOT_UNDERSTOOD
    return PROVED


def _by_tokens(tokens: list[Token], is_mariadb: bool) -> int:
    """The first thing that does not belong in a read."""
    for i in range(len(tokens)):
        token = tokens[i]
        kind = token.kind
        if kind == WORD:
            found = _word(token.word, at(tokens, i + 1), is_mariadb)
        elif kind == NAME:
            # a function of the server's own may be quoted, a keyword may not
            found = _name(token.text[1:-1].lower(), at(tokens, i + 1), is_mariadb)
        elif kind == VARIABLE:
            found = USER_VARIABLE
        elif kind == SYSTEM:
            found = SYSTEM_VARIABLE
        elif kind == SYMBOL:
            found = _SYMBOLS.get(token.text, PROVED)
        else:
            found = PROVED
        if found != PROVED:
            return found
    return PROVED


# A quote by itself is one that does not end.
_SYMBOLS: Final[dict[bytes, int]] = {
    b":=": ASSIGNS,
    b"'": NOT_UNDERSTOOD,
    b'"': NOT_UNDERSTOOD,
    b"`": NOT_UNDERSTOOD,
}


def _word(word: bytes, following: Token, is_mariadb: bool) -> int:
    found = _WORDS.get(word, PROVED)
    if found != PROVED:
        return found
    pair = _PAIRS.get(word)
    if pair is not None and following.word in pair[0]:
        return pair[1]
    return _name(word, following, is_mariadb)


def _name(name: bytes, following: Token, is_mariadb: bool) -> int:
    if name in LOCAL_SCHEMAS:
        return LOCAL_SCHEMA
    return _call(name, is_mariadb) if is_symbol(following, b"(") else PROVED


def _call(name: bytes, is_mariadb: bool) -> int:
    """A name before a parenthesis. That of a stored function was seen by `classify`."""
    found = _CALLS.get(name, PROVED)
    if found != PROVED or name in COMMON:
        return found
    own, safe = (MARIADB, _SAFE_ON_MARIADB) if is_mariadb else (MYSQL, _SAFE_ON_MYSQL)
    return SERVER_FUNCTION if name in own and name not in safe else PROVED

"""Numbers of the protocol in the spelling of the MySQL documentation, without any logic.

Names lack the prefix of the documentation (``CLIENT_``, ``SERVER_STATUS_``, ``ER_``), since the enum supplies it.
Modules on the data path keep plain integers of their own, checked against these by their tests: a member of an
enum is an object and costs a look-up.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final


class Command(IntEnum):
    """First byte of a command ("Command Phase"; MariaDB's own commands are at the end)."""

    COM_SLEEP = 0x00
    COM_QUIT = 0x01
    COM_INIT_DB = 0x02
    COM_QUERY = 0x03
    COM_FIELD_LIST = 0x04
    COM_CREATE_DB = 0x05
    COM_DROP_DB = 0x06
    COM_REFRESH = 0x07
    COM_SHUTDOWN = 0x08
    COM_STATISTICS = 0x09
    COM_PROCESS_INFO = 0x0A
    COM_CONNECT = 0x0B
    COM_PROCESS_KILL = 0x0C
    COM_DEBUG = 0x0D
    COM_PING = 0x0E
    COM_TIME = 0x0F
    COM_DELAYED_INSERT = 0x10
    COM_CHANGE_USER = 0x11
    COM_BINLOG_DUMP = 0x12
    COM_TABLE_DUMP = 0x13
    COM_CONNECT_OUT = 0x14
    COM_REGISTER_SLAVE = 0x15
    COM_STMT_PREPARE = 0x16
    COM_STMT_EXECUTE = 0x17
    COM_STMT_SEND_LONG_DATA = 0x18
    COM_STMT_CLOSE = 0x19
    COM_STMT_RESET = 0x1A
    COM_SET_OPTION = 0x1B
    COM_STMT_FETCH = 0x1C
    COM_DAEMON = 0x1D
    COM_BINLOG_DUMP_GTID = 0x1E
    COM_RESET_CONNECTION = 0x1F
    COM_CLONE = 0x20
    COM_SUBSCRIBE_GROUP_REPLICATION_STREAM = 0x21
    COM_STMT_BULK_EXECUTE = 0xFA


class Capability(IntFlag):
    """Capability flags, negotiated in the connection phase (``CLIENT_*``).

    The bits from 32 up are MariaDB's extended capabilities, which travel in bytes that MySQL leaves unused.
    """

    LONG_PASSWORD = 1 << 0  # MariaDB calls the bit CLIENT_MYSQL and clears it to say "I am MariaDB"
    FOUND_ROWS = 1 << 1
    LONG_FLAG = 1 << 2
    CONNECT_WITH_DB = 1 << 3
    NO_SCHEMA = 1 << 4
    COMPRESS = 1 << 5
    ODBC = 1 << 6
    LOCAL_FILES = 1 << 7
    IGNORE_SPACE = 1 << 8
    PROTOCOL_41 = 1 << 9
    INTERACTIVE = 1 << 10
    SSL = 1 << 11
    IGNORE_SIGPIPE = 1 << 12
    TRANSACTIONS = 1 << 13
    RESERVED = 1 << 14
    SECURE_CONNECTION = 1 << 15  # RESERVED2 in newer documentation
    MULTI_STATEMENTS = 1 << 16
    MULTI_RESULTS = 1 << 17
    PS_MULTI_RESULTS = 1 << 18
    PLUGIN_AUTH = 1 << 19
    CONNECT_ATTRS = 1 << 20
    PLUGIN_AUTH_LENENC_CLIENT_DATA = 1 << 21
    CAN_HANDLE_EXPIRED_PASSWORDS = 1 << 22
    SESSION_TRACK = 1 << 23
    DEPRECATE_EOF = 1 << 24
    OPTIONAL_RESULTSET_METADATA = 1 << 25
    ZSTD_COMPRESSION_ALGORITHM = 1 << 26
    QUERY_ATTRIBUTES = 1 << 27
    MULTI_FACTOR_AUTHENTICATION = 1 << 28
    CAPABILITY_EXTENSION = 1 << 29
    SSL_VERIFY_SERVER_CERT = 1 << 30
    REMEMBER_OPTIONS = 1 << 31
    MARIADB_PROGRESS = 1 << 32
    MARIADB_COM_MULTI = 1 << 33
    MARIADB_STMT_BULK_OPERATIONS = 1 << 34
    MARIADB_EXTENDED_METADATA = 1 << 35
    MARIADB_CACHE_METADATA = 1 << 36
    MARIADB_BULK_UNIT_RESULTS = 1 << 37


class ServerStatus(IntFlag):
    """Status flags of OK and EOF packets (``SERVER_STATUS_*`` and friends)."""

    IN_TRANS = 0x0001
    AUTOCOMMIT = 0x0002
    MORE_RESULTS_EXISTS = 0x0008
    NO_GOOD_INDEX_USED = 0x0010
    NO_INDEX_USED = 0x0020
    CURSOR_EXISTS = 0x0040
    LAST_ROW_SENT = 0x0080
    DB_DROPPED = 0x0100
    NO_BACKSLASH_ESCAPES = 0x0200
    METADATA_CHANGED = 0x0400
    QUERY_WAS_SLOW = 0x0800
    PS_OUT_PARAMS = 0x1000
    IN_TRANS_READONLY = 0x2000
    SESSION_STATE_CHANGED = 0x4000
    ANSI_QUOTES = 0x8000  # MariaDB only


class TrackerType(IntEnum):
    """Kinds of entries in the session-track block of an OK packet (``SESSION_TRACK_*``)."""

    SYSTEM_VARIABLES = 0
    SCHEMA = 1
    STATE_CHANGE = 2
    GTIDS = 3
    TRANSACTION_CHARACTERISTICS = 4
    TRANSACTION_STATE = 5


class ColumnType(IntEnum):
    """Types of columns and parameters (``MYSQL_TYPE_*``)."""

    DECIMAL = 0x00
    TINY = 0x01
    SHORT = 0x02
    LONG = 0x03
    FLOAT = 0x04
    DOUBLE = 0x05
    NULL = 0x06
    TIMESTAMP = 0x07
    LONGLONG = 0x08
    INT24 = 0x09
    DATE = 0x0A
    TIME = 0x0B
    DATETIME = 0x0C
    YEAR = 0x0D
    NEWDATE = 0x0E
    VARCHAR = 0x0F
    BIT = 0x10
    TIMESTAMP2 = 0x11
    DATETIME2 = 0x12
    TIME2 = 0x13
    TYPED_ARRAY = 0x14
    VECTOR = 0xF2
    JSON = 0xF5
    NEWDECIMAL = 0xF6
    ENUM = 0xF7
    SET = 0xF8
    TINY_BLOB = 0xF9
    MEDIUM_BLOB = 0xFA
    LONG_BLOB = 0xFB
    BLOB = 0xFC
    VAR_STRING = 0xFD
    STRING = 0xFE
    GEOMETRY = 0xFF


class CursorType(IntFlag):
    """Flags of COM_STMT_EXECUTE."""

    NO_CURSOR = 0x00
    READ_ONLY = 0x01
    FOR_UPDATE = 0x02
    SCROLLABLE = 0x04
    PARAMETER_COUNT_AVAILABLE = 0x08


class SetOption(IntEnum):
    """Operands of COM_SET_OPTION."""

    MULTI_STATEMENTS_ON = 0
    MULTI_STATEMENTS_OFF = 1


class ErrorCode(IntEnum):
    """Error codes that we answer with or look for ("Server Error Message Reference"; 2000 to 2999 are a client's)."""

    CON_COUNT_ERROR = 1040
    OUT_OF_RESOURCES = 1041
    BAD_HOST_ERROR = 1042
    HANDSHAKE_ERROR = 1043
    DBACCESS_DENIED_ERROR = 1044
    ACCESS_DENIED_ERROR = 1045
    NO_DB_ERROR = 1046
    UNKNOWN_COM_ERROR = 1047
    BAD_DB_ERROR = 1049
    SERVER_SHUTDOWN = 1053
    PARSE_ERROR = 1064
    EMPTY_QUERY = 1065
    NO_SUCH_THREAD = 1094
    KILL_DENIED_ERROR = 1095
    UNKNOWN_ERROR = 1105
    HOST_IS_BLOCKED = 1129
    HOST_NOT_PRIVILEGED = 1130
    UNKNOWN_CHARACTER_SET = 1115
    NEW_ABORTING_CONNECTION = 1184
    NET_PACKET_TOO_LARGE = 1153
    NET_READ_ERROR_FROM_PIPE = 1154
    NET_FCNTL_ERROR = 1155
    NET_PACKETS_OUT_OF_ORDER = 1156
    NET_UNCOMPRESS_ERROR = 1157
    NET_READ_ERROR = 1158
    NET_READ_INTERRUPTED = 1159
    NET_ERROR_ON_WRITE = 1160
    NET_WRITE_INTERRUPTED = 1161
    UNKNOWN_SYSTEM_VARIABLE = 1193
    TOO_MANY_USER_CONNECTIONS = 1203
    LOCK_WAIT_TIMEOUT = 1205
    LOCK_DEADLOCK = 1213
    USER_LIMIT_REACHED = 1226
    SPECIFIC_ACCESS_DENIED_ERROR = 1227
    UNKNOWN_STMT_HANDLER = 1243
    NOT_SUPPORTED_AUTH_MODE = 1251
    OPTION_PREVENTS_STATEMENT = 1290
    SP_BADSELECT = 1312
    QUERY_INTERRUPTED = 1317
    ACCESS_DENIED_NO_PASSWORD_ERROR = 1698
    READ_ONLY_MODE = 1836
    MALFORMED_PACKET = 1835
    CONNECTION_KILLED = 1927  # MariaDB
    STATEMENT_TIMEOUT = 1969  # MariaDB
    QUERY_TIMEOUT = 3024
    SECURE_TRANSPORT_REQUIRED = 3159
    SERVER_OFFLINE_MODE = 3032
    SESSION_WAS_KILLED = 3169
    CLIENT_INTERACTION_TIMEOUT = 4031
    CR_UNKNOWN_ERROR = 2000
    CR_CONNECTION_ERROR = 2002
    CR_CONN_HOST_ERROR = 2003
    CR_SERVER_GONE_ERROR = 2006
    CR_SERVER_LOST = 2013
    CR_MALFORMED_PACKET = 2027
    CR_SSL_CONNECTION_ERROR = 2026
    CR_AUTH_PLUGIN_CANNOT_LOAD = 2059
    CR_AUTH_PLUGIN_ERR = 2061


# SQLSTATE that the server sends with a code; every code that is not here has DEFAULT_SQLSTATE.
DEFAULT_SQLSTATE: Final = "HY000"
SQLSTATE: Final[dict[int, str]] = {
    1040: "08004",
    1042: "08S01",
    1043: "08S01",
    1044: "42000",
    1045: "28000",
    1046: "3D000",
    1047: "08S01",
    1049: "42000",
    1053: "08S01",
    1064: "42000",
    1065: "42000",
    1115: "42000",
    1184: "08S01",
    1153: "08S01",
    1154: "08S01",
    1155: "08S01",
    1156: "08S01",
    1157: "08S01",
    1158: "08S01",
    1159: "08S01",
    1160: "08S01",
    1161: "08S01",
    1203: "42000",
    1213: "40001",
    1226: "42000",
    1227: "42000",
    1251: "08004",
    1312: "0A000",
    1317: "70100",
    1698: "28000",
    1927: "70100",
    1969: "70100",
}

# Collation ids a proxy has to name itself ("Character Sets"; the id travels in greetings and handshakes).
COLLATION_LATIN1_SWEDISH_CI: Final = 8
COLLATION_UTF8_GENERAL_CI: Final = 33
COLLATION_UTF8MB4_GENERAL_CI: Final = 45
COLLATION_BINARY: Final = 63
COLLATION_UTF8MB4_0900_AI_CI: Final = 255

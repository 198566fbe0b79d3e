"""The MySQL client/server protocol, sans-I/O: bytes in, events and bytes out.

Both roles (we are a server to each frontend and a client to each backend) and both dialects, MySQL and
MariaDB. Pure standard library plus ``mypy_extensions`` and ``librt`` (what compiled code writes bytes with): nothing here opens a socket, asks for the time, logs,
or imports ``proxy`` or ``config``. Every class can be driven by a test that feeds it bytes.

The map, from the bottom up; a module imports only modules above itself:

=============  ===================================================================================================
constants      Command, Capability, ServerStatus, ErrorCode ...: enums in the spelling of the MySQL documentation
errors         the ProtocolError tree: LocalProtocolError (we broke the rules), RemoteProtocolError (they did)
wire           int<n>, int<lenenc>, string<nul>: readers and writers of single values
framing        packets: 4-byte header, sequence id, 16 MiB split and join, size limits
session_track  session-track blocks, and what of them a client has asked for
packets        payloads of OK, ERR and EOF, and result sets that we make ourselves
commands       payloads of the COM_* commands that a proxy reads, writes or rewrites
scan           the hot path: walks over the rows in a chunk without looking into them
rewrite        inserting and removing packets in a stream, and renumbering those behind
outcome        what a response has said
response       ResponseTracker: where a response ends, what its status was, and what the client must be sent
handshake      payloads of the connection phase
auth           the arithmetic of the authentication plugins
server         we act as the server in one client's connection phase
client         we act as the client in one backend's connection phase
speed          whether the modules are compiled
=============  ===================================================================================================

Words: a *packet* is a 4-byte header (length, sequence id) and a *payload* of at most 0xFFFFFF bytes; a longer
payload is split over several packets. A *command* is what a client sends in the command phase; its *response*
is everything that the server sends for it. The *wire form* of something is what travels, headers included.

These modules are compiled by mypyc where a C compiler is at hand and interpreted elsewhere; they behave alike.
Import from the modules, not from here.
"""

"""bench: real servers, and the load that shows what Fanin does with them.

What is here, from the bottom up:

guard       a process that cannot outlive us, with the folder it works in
templates   initialised server directories, made once and kept in the user's cache folder
servers     MariaDB and MySQL, each a context manager: a real server on a free loopback port
cluster     a writer and readers with GTID replication; `python -m bench.cluster` keeps one running
the rest    the load and its report: `python -m bench demo`, `python -m bench fanin`

bench talks to Fanin as any client does, over the network. It may be imported by tests and by nothing else, and imports neither
`proxy` internals (but for `proxy.rsa`, which encrypts a password) nor tests.
"""

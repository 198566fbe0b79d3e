"""bench: real servers, and the load that shows what Fanin does with them.

What is here, from the bottom up:

guard       a process that cannot outlive us, with the folder it works in
templates   initialised server directories, made once and kept in the user's cache folder
servers     MariaDB and MySQL, each a context manager: a real server on a free loopback port
cluster     a writer and readers with GTID replication; `python -m bench.cluster` keeps one running
options     of several subcommands; `pages` has the files that they write
the rest    the load and its report: `python -m bench demo`, `python -m bench fanin`
fleet, whatif, realfleet    a simulated fleet, a recording on pools of other sizes, a fleet of real processes

bench talks to Fanin as any client does, over the network: but for simulations, which are of `proxy`'s own pure modules, and `proxy.rsa`, which
encrypts a password, it imports nothing of `proxy`'s. It may be imported by tests and by nothing else, and does not import tests.
"""

"""Something like an Aurora cluster, made of real MySQL or MariaDB servers that replicate, for tests that need one.

    with Aurora("mysql", readers=2) as aurora:  # from tests.fakes.aurora.cluster
        aurora.set_lag("db-2", 0.3)
        aurora.failover("db-3", stale=5, dns=5)

`python -m tests.fakes.aurora mysql` keeps one running, with the controls as commands.

Clients connect to an emulator in front of each server. Their statements are answered by the real server behind it, byte for byte; what
only Aurora has (`texts`) is rewritten into what the real server can evaluate. Age is real: a reader's replication connection goes through
a toxic proxy, so a reader that lags has old rows, and a frozen one gets none.

=================  ==========================================================================================================
`cluster`          `Aurora`: the instances, their servers, and every control a test has
`failover`         the writer's role moves; instances die and come back
`instance`         one instance: where it listens, who is connected, what it shows of itself
`session`          one client's connection: login, commands in their turn, a new engine under it
`login`            who the client is; it logs in to the real server with the client's own password
`backend`          our connection to the real server, one for each client
`texts`            statements, rewritten (pure)
`status`           replica_host_status, and how far behind a reader is (pure)
`sampler`          asks the servers for their positions and keeps replica_host_status up to date
`replication`      promote, demote, follow, as either kind of server spells it
`carrying`         what survives a restart that keeps connections
`names`            what the cluster's DNS names lead to; `named` makes a process believe it, `named_fanin` Fanin
=================  ==========================================================================================================

Unlike Aurora: readers have logs of their own and replicate logically, so `SHOW REPLICA STATUS`, GTIDs and binary logs show; there
is no TLS, no local write forwarding, and nothing but what `texts` lists of Aurora's own tables and functions. Addresses are of the
loopback network (127.x.y.z), one for each instance, all with the same port.
"""

"""Owns I/O, time and concurrency: accepts clients, leases backends to their sessions, restores state, ends in order.

Pure modules decide (no asyncio, no clock; `now` is an argument), shells act. A pure module never imports a shell; import contracts in
pyproject.toml check it.

Pure:
- the pool core: `pool` (what one endpoint's pool does), `pool_settle`, `pool_members`, `pool_waiters`, `pool_deadlines`, `pool_upkeep`, `pool_questions`, `pool_backoff`, `pool_rate`, `pool_shedding` (its parts),
  `pool_states` (members, tickets, their lists), `pool_lines` (of tickets), `pool_limits` (of databases, and of users on the server), `pool_actions` (what it asks of its shell); `demand` (how many backends will be needed?); `budget` (how large may it be beside those of a
  fleet?), `cap` (and why, by what servers say: `occupancy`)
- session state: `lexer`, `grammar`, `effects`, `classify` (what a statement's text means), `statement` (the result), `session` (the one
  predicate: may the lease end?; `unexplained`: reports that the text does not account for), `vector` (state vector and restoring it), `kept` and `keeping` (variables of the client's side), `idle`
  (wait_timeout), `residue` (insert id, warnings, counts; `conditions`,
  `answers`, `rewriting`, `diagnostics`, `sqlstates`: how they are told;
  `executed`: prepared text; `found_rows`: what leaves them; `tables`, `clearing`: what MariaDB keeps), `variables` (user variables), `pins`, `holders`
- `recording`: what sessions ask pools for, to be replayed with other sizes
- several workers: `slots` (who may have how many connections), `orphans` (what the dead have left), `merging` and `recordings` (what the pages show of all)
- what pins cost: `digest` (a statement without its literals), `pin_records` (who is pinned, and was, for how long), `pin_report` (/pins),
  `explain` (how a statement would be treated)
- the topology: `aurora_names` (hosts), `monitor_queries` (what servers are asked), `observation` (what they answer), `topology` (who is
  the writer; `following`: who leads to it; `absence`: who has vanished; `topology_actions`: its words; `topology_report`: /state)
- readers: `lag` (is one near enough?), `fences` (has it what a session must see?), `gtids` (positions), `balance` (which one?), `readers`
  (all of that, for one read)
- routing: `routing` (writer or reader?), `endings` (what of several statements ends a transaction), `reads` (what is proved to be a read), `hints` (what clients ask for in comments; `patience`: how long they wait), `placement` (what one
  session's statements are placed by, and its fences), `past_reads` (what its client has got, in case a server is lost)
- `prepared`, `sources`, `statement_errors` (binary statements on shared backends), `credentials`, `identity` (who a session is to
  servers, pool keys), `replies` (errors of our own), `reasons` (of closes), `counters`, `results`, `attributes` (what connections of ours are called)

Shells:
- the data path: `listeners` -> `login` and `admission` (connection phase; `turns`: many at once) -> `frontend` (one client; `special`, `several`, `binary`, `long_data`,
  `repreparing`, `resets`, `tidying`, `telling`, `idling`, `lingering`, `beginning`, `overwriting`, `unseen`: what is rarer; `own_commands`) on top of `lessee` (its dealings with pools; `lease_ticket`; `states`; `blame`: what its pins are due to; `losses`, `renewing`, `replaying`, `recommitting`; `placing`: on which
  server a command runs; `placing_rules`; `catching_up`: waits on readers for writes; `verifying`: backends of a new writer; `bouncing`: what another server runs instead; `leaving`: what leaves a reader; `stranding`: sessions that a pin keeps on a reader, and write; `reader_listener`: keeps who came for a reader from writing on the writer; `moving`: from one reader to another; `queueing`: from a reader's queue to another server; `demotion`: what a writer refuses that is none any more; `late_begin`: BEGIN with the first statement) -> `endpoint` (one server's pool; `endpoint_rules`: its limits; `tenants`: who waits and who leases; `user_limits`: what the server lets users have; `deadlocks`: of clients that hold one and wait for another; `jobs`: resets and captures) -> `backend` (one connection to it)
- the slow path: `connector` (opens backends), `aside` (side connections, for KILL and logins while all are leased), `tls`, `rsa`, `tasks`, `paranoid` (dirties backends, for debugging)
- `monitor`: looks at the servers (`resolving`: and at what their names lead to; `looking`: with what); `budgets`: at how full they are, for the pools' bounds; `cluster`: brings endpoints and pools to what the topology says
- with several workers: `parent` starts and replaces them (`parting`: with which settings; `whole`: the pages of all; `handing`: clients on their way), a `worker` is the process below (`working`: where it begins; `shares`:
  what it may have; `registering`: what it has; `reaping`: ends what others have left; `colleagues`: what its sessions need of others; `withholding`: answers that wait for them); `control` is between them
- the process: `cli` -> `app`, `shared` (what all sessions use), `idle_transactions`, `snapshot`, `fleet` (who else has connections; `fleet_report`), `recorder`, `admin`, `metrics`, `logs`, `version`

Five words: a *session* is one client's conversation and outlives any *lease*, its exclusive right to a *backend*; a *pin* is a reason
to keep the lease; a backend is *parked* when it carries residue that only matters if its session asks for it.

`proxy` imports `protocol` and `config`; nothing but tests and bench imports `proxy`.
"""

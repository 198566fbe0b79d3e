"""Settings: one model for file, environment and flags. Knows nothing of the other rooms.

- `settings`: `Settings`, the whole; what ties its tables together; what deserves a warning
- `sections`: the tables (`Pool`, `Limits`, `ClientTls` ...) with the description of every setting
- `cluster`: the tables about several servers (`Topology`, `Routing`, `Failover`)
- `values`: addresses, sizes, spans of time and how people spell them
- `loading`: `load` merges flags over environment over file over defaults
- `keylines`: the line of every key of a TOML file
- `problems`: `ConfigError`, one `Problem` per bad key; what may be shown of a bad value
- `rendering`: the table of settings, the effective settings with their origins, the list of flags

Five words: a *setting* has a *path* (`pool.size`); a *source* is the file, the environment or the flags; its
*origin* is the source that won; a *problem* is one sentence about one path in one source; a *secret* is never
shown.

pydantic and pydantic-settings are used here and nowhere else. `proxy` imports this package; it imports none
of ours. Import names from its modules.
"""

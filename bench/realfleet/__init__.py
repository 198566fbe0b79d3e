"""The real thing, small: processes of Fanin that know nothing of each other before one MySQL with few connections, bursts, kills and strangers.

`plan` (what happens when, and what is wanted of it), `crowd` (clients), `stage` (server, sidecars, strangers), `watch` (looks at the server), `verdict` (what
the looks say), `report`, `command`.
"""

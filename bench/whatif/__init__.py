"""Pools of other sizes for what real sessions asked: recordings (`proxy.recording`) replayed through the product's own pool core.

`recorded` (reads recordings), `replay` (sessions and one pool), `search` (which sizes are tried, and which is enough), `report` (table, picture, page,
JSON), `command`.
"""

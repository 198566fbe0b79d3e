"""A fleet of sidecars before one server, simulated: pools and budgets are the product's own (`proxy.pool`, `proxy.budget`), the rest is a model.

`events` (what happens when), `ticking` (a pool core in that time), `model` (the server, sidecars and their clients), `policies` (who may open how many
connections), `scenarios` (what happens to them).
"""

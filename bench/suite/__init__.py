"""What Fanin has to show beside its peers: rows of a table, each with its plays and its bars.

`bars` (what is held against which limit; pure), `rows` (the table), `stage` (a row played: its contestants in turns, round by round), `report` (tables, JSON and
one page), `command` (`python -m bench compare --suite`).
"""

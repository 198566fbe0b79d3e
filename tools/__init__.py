"""The project's machinery: what `make` runs, and the checks that keep the rooms apart. Not installed.

setup             virtual environment, dependencies, compiled modules, servers; quick when nothing changed
install-servers   MariaDB, MySQL 9.7 and sysbench for the tests and the demo
lint              ruff, ruff format, mypy --strict, import contracts
test-pure         the fast layers of the tests in the interpreter, with the coverage each module owes itself
contracts         two import contracts that import-linter does not have
own_coverage      per-module coverage, and that each module has its test module
"""

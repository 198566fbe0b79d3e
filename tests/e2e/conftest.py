"""Fixtures of this folder's tests: the same as those of the integration tests."""

from tests.integration.fixtures import connect, fanin, one, root, roots, shared_fanins, table, two

__all__ = ["connect", "fanin", "one", "root", "roots", "shared_fanins", "table", "two"]

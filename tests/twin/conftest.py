"""Fixtures of this folder's tests."""

from tests.integration.fixtures import shared_fanins

__all__ = ["shared_fanins"]

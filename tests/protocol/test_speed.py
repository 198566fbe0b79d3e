from importlib.machinery import EXTENSION_SUFFIXES

from protocol import speed, wire


def test_speed_speaks_for_every_hot_module() -> None:
    assert str(wire.__file__).endswith(tuple(EXTENSION_SUFFIXES)) == speed.COMPILED

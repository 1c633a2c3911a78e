"""The commands of `hegui` beside `check`: one module a family, loaded when one of its commands is asked for."""

import gc

GARBAGE = 250_000
"""Objects made before Python looks for rings of them that nobody holds: loading a library alone makes far more than
it allows by default, and each look goes through all there are."""
gc.set_threshold(GARBAGE)

"""Deliberately broken variants of the engine, by name: each breaks one rule of the order, and each has to be caught."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`apply` changes this process only. `breaks` says which rule, in words."""

    breaks: str
    apply: Callable[[], None]


MUTANTS: dict[str, Mutant] = {}

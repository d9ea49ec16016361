"""Changes of the engine by name, made in a forked child and nowhere else.

Most are deliberately broken variants: each breaks one rule of the order on which everything rests, and each has to be caught by
some campaign; that is how the campaigns are tested.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`apply` changes this process only. `breaks` says which rule, in words; a harmless one breaks none."""

    apply: Callable[[], None]
    breaks: str = ""


def _write_half() -> None:
    """The system may always write less than it was given."""
    write = os.write

    def half(fd: int, data: bytes | memoryview) -> int:
        return write(fd, memoryview(data)[: max(1, len(data) // 2)])

    vars(os)["write"] = half


MUTANTS: dict[str, Mutant] = {"short writes": Mutant(_write_half)}

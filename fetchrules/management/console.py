"""The base of our commands: they print nothing harmful to a terminal, and explain a missing password key in words."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper

from fetchrules.errors import KeyMissing, harmless
from fetchrules.words.failures import describe


class HarmlessOutput(OutputWrapper):
    """Escapes characters that move the cursor or turn the direction of writing, because others may have chosen the names."""

    def write(self, msg: Any = "", style_func: Any = None, ending: str | None = None) -> None:  # type: ignore[override]
        super().write(harmless(str(msg)), style_func, ending)

    def write_data(self, text: str) -> None:
        """Write `text` unchanged to a file or another program, but harmless to a terminal."""
        super().write(harmless(text) if self.isatty() else text, ending="")


class Console(BaseCommand):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.stdout, self.stderr = HarmlessOutput(sys.stdout), HarmlessOutput(sys.stderr)
        self.stderr.style_func = self.style.ERROR

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Raises CommandError, also where a password cannot be read or saved."""
        for name in ("stdout", "stderr"):
            if stream := options.pop(name, None):
                setattr(self, name, HarmlessOutput(stream))
        try:
            return super().execute(*args, **options)
        except KeyMissing as error:
            failure = describe(error.code)
            raise CommandError(f"{failure.title}: {error.detail}. {failure.remedy}", returncode=1) from error

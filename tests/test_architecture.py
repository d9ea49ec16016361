"""The rooms of the house and who may look into which: what docs/architecture.md draws, held against every import."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("fetchrules", "utm_mail")

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "smtp", "utf7", "secrets.private_file", "remote.authorities", "remote.auth.ways"}),
    frozenset({"rule"}),
    frozenset({"ruletext", "remote.mailbox"}),
    frozenset({"policy", "schedule", "status", "remote", "delivery"}),
    frozenset({"models"}),
    frozenset({"secrets", "words"}),
    frozenset({"ledger"}),
    frozenset({"poll"}),
    frozenset({"notices"}),
    frozenset({"upkeep"}),
    frozenset({"tasks", "rulebook"}),
    frozenset({"acts"}),
    frozenset({"panel"}),
    frozenset({"demo"}),
    frozenset({"admin", "checks", "management", "urls"}),
    frozenset({"apps"}),
)
"""Rooms of fetchrules, the lowest first. A room may import from those below it and from itself; its neighbours do not know it."""

WITHOUT_DJANGO = (
    "errors",
    "smtp",
    "utf7",
    "rule",
    "secrets.private_file",
    "ruletext",
    "policy",
    "schedule",
    "status",
    "remote",
    "delivery",
)
"""No Django, no Celery."""

PURE = (
    "errors",
    "utf7",
    "rule",
    "ruletext",
    "delivery.letterhead",
    "policy",
    "schedule",
    "status",
    "remote.mailbox",
    "remote.account",
)
"""Without Django, socket, disk and clock too."""

SANS_IO = (
    *(f"remote.pop3.{name}" for name in ("grammar", "protocol")),
    *(f"remote.auth.{name}" for name in ("ways", "credentials", "exchange", "sasl", "choice", "attempts", "apop")),
)
"""The protocol as a state machine: octets in, octets out."""

_WORLD = frozenset(
    {"asyncio", "io", "multiprocessing", "os", "pathlib", "random", "select", "selectors", "shutil", "socket", "ssl"}
    | {"subprocess", "tempfile", "threading", "time"}
)
_FRAMEWORKS = frozenset({"django", "celery", "kombu", "redis", "crispy_forms"})


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str
    path: Path

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.path)

    @property
    def room(self) -> str:
        """The longest entry of LAYERS that this module lies in; its second name where it lies in none."""
        inner = self.name.removeprefix("fetchrules.")
        rooms = [room for layer in LAYERS for room in layer if inner == room or inner.startswith(f"{room}.")]
        return max(rooms, key=len, default=inner.partition(".")[0])

    def lies_in(self, rooms: tuple[str, ...]) -> bool:
        return any(self.name == f"fetchrules.{room}" or self.name.startswith(f"fetchrules.{room}.") for room in rooms)

    def imports(self) -> Iterator[str]:
        """Full names of the modules that it imports, wherever in the file."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    yield full if full in _by_name() else str(node.module)


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def _by_name() -> dict[str, Module]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "migrations" not in parts:
                name = ".".join(part for part in parts if part != "__init__")
                found[name] = Module(name, path)
    return found


def modules() -> list[Module]:
    """Every module of the product, migrations excepted."""
    return list(_by_name().values())


def layer_of(room: str) -> int | None:
    return next((number for number, layer in enumerate(LAYERS) if room in layer), None)


def test_it_knows_the_layer_of_every_room() -> None:
    rooms = {module.room for module in modules() if module.name.startswith("fetchrules.")}
    assert {room for room in rooms if layer_of(room) is None} == set()


def test_it_imports_downwards_only() -> None:
    upwards = []
    for module in modules():
        own = layer_of(module.room)
        for name in module.imports():
            other = _by_name().get(name)
            if other is None or own is None or other.room == module.room:
                continue
            above = layer_of(other.room)
            if above is not None and above >= own:
                upwards.append(f"{module.name} imports {name}")
    assert upwards == []


def test_it_leaves_the_project_out_of_the_rooms() -> None:
    wiring = [
        f"{module.name} imports {name}"
        for module in modules()
        if module.name.startswith("fetchrules.") and not module.lies_in(("management",))
        for name in module.imports()
        if name.startswith("utm_mail")
    ]
    assert wiring == []


@pytest.mark.parametrize(
    ("rooms", "forbidden"),
    [(WITHOUT_DJANGO, _FRAMEWORKS), (PURE, _FRAMEWORKS | _WORLD), (SANS_IO, _FRAMEWORKS | _WORLD)],
    ids=["without Django", "pure", "without I/O"],
)
def test_it_keeps_the_world_out_of(rooms: tuple[str, ...], forbidden: frozenset[str]) -> None:
    strangers = [
        f"{module.name} imports {name}"
        for module in modules()
        if module.lies_in(rooms)
        for name in module.imports()
        if name.partition(".")[0] in forbidden
    ]
    assert strangers == []


def test_it_asks_no_clock_in_pure_rooms() -> None:
    clocks = [
        f"{module.name}:{node.lineno} {ast.unparse(node)}"
        for module in modules()
        if module.lies_in(PURE)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and re.search(r"\.(now|today|utcnow)$", ast.unparse(node.func))
    ]
    assert clocks == []


def test_it_lets_only_poll_see_both_ends() -> None:
    floor = {f"fetchrules.remote.{name}" for name in ("mailbox", "account", "authorities", "auth.ways")}
    seeing: dict[str, set[str]] = {}
    for module in modules():
        ends = {
            name.split(".")[1]
            for name in module.imports()
            if name.startswith(("fetchrules.remote.", "fetchrules.delivery.")) and name not in floor
        }
        if module.room not in {"remote", "delivery"}:
            seeing.setdefault(module.room, set()).update(ends)
    assert {room for room, ends in seeing.items() if ends == {"remote", "delivery"}} <= {"poll"}


WRITERS: dict[str, set[str]] = {
    "Run": {"ledger"},
    "Letter": {"ledger"},
    "HourlyStat": {"ledger"},
    "RemoteHost": {"ledger"},
    "SourceMailbox": {"ledger", "rulebook"},
    "FetchedBefore": {"ledger"},
    "FetchRule": {"acts", "rulebook", "ledger", "secrets"},
    "Revision": {"rulebook", "secrets"},
    "ServiceSettings": {"acts", "rulebook", "upkeep"},
    "User": {"acts"},
    "Group": {"acts"},
    "Session": {"acts"},
    "AuditEntry": {"acts"},
    "Attempt": {"acts"},
    "LocalMarker": {"poll"},
    "Incident": {"notices"},
    "Notice": {"notices"},
    "Channel": {"notices"},
    "Heartbeat": {"upkeep"},
}
"""Which rooms write the rows of a model. People change things through the acts; the machine's own notes belong to their room.

The ledger writes into a rule what a poll came to, and the password room seals again what it sealed before.
"""

WITHOUT_WRITES = ("panel", "admin", "management", "words", "checks", "urls", "tasks")
"""Rooms that write no row at all: they call acts, or a room of the machine's."""

_WRITES = frozenset(
    {"create", "get_or_create", "update_or_create", "update", "delete", "save", "bulk_create", "bulk_update"}
    | {"create_user", "create_superuser"}
)


def writes(module: Module) -> Iterator[tuple[int, str]]:
    """The calls by which a module writes rows: their lines, and what they are called on.

    A dict's or a set's update is none, nor is `Q.create`.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _WRITES:
            on = ast.unparse(node.func.value)
            of_collection = node.func.attr == "update" and (node.args or not node.keywords)
            if not of_collection and on != "Q":
                yield node.lineno, on


def test_it_lets_only_the_room_of_a_model_write_it() -> None:
    for_runs_and_letters = re.compile(r"\.(runs|letters)(\.|$)|(^|\.)(run|letter)$")
    elsewhere = [
        f"{module.name}:{line} {written[:80]}"
        for module in modules()
        for line, written in writes(module)
        for model, rooms in WRITERS.items()
        if module.room not in rooms
        and (
            re.search(rf"\b{model}\.objects\b|^{model}\(", written)
            or (model in {"Run", "Letter"} and module.room != "demo" and for_runs_and_letters.search(written))
        )
    ]
    assert elsewhere == []


def test_it_writes_nothing_at_the_edges() -> None:
    renewed_by_what_people_do = "fetchrules.panel.middleware.sessions"
    written = [
        f"{module.name}:{line} {what[:80]}"
        for module in modules()
        if module.lies_in(WITHOUT_WRITES) and module.name != renewed_by_what_people_do
        for line, what in writes(module)
    ]
    assert written == []


def test_it_saves_whole_rows_where_rows_are_written_for_people_and_where_letters_are() -> None:
    """Elsewhere a row in hand may be out of date: its columns are written by name, with the row count looked at."""
    saving = [
        f"{module.name}:{node.lineno} {ast.unparse(node)[:80]}"
        for module in modules()
        if module.room not in {"acts", "rulebook", "ledger"}
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "save"
    ]
    assert saving == []


def test_it_names_a_writer_for_every_model() -> None:
    models = {model.__name__ for model in apps.get_app_config("fetchrules").get_models()}
    assert models - WRITERS.keys() == set()


def test_it_lets_only_acts_wake_the_dispatcher() -> None:
    waking = [
        module.name
        for module in modules()
        if module.room not in {"acts", "tasks"}
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node) in {"tasks.wake", "wake"}
    ]
    assert waking == []


def test_it_catches_everything_in_three_places_at_most() -> None:
    broad = [
        f"{module.name}:{handler.lineno}"
        for module in modules()
        for handler in ast.walk(module.tree)
        if isinstance(handler, ast.ExceptHandler)
        and (handler.type is None or re.search(r"\b(Base)?Exception\b", ast.unparse(handler.type)))
        and not any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler))
    ]
    assert len(broad) <= 3, broad


def test_it_needs_four_packages_and_the_standard_library() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.split(r"[<>=]", dependency)[0] for dependency in project["dependencies"]}
    assert needed == {"django", "django-crispy-forms", "celery[auth,redis]", "redis"}


def test_it_has_a_pop3_client_of_its_own() -> None:
    borrowed = [module.name for module in modules() if "poplib" in module.imports()]
    assert borrowed == []


def test_it_names_no_path_of_the_machine_that_it_was_written_on() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git working tree")
    here = re.compile("|".join(re.escape(str(path)) + r"\b" for path in (ROOT, Path.home()) if len(path.parts) > 1))
    files = [ROOT / name for name in tracked.stdout.split("\0") if name and (ROOT / name).is_file()]
    assert [str(file) for file in files if here.search(file.read_text(encoding="utf-8", errors="ignore"))] == []


@pytest.mark.django_db
def test_it_has_a_migration_for_every_change_of_a_model() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)

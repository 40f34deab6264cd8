"""Who imports whom, where import-linter's contracts cannot say it: exact lists, and no circle."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("apps", "motherfluxer", "motherfluxer_wire", "motherfluxer_model")
PLUGINS = ("accounts", "api", "catalog", "chat", "demo", "instances", "operations")
PUBLIC = {
    "apps.router",
    "apps.router.errors",
    "apps.router.live.streams",
    "apps.router.ports",
    "apps.router.selectors",
    "apps.router.services",
}
# Pure values that several plugins need and no app owns.
SHARED = {"apps.networks"}
# How all of them ask what all of them need, and answer.
SHARED_EDGE = {
    *("apps.databases", "apps.field_keys", "apps.middleware", "apps.redis_clients"),
    "apps.rest_parts",
}
CORE = ROOT / "apps" / "router" / "core"
WIRE = ROOT / "model_container" / "src" / "motherfluxer_wire"
# Clocks, chance, sockets, threads and the environment come in as arguments.
IMPURE = {
    *("asyncio", "concurrent", "contextvars", "datetime", "io", "logging", "multiprocessing"),
    *("os", "pathlib", "queue", "random", "secrets", "select", "selectors", "signal", "socket"),
    *("sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "http"),
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def imported_names(path: Path) -> Iterator[str]:
    """Yield each module that a file imports, imports inside functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield node.module or ""


def pure_files() -> list[Path]:
    """Return every module that must be pure."""
    shared = [ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in SHARED]
    return sorted([*CORE.rglob("*.py"), *WIRE.rglob("*.py"), *shared])


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_code_imports_values_only(path: Path) -> None:
    allowed = {"msgspec", "motherfluxer_wire"}
    for name in imported_names(path):
        top = name.partition(".")[0]
        if name.startswith("apps.router.core") and CORE in path.parents:
            continue
        assert top in allowed or top in sys.stdlib_module_names, f"imports {name}"
        assert top not in IMPURE, f"imports {name}"


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_imports_the_public_part_of_the_router_only(
    graph: grimp.ImportGraph, plugin: str
) -> None:
    own = f"apps.{plugin}"
    for module in {own, *graph.find_descendants(own)}:
        for imported in graph.find_modules_directly_imported_by(module):
            is_own = imported == own or imported.startswith(f"{own}.")
            is_wire = imported.split(".")[0] == "motherfluxer_wire"
            is_shared = imported in PUBLIC | SHARED | SHARED_EDGE
            assert is_own or is_wire or is_shared, f"{module} imports {imported}"


def test_no_modules_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle

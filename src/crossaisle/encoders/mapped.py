"""The weights of a text encoder as onnxruntime wants them, in a file that is mapped instead of read.

Loading a model folds its constants, so weights kept in 8 bits lie in memory in 32, and in a copy of every
process. What the runtime made of them is kept once in the cache, with weights in a file of their own: that
file is mapped, its pages are shared by all processes, and of the word vectors only those in use are ever
read. Loading takes a quarter of the time.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossaisle import artifact
from crossaisle.artifact import sha256
from crossaisle.errors import ArtifactError, FetchError
from crossaisle.fetch import cache_dir

KIND = "mapped-weights"
MAP_FROM = 4_000_000
"""Bytes of a model below which a copy gains nothing."""
_GRAPH, _WEIGHTS = "model.onnx", "weights.bin"
_LOG = logging.getLogger(__name__)


def digest(file: Path) -> str:
    """Hexadecimal digest of a model, weights that lie beside it (`model.onnx_data`) included."""
    parts = [sha256(file), *(sha256(part) for part in _beside(file))]
    return parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()


def open_session(file: Path, map_from: int = MAP_FROM) -> Any:
    """An `onnxruntime.InferenceSession` on one thread; `FetchError` for what is no model.

    `map_from`: bytes of a model from which on its weights are mapped.
    """
    if sum(part.stat().st_size for part in (file, *_beside(file))) >= map_from:
        try:
            return _session(_mapped(file), _options(1, {"session.disable_prepacking": "1"}))
        except (ArtifactError, FetchError) as error:  # a full disk, a cache that cannot be written
            _LOG.info("%s is read instead of mapped: %s", file, error)
    return read_session(file)


def read_session(file: Path, threads: int = 1) -> Any:
    """An `onnxruntime.InferenceSession` with the weights in its own memory; `FetchError` as above."""
    return _session(file, _options(threads, {}))


def give_back() -> Any:
    """`onnxruntime.RunOptions` under which memory for long texts is given back after them."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _mapped(file: Path) -> Path:
    """The copy of a model whose weights can be mapped; made where it is missing or damaged."""
    import onnxruntime

    # What one version makes, another one need not understand.
    kept = cache_dir() / "mapped" / f"{digest(file)[:24]}-{onnxruntime.__version__}"
    try:
        return artifact.check(kept, KIND) / _GRAPH
    except ArtifactError:
        with artifact.writing(kept, KIND) as fresh:
            options = _options(
                1,
                {
                    "session.optimized_model_external_initializers_file_name": _WEIGHTS,
                    "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
                },
            )
            # Nothing that only this processor can do: the cache may be on a shared disk.
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
            options.optimized_model_filepath = str(fresh / _GRAPH)
            _session(file, options)
        return kept / _GRAPH


def _options(threads: int, settings: Mapping[str, str]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    for name, value in settings.items():
        options.add_session_config_entry(name, value)
    return options


def _session(file: Path, options: Any) -> Any:
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises a dozen types of its own
        first = str(error).splitlines()[0]
        raise FetchError(f"{file}: could not be loaded ({first})") from error


def _beside(file: Path) -> list[Path]:
    return sorted(path for path in file.parent.glob(f"{file.name}?*") if path.is_file())

"""Memory-maps the weights of text encoders for onnxruntime.

Loading a model folds constants, so 8-bit weights take 32 bits in memory, in each process separately. So the
runtime's optimised model is saved once in the cache, with its weights in a separate file. That file is
memory-mapped: its pages are shared by all processes, and only word vectors in use are ever read. Loading
takes a quarter of the time.
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
"""Models smaller than this many bytes are not worth a mapped copy."""
_GRAPH, _WEIGHTS = "model.onnx", "weights.bin"
_LOG = logging.getLogger(__name__)


def digest(file: Path) -> str:
    """Hexadecimal digest of a model, including weights in a separate file (`model.onnx_data`)."""
    parts = [sha256(file), *(sha256(part) for part in _beside(file))]
    return parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()


def open_session(file: Path, map_from: int = MAP_FROM) -> Any:
    """An `onnxruntime.InferenceSession` with one thread; `FetchError` if the file is not a model.

    `map_from`: size in bytes above which a model's weights are mapped.
    """
    if sum(part.stat().st_size for part in (file, *_beside(file))) >= map_from:
        try:
            return _session(_mapped(file), _options(1, {"session.disable_prepacking": "1"}))
        except (ArtifactError, FetchError) as error:  # such as a full disk, or a cache that cannot be written
            _LOG.info("%s is read instead of mapped: %s", file, error)
    return read_session(file)


def read_session(file: Path, threads: int = 1) -> Any:
    """An `onnxruntime.InferenceSession` with the weights in its own memory; `FetchError` as in
    `open_session`."""
    return _session(file, _options(threads, {}))


def give_back() -> Any:
    """`onnxruntime.RunOptions` that release the memory needed for long texts after the run."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _mapped(file: Path) -> Path:
    """A copy of a model whose weights can be mapped; created if missing or damaged."""
    import onnxruntime

    # one version's optimised model may not work in another
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
            # No optimisation for this particular CPU: the cache may be on a shared disk.
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
    except Exception as error:  # the runtime raises a dozen exception types
        first = str(error).splitlines()[0]
        raise FetchError(f"{file}: could not be loaded ({first})") from error


def _beside(file: Path) -> list[Path]:
    return sorted(path for path in file.parent.glob(f"{file.name}?*") if path.is_file())

"""`together`: runs one function in several processes of a Ray cluster at once, as `torchrun` would."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from crossaisle.errors import ConfigError, CrossaisleError, MissingDependencyError, WorkerError, cleaned

Say = Callable[[str], None]
Work = Callable[[bool, Say], Any]
"""Runs in each process; its arguments: whether an earlier attempt was interrupted, and a `Say`. A process
that returns None leaves the result to another."""
ATTEMPTS = 3
"""Attempts before the job fails because processes were lost."""
POLL = 0.5
"""Seconds between polls for messages of the processes."""


def together(work: Work, processes: int | None, *, gpus: bool, say: Say) -> Any:
    """The first process's return value. Needs a connection (`execution.on_ray.connected`) and torch.

    Ray Train places the processes, one GPU or one CPU each, and connects them through `torch.distributed`.
    `processes`: by default one per GPU, or per CPU, of the cluster. If a process is lost, all are restarted,
    up to `ATTEMPTS` times in all, and told that they were. An error of the work itself is raised at once,
    unchanged. Raises `ConfigError` if the cluster has no room for that many.
    """
    ray, trainer = _libraries()
    have = int(ray.cluster_resources().get("GPU" if gpus else "CPU", 0))
    wanted = have if processes is None else processes
    of = "GPUs" if gpus else "processors"
    if not 1 <= wanted <= have:
        raise ConfigError(
            f"{max(wanted, 1)} processes need as many {of}: the Ray cluster has {have}: lower --processes"
        )
    free = int(ray.available_resources().get("GPU" if gpus else "CPU", 0))
    if free < wanted:
        say(f"waiting for {wanted} {of}: {free} of the Ray cluster's {have} are free now")
    desk = ray.remote(num_cpus=0)(_Desk).remote()
    # Workers report through the actor `_Desk`; the run folder that Ray writes is not needed.
    with tempfile.TemporaryDirectory(prefix="crossaisle-ray-") as scratch, _passed_on(ray, desk, say):
        for attempt in range(ATTEMPTS):
            run = trainer(
                _Process(work, again=attempt > 0, desk=desk),
                scaling_config=ray.train.ScalingConfig(num_workers=wanted, use_gpu=gpus),
                run_config=ray.train.RunConfig(
                    name=f"attempt-{attempt + 1}",
                    storage_path=scratch,
                    # Otherwise it waits forever for CPUs that other jobs hold.
                    failure_config=ray.train.FailureConfig(controller_failure_limit=0),
                ),
            )
            ctrl_c = signal.getsignal(signal.SIGINT)
            try:
                run.fit()
                return ray.get(desk.found.remote())
            except ray.train.TrainingFailedError as error:
                failures = list(getattr(error, "worker_failures", {}).values())
                own = next((one for one in failures if isinstance(one, CrossaisleError)), None)
                lost = not failures or any(_rays_own(one) for one in failures)
                if own is not None or not lost:
                    raise own or failures[0] from error
                reason = cleaned(error)[:200]
                say(f"a process was lost, or could not be started (attempt {attempt + 1} of {ATTEMPTS})")
            finally:  # Ray Train's own handler would also keep its CPUs reserved
                if threading.current_thread() is threading.main_thread():
                    signal.signal(signal.SIGINT, ctrl_c)
    raise WorkerError(
        f"{ATTEMPTS} times a process of the training was lost or could not be started: {reason}"
    )


def has_gpus() -> bool:
    """Whether the cluster has any GPUs."""
    ray, _ = _libraries()
    return int(ray.cluster_resources().get("GPU", 0)) > 0


class _Process:
    """The function that Ray Train calls in each process."""

    def __init__(self, work: Work, *, again: bool, desk: Any) -> None:
        self._work, self._again, self._desk = work, again, desk

    def __call__(self) -> None:
        import ray

        found = self._work(self._again, lambda line: ray.get(self._desk.say.remote(line)))
        if found is not None:
            ray.get(self._desk.returned.remote(found))


class _Desk:
    """An actor that collects the processes' messages and results for the driver."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._found: Any = None

    def say(self, line: str) -> None:
        self._lines.append(line)

    def lines(self) -> list[str]:
        taken, self._lines = self._lines, []
        return taken

    def returned(self, found: Any) -> None:
        self._found = found

    def found(self) -> Any:
        return self._found


@contextmanager
def _passed_on(ray: Any, desk: Any, say: Say) -> Iterator[None]:
    """Passes the processes' messages on to `say` for the duration of the context."""
    over = threading.Event()

    def listen() -> None:
        while True:
            last = over.wait(POLL)  # check before fetching the messages, so that none is missed
            for line in ray.get(desk.lines.remote()):
                say(line)
            if last:
                return

    thread = threading.Thread(target=listen, name="crossaisle-ray-say", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _rays_own(error: Exception) -> bool:
    """Whether an error comes from Ray, such as a lost process, rather than from the work."""
    return type(error).__module__.partition(".")[0] == "ray"


def _libraries() -> tuple[Any, Any]:
    """Imports Ray and its Torch trainer."""
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")  # relative paths mean the same in all processes
    try:
        import ray
        import ray.train
        from ray.train.torch import TorchTrainer
    except ImportError:
        raise MissingDependencyError("Ray Train", "ray", "train --on ray") from None
    return ray, TorchTrainer

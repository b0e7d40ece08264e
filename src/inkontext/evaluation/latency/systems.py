"""Systems on this machine, each in a child process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from inkontext.evaluation.latency.run import Job, JobFailed, Part, SystemGone, Taken

_COMMAND: Final = (sys.executable, "-m", "inkontext.evaluation.latency.child")
_GRACE: Final = 5  # seconds a child has to leave


class Local:
    """A pipeline of this machine, `ours` or `diffusers`, in a process started by `start`."""

    def __init__(
        self, name: str, kind: str, model: str, device: str | None, dtype: str | None,
        command: Sequence[str] = _COMMAND,
    ) -> None:  # fmt: skip
        """`command` starts the process that answers (`latency.child`)."""
        self.name, self.kind = name, kind
        self._load = {"do": "load", "kind": kind, "model": model, "device": device, "dtype": dtype}
        self._command = command
        self._child: subprocess.Popen[str] | None = None
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the child

    def start(self, job: Job) -> dict[str, float] | None:
        """A fresh process up to its first picture: `start` (interpreter, imports), `load`, `first`, `total`."""
        self._leave()
        started = time.perf_counter()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._complaints}
        self._child = subprocess.Popen([*self._command, self.kind], **pipes, text=True)
        self._ask({"do": "up"})
        up = time.perf_counter() - started
        try:
            load = self._ask(self._load)
        except JobFailed as error:
            raise SystemGone(str(error)) from error
        first = self.run(job).seconds
        return {"start": up, "load": load, "first": first, "total": time.perf_counter() - started}

    def run(self, job: Job) -> Taken:
        said = self._ask({"do": "run", "job": asdict(job)})
        return Taken(said["seconds"], said["stages"], (said["size"][0], said["size"][1]), said["steps"])

    def identity(self) -> dict[str, Any]:
        return self._ask({"do": "identity"})

    def floor(self, job: Job) -> dict[str, Part] | None:
        return {stage: Part(*part) for stage, part in self._ask({"do": "floor", "job": asdict(job)}).items()}

    def rates(self) -> dict[str, float] | None:
        return self._ask({"do": "rates"})

    def close(self) -> None:
        self._leave()
        self._complaints.close()

    def _ask(self, task: dict[str, Any]) -> Any:
        """Raises JobFailed for an error it tells, SystemGone where it does not answer any more."""
        child = self._child
        assert child is not None and child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(json.dumps(task) + "\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise SystemGone(self._last_words(child))
        said = json.loads(line)
        if "error" in said:
            raise JobFailed(" ".join(said["error"].split()))
        return said["ok"]

    def _last_words(self, child: subprocess.Popen[str]) -> str:
        code = child.wait()
        self._complaints.seek(0)
        lines = [line.strip() for line in self._complaints.read().splitlines() if line.strip()]
        said = lines[-1] if lines else "it said nothing"
        return f"the process ended with {f'signal {-code}' if code < 0 else f'code {code}'} ({said})"

    def _leave(self) -> None:
        if self._child is None:
            return
        for pipe in (self._child.stdin, self._child.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # it is gone already
                continue
        try:
            self._child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None

"""
Start a job in the job server of `airflow-wall run`, which has already imported the engines.

The server (`airflow_wall.cli.job_fork_server`) is a process without Airflow that reads requests from a socket pair.
Processes that are forked from the command inherit the other end. Other processes cannot reach the socket, because it
has no name in the file system.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

VARIABLE = "AIRFLOW_WALL_JOB_SERVER"
"""Variable with the file descriptor and inode of our end of the socket pair, e.g. `7:12345`."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS")
"""Variables that libraries read at import. The server refuses a job whose values differ from its own."""


class JobProcess(Protocol):
    """The process of a job: a `subprocess.Popen`, or a process that the server started."""

    stdin: IO[str] | None
    stdout: IO[str] | None
    stderr: IO[str] | None
    returncode: int

    def kill(self) -> None:
        """Kill the process."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until the process has ended."""


class WarmProcess:
    """
    A job's process that the server forked.

    :param pipes: Our ends of its standard input, output and error.
    :param attendant: Connection to the process that waits for the job, and kills it when this end closes.
    """

    def __init__(self, pipes: tuple[int, int, int], attendant: socket.socket) -> None:
        self.stdin: IO[str] | None = os.fdopen(pipes[0], "w")
        self.stdout: IO[str] | None = os.fdopen(pipes[1])
        self.stderr: IO[str] | None = os.fdopen(pipes[2])
        self.returncode = 0
        self._attendant = attendant

    def kill(self) -> None:
        """Kill the process."""
        with contextlib.suppress(OSError):  # the attendant has ended
            self._attendant.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until the process has ended."""
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        answer = self._attendant.recv(64)
        self._attendant.close()
        self.returncode = int(answer or -9)  # an attendant that was killed takes the job with it


def start_warm(environment: Mapping[str, str]) -> WarmProcess | None:
    """
    Start a process that does the same as `python -m airflow_wall.jobs`; return None if no server can.

    :param environment: All environment variables of the process.
    """
    with _server() as server:
        if server is None:
            return None
        connection, server_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pipes = [os.pipe() for _ in range(3)]
        (input_, input_end), (output_end, output), (error_end, error) = pipes
        request = json.dumps({"environment": dict(environment), "folder": str(Path.cwd()), "task": os.getpid()})
        try:
            socket.send_fds(server, [request.encode()], [input_, output, error, server_end.fileno()])
            accepted = True
        except OSError:  # the server has ended, or the environment is longer than a message may be
            accepted = False
        finally:
            server_end.close()
            for descriptor in (input_, output, error):
                os.close(descriptor)
    if accepted and connection.recv(64) == b"started":
        return WarmProcess((input_end, output_end, error_end), connection)
    connection.close()
    for descriptor in (input_end, output_end, error_end):
        os.close(descriptor)
    return None


@contextlib.contextmanager
def _server() -> Iterator[socket.socket | None]:
    descriptor, _, inode = os.environ.get(VARIABLE, "").partition(":")
    # A process started by exec inherits the variable but not the descriptor, which may be another file there.
    if not descriptor or not _is_open(int(descriptor), int(inode)):
        yield None
        return
    with socket.socket(fileno=os.dup(int(descriptor))) as server:
        yield server


def _is_open(descriptor: int, inode: int) -> bool:
    try:
        return os.fstat(descriptor).st_ino == inode
    except OSError:
        return False

"""A relay that keeps every byte that passes, as someone on the way could."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Recording:
    """
    :param port: Where it listens, on loopback.
    :param seen: All that passed, from both sides.
    """

    port: int
    seen: bytearray = field(default_factory=bytearray)


@contextlib.contextmanager
def recording_proxy(port: int) -> Iterator[Recording]:
    """Relay to a port of loopback while in the context."""

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as server:
                back = threading.Thread(target=_copy, args=(server, self.request, recording))
                back.start()
                _copy(self.request, server, recording)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as relay:
        recording = Recording(relay.server_address[1])
        thread = threading.Thread(target=relay.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield recording
        finally:
            relay.shutdown()
            thread.join()


def _copy(source: socket.socket, sink: socket.socket, recording: Recording) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            recording.seen += content
            sink.sendall(content)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)

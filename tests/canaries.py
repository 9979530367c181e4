"""
Recognisable secrets, and a search for them in everything that people and other processes can read.

A test gives them to connections, does something with those, and then searches its folder, what was printed, and the
arguments of every process that ran meanwhile.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from process_tree import all_processes


class Canaries:
    """Secrets by name."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.arguments: set[bytes] = set()

    def plain(self, name: str) -> str:
        """A new secret of letters and digits."""
        self.known[name] = f"canary{secrets.token_hex(10)}"
        return self.known[name]

    def awkward(self, name: str) -> str:
        """A new secret with signs that a URL, JSON or a shell writes in another way."""
        self.known[name] = f"canary'{secrets.token_hex(6)} \"+/@:{secrets.token_hex(6)}"
        return self.known[name]

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Collect the arguments of all processes while in the context."""
        over = threading.Event()
        thread = threading.Thread(target=self._watch, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(0.1):
            for pid in all_processes():
                with contextlib.suppress(OSError):
                    self.arguments.add(Path(f"/proc/{pid}/cmdline").read_bytes())

    def found(self, *folders: Path, texts: dict[str, str]) -> list[str]:
        """Return the places of a secret, in any form: a file below `folders`, a text, or the arguments of a process."""
        contents = {f"argument {number}": line for number, line in enumerate(sorted(self.arguments))}
        contents |= {name: text.encode() for name, text in texts.items()}
        for folder in folders:
            contents |= {
                str(path.relative_to(folder)): path.read_bytes()
                for path in folder.rglob("*")
                if path.is_file() and not path.is_symlink()
            }
        return sorted(
            f"{name} ({form}) in {place}"
            for name, secret in self.known.items()
            for form, sought in forms_of(secret).items()
            for place, content in contents.items()
            if sought in content
        )


def forms_of(secret: str) -> dict[str, bytes]:
    """The ways in which a secret may be written; of an awkward one also each of its parts."""
    forms = {
        "raw": secret,
        "quoted": urllib.parse.quote(secret, safe=""),
        "upper case": secret.upper(),
        "first part": secret[:12],
        "last part": secret[-12:],
    }
    # Its offset among the bytes decides how base64 writes it; the signs at both ends depend on what is beside it.
    for before in range(3):
        encoded = base64.b64encode(b"-" * before + secret.encode()).decode()
        forms[f"base64 after {before} bytes"] = encoded[4:-4]
    return {name: form.encode() for name, form in forms.items()}

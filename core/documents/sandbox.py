"""What a PDF worker may no longer do once it is warm: no network, no programs, no files but fonts and Python's library.

The document's own addresses never get as far as this: the fetcher of `renderer` answers them from memory. This holds
what gets past it, a fault in a library for one. The audit hook works everywhere but sees Python only; Linux itself
holds the libraries in C, as far as the machine lets a process without privileges ask for it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

MEMORY: Final = 512 << 20
STDERR_BYTES: Final = 1 << 20

_FORBIDDEN: Final = ("socket.", "subprocess.", "ctypes.", "ftplib.", "http.", "smtplib.", "urllib.", "pty.", "shutil.")
_FORBIDDEN_OS: Final = frozenset(
    f"os.{name}"
    for name in (
        *("exec", "fork", "forkpty", "kill", "killpg", "posix_spawn", "putenv", "spawn", "system"),
        *("chmod", "chown", "link", "mkdir", "remove", "rename", "rmdir", "setxattr", "symlink", "truncate", "utime"),
    )
)
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS_SINCE: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Number of file rights that a version of Landlock knows."""


def limit_memory(size: int = MEMORY) -> None:
    """From the first moment: address space, no core files, only a little written to the error file."""
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_processor(seconds: int) -> None:
    """This job may use `seconds` of processor more than what the worker used so far; then the system ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 1, hard))


def shut_in(readable: Sequence[Path]) -> tuple[str, ...]:
    """Shuts every door, for good. Gives the names of the protections that hold; "audit" always does."""
    libc = ctypes.CDLL(None, use_errno=True)
    readable = [path.resolve() for path in readable if path.exists()]
    held = ["audit"]
    resource.setrlimit(resource.RLIMIT_FSIZE, (STDERR_BYTES, STDERR_BYTES))
    if _without_network(libc):
        held.append("network namespace")
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and _landlock(libc, readable):
        held.append("landlock")
    sys.addaudithook(_guard(tuple(str(path) for path in readable)))
    return tuple(held)


def _without_network(libc: ctypes.CDLL) -> bool:
    """A network namespace of its own, in which there is not even a loopback."""
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWUSER | _CLONE_NEWNET
    return bool(libc.unshare(flags) == 0)


def _landlock(libc: ctypes.CDLL, readable: Sequence[Path]) -> bool:
    version = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    rights = (1 << _FILE_RIGHTS_SINCE.get(version, 16)) - 1
    # file rights; TCP: bind and connect (from version 4)
    handled = (ctypes.c_uint64 * 2)(rights, 3 if version >= 4 else 0)
    ruleset = libc.syscall(_CREATE_RULESET, handled, 16 if version >= 4 else 8, 0)
    if ruleset < 0:
        return False
    try:
        for path in readable:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                allowed = _READ_FILE | _READ_DIR if path.is_dir() else _READ_FILE
                rule = allowed.to_bytes(8, sys.byteorder) + place.to_bytes(4, sys.byteorder, signed=True)
                if libc.syscall(_ADD_RULE, ruleset, 1, rule, 0) != 0:
                    return False
            finally:
                os.close(place)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _guard(readable: tuple[str, ...]) -> Callable[[str, tuple[Any, ...]], None]:
    below = tuple(path + os.sep for path in readable)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int):
                return
            name = os.path.realpath(os.fsdecode(path))
            writes = isinstance(flags, int) and flags & _WRITING
            if writes or not (name in readable or name.startswith(below)):
                raise PermissionError(f"a PDF worker may not open {name}")
        elif event in _FORBIDDEN_OS or event.startswith(_FORBIDDEN):
            raise PermissionError(f"a PDF worker may not do {event}")

    return hook

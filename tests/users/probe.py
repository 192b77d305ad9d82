#!/usr/bin/env python3
"""What this process can do with descriptors 3 (data), 4 (lock segment), 5 (own page) beyond what they were given for.

    probe.py RUNTIME_DIR BROKER_PID     stdout: one JSON object, what was tried -> `ok` or the name of the error

Every attempt is the plain system call, by the standard library.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import sys

RUNTIME_DIR, BROKER_PID = sys.argv[1:3]
DESCRIPTORS = {"data": 3, "lock": 4, "page": 5}
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE = 1, 2
F_ADD_SEALS, F_SEAL_WRITE = 1033, 8
MADV_REMOVE = 9

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]


def outcome(attempt):
    try:
        attempt()
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "failed")


def map_with(descriptor, protection):
    mmap.mmap(descriptor, 4096, flags=mmap.MAP_SHARED, prot=protection).close()


def on_readable_map(descriptor, call, argument):
    address = libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    checked(call(address, 4096, argument))


def reopen(descriptor, flags):
    os.close(os.open(f"/proc/self/fd/{descriptor}", flags))


results = {}
for name, descriptor in DESCRIPTORS.items():
    attempts = {
        "map to read": lambda: map_with(descriptor, mmap.PROT_READ),
        "map to write": lambda: map_with(descriptor, mmap.PROT_READ | mmap.PROT_WRITE),
        "make a map writable": lambda: on_readable_map(descriptor, libc.mprotect, mmap.PROT_READ | mmap.PROT_WRITE),
        "punch a hole through a map": lambda: on_readable_map(descriptor, libc.madvise, MADV_REMOVE),
        "reopen to write": lambda: reopen(descriptor, os.O_RDWR),
        "shrink": lambda: os.ftruncate(descriptor, 0),
        "grow": lambda: os.ftruncate(descriptor, 1 << 30),
        "punch a hole": lambda: checked(
            libc.fallocate(descriptor, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE, 0, 4096)),
        "seal": lambda: fcntl.fcntl(descriptor, F_ADD_SEALS, F_SEAL_WRITE),
        "change the mode": lambda: os.fchmod(descriptor, 0o777),
        "write": lambda: os.pwrite(descriptor, b"x", 0),
    }
    results[name] = {what: outcome(attempt) for what, attempt in attempts.items() if (name, what) != ("page", "seal")}

results["broker"] = {
    "list its doorbells": outcome(lambda: os.listdir(os.path.join(RUNTIME_DIR, "bells"))),
    "list its descriptors": outcome(lambda: os.listdir(f"/proc/{BROKER_PID}/fd")),
    "read its memory": outcome(lambda: os.close(os.open(f"/proc/{BROKER_PID}/mem", os.O_RDONLY))),
    "put a file in its directory": outcome(
        lambda: os.close(os.open(os.path.join(RUNTIME_DIR, "mine"), os.O_CREAT | os.O_RDWR))),
    "remove its socket": outcome(lambda: os.unlink(os.path.join(RUNTIME_DIR, "control.sock"))),
}
print(json.dumps(results))

"""librailtop through ctypes: where it is found, and what include/railtop.h declares."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

#: The ABI of the header that this file was written to: a library of the same major and no lower minor number will do.
ABI_MAJOR, ABI_MINOR = 0, 1
#: Names the library to load. `none` means something to setup.py alone.
VARIABLE = "RAILTOP_LIBRARY"

CLOCK_MONOTONIC, CLOCK_REALTIME = 1, 2
E_TIMEOUT = 4
HAS_TX_BYTES, HAS_RX_BYTES = 0x1, 0x2
#: What a sample's flags say about how to read it, by bit.
MARKS = {
    0x100: "new",
    0x200: "reset",
    0x400: "stale",
    0x800: "dead",
    0x1000: "stalled",
    0x2000: "torn",
    0x4000: "gone",
    0x8000: "down",
    0x10000: "unsure",
}


class RailtopError(Exception):
    """librailtop refused something; the message says what and why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        #: RAILTOP_E_* of include/railtop.h.
        self.code = code


class LibraryNotFound(ImportError):
    """There is no librailtop that this package can use."""


class Handle:
    """A sampler of the library's, freed with the last who holds it: calls that run on other threads do."""

    def __init__(self, pointer: c_void_p) -> None:
        # What ctypes passes on for this object. It holds the object itself for as long as the call takes.
        self._as_parameter_ = pointer
        # Kept here, since at the end of the interpreter modules may be empty already.
        self._free = library().railtop_sampler_free

    def __del__(self) -> None:
        self._free(self._as_parameter_)


class Options(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("sysfs_root", c_char_p),
        ("devices", c_char_p),
        ("source", c_char_p),
        ("interval_ns", c_uint64),
        ("capacity", c_uint64),
    ]


class Status(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("interval_ns", c_uint64),
        ("ticks", c_uint64),
        ("missed_ticks", c_uint64),
        ("samples", c_uint64),
        ("lost_samples", c_uint64),
        ("lost_balances", c_uint64),
        ("nics", c_uint32),
        ("groups", c_uint32),
        ("running", c_uint32),
        ("reserved", c_uint32),
    ]


class Nic(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("key", c_char_p),
        ("device", c_char_p),
        ("driver", c_char_p),
        ("source", c_char_p),
        ("pci", c_char_p),
        ("netdev", c_char_p),
        ("link_bits_per_s", c_double),
        ("numa", c_int32),
        ("port", c_uint32),
        ("group", c_uint32),
        ("reserved", c_uint32),
    ]


class Group(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("key", c_char_p),
        ("name", c_char_p),
        ("kind", c_char_p),
        ("node", c_char_p),
        ("gpu", c_char_p),
        ("numa", c_int32),
        ("pe", c_int32),
    ]


class Sample(ctypes.Structure):
    _fields_ = [
        ("nic", c_uint32),
        ("flags", c_uint32),
        ("mono_ns", c_uint64),
        ("wall_minus_mono_ns", c_int64),
        ("dt_ns", c_uint64),
        ("tx_bytes", c_uint64),
        ("rx_bytes", c_uint64),
        ("tx_bytes_per_s", c_double),
        ("rx_bytes_per_s", c_double),
    ]


class Balance(ctypes.Structure):
    _fields_ = [
        ("group", c_uint32),
        ("nics", c_uint32),
        ("mono_ns", c_uint64),
        ("wall_minus_mono_ns", c_int64),
        ("tx_bytes_per_s", c_double),
        ("rx_bytes_per_s", c_double),
        ("tx_max_over_mean", c_double),
        ("rx_max_over_mean", c_double),
    ]


# A text that has to be freed is a c_void_p: of a c_char_p ctypes would make bytes and lose the pointer.
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "railtop_abi_version": (c_uint32, []),
    "railtop_version": (c_char_p, []),
    "railtop_error_message": (c_char_p, []),
    "railtop_sampler_start": (c_int32, [POINTER(Options), POINTER(c_void_p)]),
    "railtop_sampler_stop": (c_int32, [c_void_p]),
    "railtop_sampler_free": (None, [c_void_p]),
    "railtop_sampler_wait": (c_int32, [c_void_p, c_uint64, c_uint64]),
    "railtop_sampler_status": (c_int32, [c_void_p, POINTER(Status)]),
    "railtop_sampler_nic": (c_int32, [c_void_p, c_uint32, POINTER(Nic)]),
    "railtop_sampler_group": (c_int32, [c_void_p, c_uint32, POINTER(Group)]),
    "railtop_sampler_read": (
        c_int32,
        [c_void_p, POINTER(c_uint64), POINTER(Sample), c_size_t, c_size_t, POINTER(c_size_t)],
    ),
    "railtop_sampler_read_balance": (
        c_int32,
        [c_void_p, POINTER(c_uint64), POINTER(Balance), c_size_t, c_size_t, POINTER(c_size_t)],
    ),
    "railtop_sampler_notes": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "railtop_sampler_trace": (c_int32, [c_void_p, c_int32, c_int64, POINTER(c_void_p)]),
    "railtop_text_free": (None, [c_void_p]),
}

_loaded: Any = None


def library() -> Any:
    """The library, loaded when it is first needed.

    It is the one that RAILTOP_LIBRARY names, else the one in this package, else the system's.
    """
    global _loaded
    if _loaded is None:
        _loaded = _declared(_open())
    return _loaded


def library_version() -> str:
    """The version of the librailtop that is loaded, such as `0.1.0`."""
    version: bytes = library().railtop_version()
    return version.decode()


def check(code: int) -> None:
    """Raises what the last call on this thread said, unless it went well."""
    if code != 0:
        message: bytes = library().railtop_error_message()
        raise RailtopError(code, message.decode(errors="replace"))


def take_text(pointer: c_void_p) -> str:
    """A text that the library gave, which is freed."""
    try:
        return ctypes.string_at(pointer.value or 0).decode()
    finally:
        library().railtop_text_free(pointer)


def _open() -> ctypes.CDLL:
    named = os.environ.get(VARIABLE, "")
    if named not in ("", "none"):
        candidates = [named]
    else:
        beside = Path(__file__).with_name("librailtop.so")
        candidates = [str(beside)] if beside.is_file() else [f"librailtop.so.{ABI_MAJOR}", "librailtop.so"]
    reasons = []
    for candidate in candidates:
        try:
            return ctypes.CDLL(candidate)
        except OSError as error:
            reasons.append(str(error))
    raise LibraryNotFound(
        f"cannot load librailtop: {'; '.join(reasons)}. Install the package from a checkout with cargo (pip install ./python), "
        f"which builds it; or set {VARIABLE} to the file"
    )


def _declared(loaded: ctypes.CDLL) -> ctypes.CDLL:
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(loaded, name, None)
        if function is None:
            raise LibraryNotFound(f"{loaded._name} has no {name}: it is another library, or too old")
        function.restype, function.argtypes = result, arguments
    version = loaded.railtop_abi_version()
    major, minor = version >> 16, version & 0xFFFF
    if major != ABI_MAJOR or minor < ABI_MINOR:
        raise LibraryNotFound(
            f"{loaded._name} has ABI {major}.{minor}, and this package needs {ABI_MAJOR}.{ABI_MINOR} or a later {ABI_MAJOR}.x"
        )
    return loaded

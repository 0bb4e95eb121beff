"""Puts librailtop.so into the wheel: built by cargo, or the file that RAILTOP_LIBRARY names.

RAILTOP_LIBRARY=none makes a wheel without it; the package then looks for an installed one (see railtop/_library.py).
RAILTOP_CARGO_PROFILE is the profile cargo builds with, `release` unless set.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

REPOSITORY = Path(__file__).resolve().parent.parent
GIVEN = os.environ.get("RAILTOP_LIBRARY", "")
CARGO = os.environ.get("CARGO") or shutil.which("cargo")
#: What lies beside the Python files after a build, and is not theirs.
BUILT = ("librailtop.so", "third-party-licenses.txt", "LICENSE-APACHE", "LICENSE-MIT")


def built_library() -> Path:
    """Builds librailtop with cargo and returns the file."""
    if not (REPOSITORY / "librailtop" / "Cargo.toml").is_file():
        raise SystemExit(
            "railtop: the sources of librailtop are not beside this directory; install from a checkout of the repository with "
            "pip 21.3 or later (pip install ./python), since older ones build in a copy; or set RAILTOP_LIBRARY to a librailtop.so"
        )
    if not CARGO:
        raise SystemExit(
            "railtop: librailtop is built with Rust, and there is no cargo here: see https://rustup.rs, or set "
            "RAILTOP_LIBRARY to a librailtop.so"
        )
    profile = os.environ.get("RAILTOP_CARGO_PROFILE", "release")
    command = [CARGO, "build", "--locked", "--package", "librailtop", "--profile", profile]
    command.append("--message-format=json-render-diagnostics")
    messages = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout
    # Cargo knows where it puts it: variables and configuration files have a say in that.
    files = [file for line in messages.splitlines() for file in json.loads(line).get("filenames", [])]
    return next(Path(file) for file in files if Path(file).name == "librailtop_c.so")


def add_licences(into: Path) -> None:
    """What those ask for whose code is in the library."""
    for file in REPOSITORY.glob("LICENSE-*"):
        shutil.copy(file, into / file.name)
    script = REPOSITORY / "scripts" / "third-party.py"
    if CARGO and script.is_file():
        found = subprocess.run([sys.executable, str(script)], check=True, stdout=subprocess.PIPE).stdout
        (into / "third-party-licenses.txt").write_bytes(found)


class BuildWithLibrary(build_py):
    """The Python files, and the library beside them."""

    def run(self) -> None:
        super().run()
        into = Path(self.editable_to() if self.editable_mode else os.path.join(self.build_lib, "railtop"))
        into.mkdir(parents=True, exist_ok=True)
        # Of an earlier build: it must not come along where none is wanted, nor be written into while somebody runs it.
        for name in BUILT:
            (into / name).unlink(missing_ok=True)
        if GIVEN != "none":
            shutil.copy(Path(GIVEN) if GIVEN else built_library(), into / "librailtop.so")
            add_licences(into)

    def editable_to(self) -> str:
        """Where the package lies while it is worked on."""
        return str(Path(__file__).resolve().parent / "railtop")


class WheelOfAnyPython(bdist_wheel):
    """It is of one kind of machine for the library's sake, and of every Python 3, since ctypes loads that."""

    def get_tag(self) -> "tuple[str, str, str]":
        return ("py3", "none", "any") if GIVEN == "none" else ("py3", "none", super().get_tag()[2])


class WithLibrary(Distribution):
    """Says that this is not pure Python."""

    def has_ext_modules(self) -> bool:
        return GIVEN != "none"


setup(distclass=WithLibrary, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": WheelOfAnyPython})

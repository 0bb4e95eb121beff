"""Puts librailtop.so into the wheel: built by cargo, or the file that RAILTOP_LIBRARY names.

RAILTOP_LIBRARY=none makes a wheel without it; the package then looks for an installed one (see railtop/_library.py).
RAILTOP_CARGO_PROFILE is the profile cargo builds with, `release` unless set.
"""

import os
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

REPOSITORY = Path(__file__).resolve().parent.parent
GIVEN = os.environ.get("RAILTOP_LIBRARY", "")


def built_library() -> Path:
    """Builds librailtop with cargo and returns the file."""
    cargo = os.environ.get("CARGO") or shutil.which("cargo")
    if not (REPOSITORY / "librailtop" / "Cargo.toml").is_file():
        raise SystemExit(
            "railtop: the sources of librailtop are not beside this directory; install from a checkout of the repository "
            "(pip install ./python), or set RAILTOP_LIBRARY to a librailtop.so"
        )
    if not cargo:
        raise SystemExit(
            "railtop: librailtop is built with Rust, and there is no cargo here: see https://rustup.rs, or set "
            "RAILTOP_LIBRARY to a librailtop.so"
        )
    profile = os.environ.get("RAILTOP_CARGO_PROFILE", "release")
    command = [cargo, "build", "--locked", "--package", "librailtop", "--profile", profile]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR") or "target")
    # The profile `dev` has another name for its directory.
    return REPOSITORY / target / ("debug" if profile == "dev" else profile) / "librailtop_c.so"


class BuildWithLibrary(build_py):
    """The Python files, and the library beside them."""

    def run(self) -> None:
        super().run()
        into = Path(self.editable_to() if self.editable_mode else os.path.join(self.build_lib, "railtop"))
        into.mkdir(parents=True, exist_ok=True)
        # Of an earlier build: it must not come along where none is wanted, nor be written into while somebody runs it.
        (into / "librailtop.so").unlink(missing_ok=True)
        if GIVEN != "none":
            shutil.copy(Path(GIVEN) if GIVEN else built_library(), into / "librailtop.so")

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

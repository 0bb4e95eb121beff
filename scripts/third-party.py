#!/usr/bin/env python3
"""Lists what is linked into railtop, with the texts of the licences, as these ask of who gives away a binary.

    scripts/third-party.py [TARGET] > third-party-licenses.txt      TARGET: what it was built for, as x86_64-unknown-linux-musl

Each text is there once, under the names of all crates that have it. A crate without a file of its own is named with what its
Cargo.toml says. Crates that only run while others are compiled (procedural macros, build scripts) are not in the binary.

Rust's standard library is linked in, too, with the crates that it is made of: their notices come with the toolchain, and where this one
has none, that is said on stderr and in the list. So is musl in a static program: its notice is in RAILTOP_MUSL_COPYRIGHT (a file),
or where Debian's musl-dev has it; without one there is no list.
"""

import html.parser
import json
import os
import pathlib
import re
import subprocess
import sys

# Where Debian has the notice of musl (musl-dev, which musl-tools brings along).
MUSL = ["/usr/share/doc/musl-dev/copyright", "/usr/share/doc/musl/copyright"]
# What crates call such files: LICENSE, LICENSE-MIT, LICENCE.md, COPYING, UNLICENSE, NOTICE; also in a folder LICENSES.
TEXT = re.compile(r"^(un)?licen[cs]e|^copying|^notice|^copyright", re.IGNORECASE)


def host():
    """The kind of system that cargo builds for by itself."""
    cargo = os.environ.get("CARGO", "cargo")
    version = subprocess.run([cargo, "-vV"], check=True, capture_output=True, text=True).stdout
    return re.search(r"^host: (.*)$", version, re.MULTILINE).group(1)


def metadata(target):
    """What cargo knows of the crates for a kind of system."""
    cargo = os.environ.get("CARGO", "cargo")
    manifest = pathlib.Path(__file__).resolve().parent.parent / "Cargo.toml"
    command = [cargo, "metadata", "--locked", "--format-version", "1", "--filter-platform", target, "--manifest-path", manifest]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def linked(known):
    """The packages from elsewhere that end up in the binary, by name and version."""
    packages = {package["id"]: package for package in known["packages"]}
    nodes = {node["id"]: node for node in known["resolve"]["nodes"]}
    root = known["resolve"]["root"]
    seen, todo = {root}, [root]
    while todo:
        for dependency in nodes[todo.pop()]["deps"]:
            name = dependency["pkg"]
            normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            macro = any("proc-macro" in target["kind"] for target in packages[name]["targets"])
            if normal and not macro and name not in seen:
                seen.add(name)
                todo.append(name)
    # Without a source: of this repository.
    found = [packages[name] for name in seen if packages[name]["source"] is not None]
    return sorted(found, key=lambda package: (package["name"], package["version"]))


def texts(package):
    """The files of a package that its licence is in, as texts."""
    folder = pathlib.Path(package["manifest_path"]).parent
    files = [file for file in sorted(folder.iterdir()) if TEXT.match(file.name)]
    files += [file for sub in files if sub.is_dir() for file in sorted(sub.iterdir())]
    return [file.read_text(encoding="utf-8", errors="replace").strip() for file in files if file.is_file()]


class Notices(html.parser.HTMLParser):
    """The toolchain's COPYRIGHT-library.html: a crate's heading, and under it its files, each in a <pre>."""

    def __init__(self):
        super().__init__()
        # What is said of the library's own files, by paragraphs; then texts under the names of crates.
        self.own, self.crates, self.open, self.words = [], [], None, []

    def handle_starttag(self, tag, attributes):
        if tag in ("p", "h3", "pre"):
            self.open, self.words = tag, []

    def handle_data(self, data):
        self.words.append(data)

    def handle_endtag(self, tag):
        if tag != self.open:
            return
        text, self.open = "".join(self.words).strip(), None
        if tag == "h3":
            # Before the name there is a picture.
            self.crates.append((text.split()[-1], []))
        elif tag == "pre" and self.crates:
            self.crates[-1][1].append(text)
        elif tag == "p" and not self.crates:
            self.own.append(" ".join(text.split()))


def standard_library():
    """The notices of Rust's standard library, by name, or None where the toolchain brings none."""
    rustc = os.environ.get("RUSTC", "rustc")
    root = subprocess.run([rustc, "--print", "sysroot"], check=True, capture_output=True, text=True).stdout.strip()
    file = pathlib.Path(root, "share/doc/rust/COPYRIGHT-library.html")
    if not file.is_file():
        print(f"third-party.py: no notices of Rust's standard library: {file} is not there", file=sys.stderr)
        return None
    notices = Notices()
    notices.feed(file.read_text(encoding="utf-8"))
    if not notices.own or not any(texts for _, texts in notices.crates):
        sys.exit(f"{file}: no notices found: it is not what this script knows")
    found = [("Rust's standard library, and the crates in it", "\n".join(notices.own))]
    for licence in sorted(file.parent.glob("licenses/*.txt")):
        if any(licence.stem in line for line in notices.own):
            found.append((f"Rust's standard library ({licence.stem})", licence.read_text(encoding="utf-8").strip()))
    return found + [(f"Rust's {crate}", text) for crate, texts in notices.crates for text in texts]


def musl():
    """The notice of the C library in a static program."""
    given = os.environ.get("RAILTOP_MUSL_COPYRIGHT")
    for name in [given] if given else MUSL:
        if os.path.isfile(name):
            return pathlib.Path(name).read_text(encoding="utf-8").strip()
    looked = given or ", ".join(MUSL)
    sys.exit(f"no notice of musl, which is linked in: no {looked}; install musl-dev, or name its COPYRIGHT in RAILTOP_MUSL_COPYRIGHT")


def main():
    if len(sys.argv) > 2 or any(word.startswith("-") for word in sys.argv[1:]):
        print(f"usage: {sys.argv[0]} [TARGET]", file=sys.stderr)
        sys.exit(2)
    target = sys.argv[1] if len(sys.argv) > 1 else host()
    packages = linked(metadata(target))
    if not packages:
        sys.exit("no crates found: cargo's metadata are not what this script knows")
    library = standard_library()
    c_library = musl() if target.endswith("-musl") else None
    print(f"railtop for {target} is linked with the following crates, each under the licence behind its name.\n")
    for package in packages:
        print(f"    {package['name']} {package['version']}: {package['license']}")
    owners, bare = {}, []

    def add(name, text):
        # The same words in other lines are the same text.
        owners.setdefault(" ".join(text.split()), (text, []))[1].append(name)

    for package in packages:
        name = f"{package['name']} {package['version']}"
        found = texts(package)
        if not found:
            bare.append(f"{name}: {package['license']}")
        for text in found:
            add(name, text)
    if library:
        for name, text in library:
            add(name, text)
    else:
        bare.append("Rust's standard library: MIT OR Apache-2.0")
    if c_library:
        add("musl, the C library", c_library)
    if bare:
        print("\nThese bring no text of their own, and stand under that of the name:\n")
        for line in bare:
            print(f"    {line}")
    for text, names in owners.values():
        print(f"\n{'-' * 100}\n{', '.join(names)}:\n\n{text}")


main()

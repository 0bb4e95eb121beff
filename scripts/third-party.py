#!/usr/bin/env python3
"""Lists the crates that are linked into railtop, with the texts of their licences, as these ask of who gives away a binary.

    scripts/third-party.py > third-party-licenses.txt

Each text is there once, under the names of all crates that have it. A crate without a file of its own is named with what its
Cargo.toml says. Crates that only run while others are compiled (procedural macros, build scripts) are not in the binary.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

# What crates call such files: LICENSE, LICENSE-MIT, LICENCE.md, COPYING, UNLICENSE, NOTICE; also in a folder LICENSES.
TEXT = re.compile(r"^(un)?licen[cs]e|^copying|^notice|^copyright", re.IGNORECASE)


def metadata():
    """What cargo knows of the crates for this machine's kind of system."""
    cargo = os.environ.get("CARGO", "cargo")
    version = subprocess.run([cargo, "-vV"], check=True, capture_output=True, text=True).stdout
    host = re.search(r"^host: (.*)$", version, re.MULTILINE).group(1)
    manifest = pathlib.Path(__file__).resolve().parent.parent / "Cargo.toml"
    command = [cargo, "metadata", "--locked", "--format-version", "1", "--filter-platform", host, "--manifest-path", manifest]
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


def main():
    packages = linked(metadata())
    print("railtop is linked with the following crates, each under the licence behind its name.\n")
    for package in packages:
        print(f"    {package['name']} {package['version']}: {package['license']}")
    owners, bare = {}, []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        found = texts(package)
        if not found:
            bare.append(f"{name}: {package['license']}")
        for text in found:
            # The same words in other lines are the same text.
            owners.setdefault(" ".join(text.split()), (text, []))[1].append(name)
    if bare:
        print("\nThese bring no text of their own, and stand under that of the name:\n")
        for line in bare:
            print(f"    {line}")
    for text, names in owners.values():
        print(f"\n{'-' * 100}\n{', '.join(names)}:\n\n{text}")
    if not packages:
        sys.exit("no crates found: cargo's metadata are not what this script knows")


main()

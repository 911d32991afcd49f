#!/usr/bin/env python3
"""Lists the crates that the program is built from: `sbom` as CycloneDX 1.5, `licences` with the texts of their licences.

Both come from cargo, Cargo.lock and the sources that cargo has fetched, and are the same at each build.
"""

import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = "nginx-mail-auth"
TEXTS = re.compile(r"^(un)?licen[cs]e|^copying|^copyright|^notice", re.IGNORECASE)


def run(*command):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def tree(edges):
    """The name and version of each crate along these edges, as the features of the build choose them."""
    flags = os.environ.get("CARGO_FLAGS", "").split()
    lines = run("cargo", "tree", "--quiet", "--locked", "--edges", edges, "--prefix", "none", "--format", "{p}", *flags)
    return {tuple(line.split()[:2]) for line in lines.splitlines() if line}


def crates():
    """The crates of the build, each with what cargo knows of it; `linked`: it is in the program."""
    target = re.search(r"^host: (.*)$", run("rustc", "-vV"), re.MULTILINE).group(1)
    metadata = json.loads(
        run("cargo", "metadata", "--quiet", "--locked", "--format-version", "1", "--filter-platform", target)
    )
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    sums = {(one["name"], "v" + one["version"]): one.get("checksum") for one in lock["package"]}
    linked, built = tree("normal,no-proc-macro"), tree("normal,build")
    depends = {node["id"]: node["dependencies"] for node in metadata["resolve"]["nodes"]}
    found = {}
    for package in metadata["packages"]:
        key = (package["name"], "v" + package["version"])
        if key in built:
            found[package["id"]] = package | {
                "sum": sums[key],
                "linked": key in linked,
                "depends": depends[package["id"]],
            }
    missing = built - {(one["name"], "v" + one["version"]) for one in found.values()}
    if missing:
        sys.exit(f"cargo metadata does not have these crates: {missing}")
    return found


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def licence(package):
    """The licence as an SPDX expression; some crates still write / for OR."""
    return (package["license"] or "").replace("/", " OR ")


def component(package):
    made = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "scope": "required" if package["linked"] else "excluded",
    }
    if package["sum"]:
        made["hashes"] = [{"alg": "SHA-256", "content": package["sum"]}]
    if package["license"]:
        made["licenses"] = [{"expression": licence(package)}]
    made["purl"] = purl(package)
    if package["repository"]:
        made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return made


def bundled(packages):
    """What is in the program beside crates: Rust's library, and the SQLite that libsqlite3-sys has."""
    rust = re.search(r"^release: (.*)$", run("rustc", "-vV"), re.MULTILINE).group(1)
    yield {
        "type": "library",
        "bom-ref": f"pkg:generic/rust-std@{rust}",
        "name": "rust-std",
        "version": rust,
        "scope": "required",
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
        "purl": f"pkg:generic/rust-std@{rust}",
    }
    for package in packages:
        if package["name"] == "libsqlite3-sys":
            header = pathlib.Path(package["manifest_path"]).parent / "sqlite3" / "sqlite3.h"
            version = re.search(r'^#define SQLITE_VERSION +"(.*)"', header.read_text(), re.MULTILINE).group(1)
            yield {
                "type": "library",
                "bom-ref": f"pkg:generic/sqlite@{version}",
                "name": "sqlite",
                "version": version,
                "scope": "required",
                "licenses": [{"license": {"id": "blessing"}}],
                "purl": f"pkg:generic/sqlite@{version}",
                "cpe": f"cpe:2.3:a:sqlite:sqlite:{version}:*:*:*:*:*:*:*",
            }


def sbom(found):
    names = {id: purl(package) for id, package in found.items()}
    program = next(one for one in found.values() if one["name"] == PROGRAM)
    others = sorted((one for one in found.values() if one is not program), key=purl)
    root = component(program) | {"type": "application"}
    del root["scope"]
    beside = list(bundled(others))
    components = [component(one) for one in others] + beside
    edges = []
    for id, package in found.items():
        to = sorted(names[other] for other in package["depends"] if other in names)
        if package is program:
            to += [one["bom-ref"] for one in beside if one["name"] == "rust-std"]
        if package["name"] == "libsqlite3-sys":
            to += [one["bom-ref"] for one in beside if one["name"] == "sqlite"]
        edges.append({"ref": names[id], "dependsOn": to})
    # Of the content, so that the same program has the same number.
    digest = hashlib.sha256(json.dumps(components, sort_keys=True).encode()).digest()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    when = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}",
        "version": 1,
        "metadata": {"timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": root},
        "components": components,
        "dependencies": sorted(edges, key=lambda edge: edge["ref"]),
    }
    print(json.dumps(bom, indent=1))


def texts(package):
    """The licences, copyright notices and other notices in a crate's sources."""
    folder = pathlib.Path(package["manifest_path"]).parent
    files = [file for file in folder.iterdir() if TEXTS.match(file.name)]
    files += [file for sub in files if sub.is_dir() for file in sub.iterdir()]
    if package["license_file"]:
        files.append(folder / package["license_file"])
    texts = {file.read_text(errors="replace").replace("\r\n", "\n").strip() for file in files if file.is_file()}
    return sorted(text for text in texts if text)


def licences(found):
    linked = sorted((one for one in found.values() if one["linked"] and one["name"] != PROGRAM), key=purl)
    print(f"The crates that {PROGRAM} contains, and their licences. The texts follow; a crate that has no text of")
    print("its own is under the licence that it names, of which others have the text.\n")
    of_text = {}
    for package in linked:
        authors = f" ({', '.join(package['authors'])})" if package["authors"] else ""
        print(f"{package['name']} {package['version']}: {licence(package) or 'see its text'}{authors}")
        for text in texts(package):
            of_text.setdefault(text, []).append(f"{package['name']} {package['version']}")
    print("\nlibsqlite3-sys contains SQLite, which is in the public domain. The program also contains Rust's standard")
    print("library (MIT or Apache-2.0; its COPYRIGHT is in https://github.com/rust-lang/rust) and the unwinder of libgcc")
    print("(GPL-3 with the GCC Runtime Library Exception).")
    for text, names in sorted(of_text.items(), key=lambda one: one[1]):
        print(f"\n{'=' * 100}\n{', '.join(names)}\n{'=' * 100}\n\n{text}")


if __name__ == "__main__":
    kinds = {"sbom": sbom, "licences": licences}
    if len(sys.argv) != 2 or sys.argv[1] not in kinds:
        sys.exit(f"usage: {sys.argv[0]} sbom|licences")
    kinds[sys.argv[1]](crates())

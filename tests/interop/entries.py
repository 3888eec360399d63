"""Reads every entry of a transparency log with stock libraries and holds it against the published schema.

Usage: entries.py SCHEMA LOGDIR, with SCHEMA docs/journal.cddl. Needs cbor2 and pycddl from PyPI. Each entry of each bundle
must be valid by the schema, and encoding its value again by the rules of deterministic CBOR (RFC 8949 section 4.2.1)
must give the same bytes; the numbers in the envelopes must run from 0 without gaps. Prints one line of JSON, ends with 1
at the first entry that is otherwise.
"""

import json
import pathlib
import sys

import cbor2
import pycddl


def bundles(logdir):
    """Entry bundles in order: of a partial one only the widest, and none that a full one has replaced."""
    root = logdir / "tile" / "entries"
    found = {}
    for path in root.rglob("*"):
        if path.is_dir():
            continue
        name = str(path.relative_to(root))
        index, _, width = name.partition(".p/")
        number = int("".join(part.lstrip("x") for part in index.split("/")))
        width = int(width) if width else 256
        if width > found.get(number, (0, None))[0]:
            found[number] = (width, path)
    return [found[number] for number in sorted(found)]


def entries(path):
    """Entries of a bundle: each a length of two bytes, big-endian, and as many bytes."""
    content = path.read_bytes()
    at = 0
    while at < len(content):
        end = at + 2 + int.from_bytes(content[at : at + 2], "big")
        if end > len(content):
            raise ValueError(f"{path}: an entry ends beyond the bundle")
        yield content[at + 2 : end]
        at = end


def main():
    schema = pycddl.Schema(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    seq, kinds = 0, set()
    for width, path in bundles(pathlib.Path(sys.argv[2])):
        first = seq
        for entry in entries(path):
            try:
                schema.validate_cbor(entry)
                value = cbor2.loads(entry)
                if cbor2.dumps(value, canonical=True) != entry:
                    raise ValueError("not deterministic CBOR")
                if value[0][1] != seq:
                    raise ValueError(f"its envelope says {value[0][1]}")
            except (ValueError, cbor2.CBORError) as error:
                print(f"entry {seq} in {path}: {error}", file=sys.stderr)
                return 1
            kinds.add(value[0][3])
            seq += 1
        if seq - first != width:
            print(f"{path}: {seq - first} entries, not {width}", file=sys.stderr)
            return 1
    print(json.dumps({"entries": seq, "kinds": sorted(kinds)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

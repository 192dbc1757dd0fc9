"""The table of values in the chart's README, made from values.yaml and the comments in it.

The comment right above a key is its description. A key whose value has described keys below it is no row.

    values_table.py            print the table
    values_table.py --check    exit 1 when README.md has another one
    values_table.py --write    put it into README.md
"""

import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parents[2] / "charts" / "vieter-builder"
BEGIN = re.compile(r"<!-- values: begin.*?-->\n", re.S)
END = "<!-- values: end -->"
KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):")


def described(text):
    """Yields (path, description) for each key, in order; the description of one without comment is empty."""
    comment, path = [], []
    for line in text.splitlines():
        if line.strip().startswith("#"):
            comment.append(line.strip()[1:].strip())
            continue
        key = KEY.match(line)
        if key:
            depth = len(key[1]) // 2
            path = path[:depth] + [key[2]]
            yield tuple(path), " ".join(comment)
        comment = []


def table(text):
    """The table in Markdown. Every leaf of values.yaml is in it, or has an ancestor that is."""
    values = yaml.safe_load(text)
    rows, missing, documented = [], [], set()
    for path, description in described(text):
        value = values
        for key in path:
            value = value[key]
        if any(path[:n] in documented for n in range(1, len(path))):
            continue
        if not description:
            if not (isinstance(value, dict) and value):
                missing.append(".".join(path))
            continue
        documented.add(path)
        default = "`" + json.dumps(value, ensure_ascii=False).replace("|", "\\|") + "`"
        rows.append(f"| `{'.'.join(path)}` | {default} | {description.replace('|', chr(92) + '|')} |")
    if missing:
        sys.exit(f"values.yaml: no comment above {', '.join(missing)}")
    return "\n".join(["| value | default | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def main():
    made = table((CHART / "values.yaml").read_text())
    readme = CHART / "README.md"
    old = readme.read_text()
    start = BEGIN.search(old).end()
    new = old[:start] + made + old[old.index(END) :]
    if "--write" in sys.argv:
        readme.write_text(new)
    elif "--check" in sys.argv:
        if new != old:
            sys.exit("README.md: the table is old; run tests/deploy/values_table.py --write")
    else:
        print(made, end="")


if __name__ == "__main__":
    main()

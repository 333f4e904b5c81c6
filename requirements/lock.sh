#!/bin/sh
# Makes the hashed requirement files anew from pyproject.toml; they name no package index.
set -eu
cd "$(dirname "$0")/.."
python - <<'P' >requirements/dev.in
import tomllib
with open("pyproject.toml", "rb") as file:
    groups = tomllib.load(file)["dependency-groups"]
print("# made by ./run lock from pyproject.toml: what runs the tests and the checks")
print("\n".join(groups["dev"]))
P
uv=$(command -v uv || echo .tools/bin/uv)
[ -x "$uv" ] || python -m pip install -q --target .tools uv
compile() {
  "$uv" pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-annotate --custom-compile-command "./run lock" "$@"
}
compile pyproject.toml requirements/dev.in -o requirements/dev.txt
compile pyproject.toml -o requirements/run.txt

"""The ways to run an agent: a table from name to `module:Class`, imported on first use."""

from importlib import import_module

from pipeline.backends.base import Backend

TABLE = {
    "command": "pipeline.backends.command:CommandBackend",
    "cassette": "pipeline.backends.cassette:CassetteBackend",
}


def load(name: str) -> Backend:
    """Return the back end of that name; flows are checked against `TABLE` before."""
    module, _, attribute = TABLE[name].partition(":")
    backend: Backend = getattr(import_module(module), attribute)()
    return backend

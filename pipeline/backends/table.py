"""The table of back ends, from name to `module:Class`; each is imported on first use."""

from importlib import import_module

from pipeline.backends.base import Backend

TABLE = {
    "claude-code": "pipeline.backends.claude_code:ClaudeCodeBackend",
    "command": "pipeline.backends.command:CommandBackend",
    "cassette": "pipeline.backends.cassette:CassetteBackend",
}


def load(name: str) -> Backend:
    """Return the back end of that name; flows are checked against `TABLE` before."""
    module, _, attribute = TABLE[name].partition(":")
    backend: Backend = getattr(import_module(module), attribute)()
    return backend

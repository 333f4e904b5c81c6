"""What is known beforehand of the tools that set workspaces up: their variables, and the files that decide."""

SETUP_ENV = (
    "HOME", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "PIP_*", "UV_*", "NPM_CONFIG_*", "npm_config_*", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    "XDG_CACHE_HOME", "GOPROXY", "GOFLAGS", "GOMODCACHE", "CARGO_HOME", "RUSTUP_HOME",
)  # fmt: skip
"""What set-up commands see of the environment unless the flow says otherwise: where to fetch from, and caches."""

SETUP_INPUTS = frozenset({
    "package.json", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", "yarn.lock",
    ".npmrc", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pyproject.toml", "setup.py", "setup.cfg",
    "go.mod", "go.sum", "Cargo.toml", "Cargo.lock",
})  # fmt: skip
"""Lock files and manifests: whatever of these a tree holds, in any folder, decides what its set-up makes."""

REQUIREMENTS = "requirements*.txt"
"""And whatever is called like this."""

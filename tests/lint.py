"""`./run lint`: format, lint, types, layers; every check is run, and the first failure decides the
exit status.
"""

import subprocess
import sys

CHECKS = (
    ("format", ["ruff", "format", "--check", "."]),
    ("lint", ["ruff", "check", "."]),
    ("types", ["mypy"]),
    ("layers", ["lint-imports", "--no-cache"]),
)


def main() -> int:
    """Run all checks, printing one line for each that is fine and the whole output of one that is
    not.
    """
    status = 0
    for name, command in CHECKS:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(
            f"{name:<8} {'ok' if done.returncode == 0 else 'FAILED: ' + ' '.join(command)}",
            flush=True,
        )
        if done.returncode:
            print(done.stdout + done.stderr)
            status = status or done.returncode
    return status


if __name__ == "__main__":
    sys.exit(main())

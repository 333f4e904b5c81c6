"""The user's repository: read by everything, written only by `adopt_branch`.

Git runs here with the person's own configuration (remotes, identity, safe.directory), so the caller
passes in the few variables of their environment that git needs for that.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pipeline.errors import UsageProblem
from pipeline.repo.git import Git, GitError

FALLBACK_AUTHOR = "idea-to-pr <idea-to-pr@localhost>"
_PASSED_VARIABLES = (
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_CONFIG_GLOBAL",
    "GNUPGHOME",
    "GPG_TTY",
    "DISPLAY",
    "USER",
    "LOGNAME",
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("GIT_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
_BRANCH_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/@+-]*")


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """What a run starts from: commit and branch; `notes` say what is not part of it."""

    commit: str
    branch: str
    notes: tuple[str, ...]


class UserRepo:
    """The repository of a person: where it is, and how it is configured."""

    def __init__(self, start: Path, environ: Mapping[str, str]) -> None:
        """Find the repository that contains `start`.

        Raises `UsageProblem` if there is none, or if it has no work tree.
        """
        env = {name: environ[name] for name in _PASSED_VARIABLES if name in environ}
        # Empty removes the variable: only without it git reads both ~/.gitconfig and
        # $XDG_CONFIG_HOME/git/config.
        env.setdefault("GIT_CONFIG_GLOBAL", "")
        # Credential helpers are often configured for the whole system.
        env["GIT_CONFIG_NOSYSTEM"] = "0"
        try:
            wanted = (
                "--show-toplevel",
                "--git-common-dir",
                "--show-object-format",
                "--git-path",
                "objects",
            )
            top, common_dir, object_format, objects = Git(start, env=env)(
                "rev-parse", "--path-format=absolute", *wanted
            ).splitlines()
        except GitError as exc:
            raise _no_repository(start, exc) from exc
        self.root = Path(top)
        self.git = Git(self.root, env=env)
        self.common_dir = Path(common_dir)
        self.objects = Path(objects)
        self.object_format = object_format

    def author(self) -> str:
        """Return `Name <mail>` as configured in git, or the pipeline's own if that is not set."""
        name, mail = self.config("user.name"), self.config("user.email")
        return f"{name} <{mail}>" if name and mail else FALLBACK_AUTHOR

    def config(self, key: str) -> str:
        """Return a git setting; empty if it is not set."""
        return self.git("config", "--get", key, ok=(0, 1))

    def filters(self) -> dict[str, str]:
        """Return the person's `filter.*` settings by name."""
        listed = self.git("config", "-z", "--get-regexp", r"^filter\.", ok=(0, 1))
        return dict(entry.split("\n", 1) for entry in listed.split("\0") if "\n" in entry)

    def lfs_storage(self) -> Path:
        """Return where Git LFS keeps its objects."""
        return self.common_dir / (self.config("lfs.storage") or "lfs")

    def remote(self) -> str:
        """Return the remote to publish to: `origin`, else the only one; empty if neither exists."""
        names = self.git("remote").split()
        if "origin" in names:
            return "origin"
        return names[0] if len(names) == 1 else ""

    def remote_url(self, remote: str) -> str:
        """Return the URL that pushes to a remote go to; empty without a remote."""
        return self.git("remote", "get-url", "--push", remote) if remote else ""

    def pin_base(self, wanted: str) -> Base:
        """Pin the base: `wanted`, else the remote's default branch, else the current branch.

        Raises `UsageProblem` if there is no commit yet, or no such branch.
        """
        if not self.git.succeeds("rev-parse", "--verify", "--quiet", "HEAD^{commit}"):
            raise UsageProblem(
                "the repository has no commit yet", 'Make one: git add -A && git commit -m "first"'
            )
        branch, commit = self._find_base(wanted)
        return Base(commit=commit, branch=branch, notes=tuple(self._notes(branch, commit)))

    def _find_base(self, wanted: str) -> tuple[str, str]:
        if wanted:
            if not _BRANCH_NAME.fullmatch(wanted):
                raise UsageProblem(
                    f"{wanted!r} is not a valid branch name", "Give one: --base-branch main"
                )
            for ref in (
                f"refs/heads/{wanted}",
                f"refs/remotes/{wanted}",
                f"refs/remotes/{self.remote()}/{wanted}",
            ):
                if commit := self._commit(ref):
                    return wanted.removeprefix(f"{self.remote()}/"), commit
            branches = self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
            raise UsageProblem(
                f"there is no branch {wanted!r}", "There are: " + ", ".join(branches[:10])
            )
        remote = self.remote()
        if remote:
            head = self.git("symbolic-ref", "--quiet", f"refs/remotes/{remote}/HEAD", ok=(0, 1))
            if head and (commit := self._commit(head)):
                return head.removeprefix(f"refs/remotes/{remote}/"), commit
        current = self.git("symbolic-ref", "--quiet", "--short", "HEAD", ok=(0, 1))
        return current or self._branch_of("HEAD"), self._commit("HEAD")

    def _branch_of(self, commit: str) -> str:
        """Return a branch that contains a detached HEAD: main, master or the only one."""
        branches = self.git(
            "for-each-ref", "--format=%(refname:lstrip=2)", f"--contains={commit}", "refs/heads"
        ).split()
        usual = [name for name in ("main", "master") if name in branches]
        if not usual and len(branches) != 1:
            existing = self.git(
                "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"
            ).split()
            raise UsageProblem(
                "HEAD is detached, and it is not clear which branch a pull request should go to",
                f"Name it: --base-branch {existing[0] if existing else 'main'}",
            )
        return (usual or branches)[0]

    def _commit(self, ref: str) -> str:
        return self.git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", ok=(0, 1))

    def _notes(self, branch: str, commit: str) -> list[str]:
        notes = []
        head = self._commit("HEAD")
        if head != commit:
            counts = self.git("rev-list", "--left-right", "--count", f"{head}...{commit}").split()
            ahead, behind = (int(count) for count in counts)
            notes.append(
                f"your checkout is {ahead} commit(s) ahead of {branch} and {behind} behind; "
                f"the run starts at {branch}"
            )
        status = self.git("status", "--porcelain", "--untracked-files=normal", "-z")
        changed = [line for line in status.split("\0") if line and not _is_record(line[3:])]
        if changed:
            notes.append(
                f"{len(changed)} uncommitted change(s) in your checkout are not part of this run"
            )
        return notes

    def require_branch_free(self, branch: str, then: str) -> None:
        """Raise `UsageProblem` if a branch blocks this name, as `feature` blocks `feature/x`.

        Git stores branches as files, and a name cannot be a file and a folder at once.
        """
        parts = branch.split("/")
        for folder in ("/".join(parts[:length]) for length in range(1, len(parts))):
            if self._commit(f"refs/heads/{folder}"):
                raise UsageProblem(
                    f"the branch {folder} is in the way: git cannot create {branch} beside it",
                    f"Rename it: git branch -m {folder} {folder}-old "
                    "(or name the branches of runs differently in agents/flow.yaml: "
                    f"publish: {{branch: 'run/{{feature}}-{{run_id}}'}})\n{then}",
                )

    def descends_from(self, later: str, commit: str) -> bool:
        """Return whether the history of `later` contains `commit`."""
        return self.git.succeeds("merge-base", "--is-ancestor", commit, later)

    def count_commits_on_top(self, remote: str, branch: str, commit: str) -> int:
        """Count the commits that a branch has on top of `commit`; 0 unless it descends from it.

        The branch is that of the remote or, without one, the local branch. Fetches commits that are
        missing here, and moves no ref.
        """
        ref = f"refs/heads/{branch}"
        tip = (
            self.git("ls-remote", remote, ref, ok=(0, 2, 128)).partition("\t")[0]
            if remote
            else self._commit(ref)
        )
        if not tip or tip == commit:
            return 0
        if not self._commit(tip):
            # An empty --refmap: otherwise git also moves refs/remotes/* as the person configured.
            options = (
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-auto-maintenance",
                "--refmap=",
            )
            self.git("fetch", *options, remote, ref)
        return (
            int(self.git("rev-list", "--count", f"{commit}..{tip}"))
            if self.descends_from(tip, commit)
            else 0
        )

    def adopt_branch(self, store: Path, branch: str, commit: str, run_id: str) -> None:
        """Create the run's branch in the repository, unless another branch is in the way."""
        tip = self._commit(f"refs/heads/{branch}")
        if tip == commit or (tip and self.descends_from(tip, commit)):
            return
        self.require_branch_free(branch, f"Then type: pipeline resume {run_id}")
        if tip:
            raise UsageProblem(
                f"the branch {branch} already exists, at another commit",
                f"Rename it: git branch -m {branch} {branch}-old; then: pipeline resume {run_id}",
            )
        options = ("--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--quiet")
        self.git("fetch", *options, str(store), f"{commit}:refs/heads/{branch}")


def _is_record(path: str) -> bool:
    return path.startswith(("docs/status/", "docs/plans/runs/", ".locks/", ".triggers/"))


def _no_repository(start: Path, exc: GitError) -> UsageProblem:
    if "dubious ownership" in exc.stderr:
        # Git names the folder itself (the top of the work tree), which `start` need not be.
        match = re.search(r"safe\.directory (.+)", exc.stderr)
        folder = match[1].strip() if match else str(start.absolute())
        return UsageProblem(
            f"git refuses {folder}: it belongs to another user",
            f"If you trust it: git config --global --add safe.directory {folder}",
        )
    if "this operation must be run in a work tree" in exc.stderr:
        return UsageProblem(f"{start} is a bare repository", "Change to a checkout of it")
    return UsageProblem(
        f"{start} is not in a git repository",
        'Change to one, or create one: git init && git add -A && git commit -m "first"',
    )

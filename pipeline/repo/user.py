"""The user's repository, which is only looked at.

`adopt_branch` is the one thing that writes to it.

Reads run with the user's own configuration (remotes, identity, safe.directory), so the caller hands
over the few variables of their environment that git needs for that.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pipeline.errors import UsageProblem
from pipeline.repo.git import Git, GitError

FALLBACK_AUTHOR = "idea-to-pr <idea-to-pr@localhost>"
_PASSED = (
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
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/@+-]*")


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """What a run starts from: commit, the branch it was found on, and what is left out of it."""

    commit: str
    branch: str
    notes: tuple[str, ...]


class UserRepo:
    """One repository of a person: where it is, what it says about itself."""

    def __init__(self, start: Path, environ: Mapping[str, str]) -> None:
        """Find the repository around `start`.

        Raises `UsageProblem` when there is none, or it has no work tree.
        """
        env = {name: environ[name] for name in _PASSED if name in environ}
        env.setdefault(
            "GIT_CONFIG_GLOBAL", ""
        )  # not set, so that git looks for both of the person's files
        env["GIT_CONFIG_NOSYSTEM"] = (
            "0"  # credential helpers often stand in the system's configuration
        )
        try:
            wanted = (
                "--show-toplevel",
                "--git-common-dir",
                "--show-object-format",
                "--git-path",
                "objects",
            )
            top, common, form, objects = Git(start, env=env)(
                "rev-parse", "--path-format=absolute", *wanted
            ).splitlines()
        except GitError as exc:
            raise _no_repository(start, exc) from exc
        self.root = Path(top)
        self.git = Git(self.root, env=env)
        self.common_dir = Path(common)
        self.objects = Path(objects)
        self.object_format = form

    def author(self) -> str:
        """Return `Name <mail>` as git would use it, or the pipeline's own when the person has set none."""
        name, mail = self.config("user.name"), self.config("user.email")
        return f"{name} <{mail}>" if name and mail else FALLBACK_AUTHOR

    def config(self, key: str) -> str:
        """Return one setting, or an empty text."""
        return self.git("config", "--get", key, ok=(0, 1))

    def filters(self) -> dict[str, str]:
        """Return the person's `filter.*` settings by name."""
        found = self.git("config", "-z", "--get-regexp", r"^filter\.", ok=(0, 1))
        return dict(entry.split("\n", 1) for entry in found.split("\0") if "\n" in entry)

    def lfs_storage(self) -> Path:
        """Say where Git LFS keeps its objects."""
        chosen = self.config("lfs.storage")
        return self.common_dir / (chosen or "lfs")

    def remote(self) -> str:
        """Return the remote to publish to: `origin`, else the only one, else an empty text."""
        names = self.git("remote").split()
        if "origin" in names:
            return "origin"
        return names[0] if len(names) == 1 else ""

    def remote_url(self, remote: str) -> str:
        """Return where pushes to a remote go."""
        return self.git("remote", "get-url", "--push", remote) if remote else ""

    def base(self, wanted: str) -> Base:
        """Pin the base: `wanted`, else the remote's HEAD branch, else the current branch.

        Raises `UsageProblem` when there is no commit, or no such branch.
        """
        if not self.git.works("rev-parse", "--verify", "--quiet", "HEAD^{commit}"):
            raise UsageProblem(
                "the repository has no commit yet", 'Make one: git add -A && git commit -m "first"'
            )
        branch, commit = self._find_base(wanted)
        return Base(commit=commit, branch=branch, notes=tuple(self._notes(branch, commit)))

    def _find_base(self, wanted: str) -> tuple[str, str]:
        if wanted:
            if not _NAME.fullmatch(wanted):
                raise UsageProblem(f"{wanted!r} cannot be a branch", "Name one: --base-branch main")
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
        """Name a branch that has a commit, for a detached HEAD.

        Main or master, else the only one.
        """
        found = self.git(
            "for-each-ref", "--format=%(refname:lstrip=2)", f"--contains={commit}", "refs/heads"
        ).split()
        usual = [name for name in ("main", "master") if name in found]
        if not usual and len(found) != 1:
            there = self.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split()
            raise UsageProblem(
                "HEAD is detached, and no branch says where a pull request of it goes",
                f"Name one: --base-branch {there[0] if there else 'main'}",
            )
        return (usual or found)[0]

    def _commit(self, ref: str) -> str:
        return self.git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", ok=(0, 1))

    def _notes(self, branch: str, commit: str) -> list[str]:
        notes = []
        head = self._commit("HEAD")
        if head != commit:
            counts = self.git("rev-list", "--left-right", "--count", f"{head}...{commit}").split()
            ahead, behind = (int(count) for count in counts)
            notes.append(
                f"your checkout is {ahead} commit(s) ahead of {branch} and {behind} behind; the run starts at {branch}"
            )
        status = self.git("status", "--porcelain", "--untracked-files=normal", "-z")
        changed = [line for line in status.split("\0") if line and not _is_record(line[3:])]
        if changed:
            notes.append(
                f"{len(changed)} uncommitted change(s) in your checkout are not part of this run"
            )
        return notes

    def require_free(self, branch: str, then: str) -> None:
        """Raise `UsageProblem` when a branch has a name that is a folder of this one (`feature` for `feature/x`)."""
        parts = branch.split("/")
        for folder in ("/".join(parts[:length]) for length in range(1, len(parts))):
            if self._commit(f"refs/heads/{folder}"):
                raise UsageProblem(
                    f"the branch {folder} is in the way: git cannot have {branch} beside it",
                    f"Rename it: git branch -m {folder} {folder}-old (or name runs otherwise in agents/flow.yaml: "
                    f"publish: {{branch: 'run/{{feature}}-{{run_id}}'}})\n{then}",
                )

    def is_on_top(self, later: str, commit: str) -> bool:
        """Tell whether a commit has another one in its history."""
        return self.git.works("merge-base", "--is-ancestor", commit, later)

    def more_on(self, remote: str, branch: str, commit: str) -> int:
        """Count the commits that a branch has on top of one.

        0 when it is not built on it, or not there.

        Without a remote the branch here is meant. Fetches what is not known here; moves no ref.
        """
        ref = f"refs/heads/{branch}"
        there = (
            self.git("ls-remote", remote, ref, ok=(0, 2, 128)).partition("\t")[0]
            if remote
            else self._commit(ref)
        )
        if not there or there == commit:
            return 0
        if not self._commit(there):
            options = (
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-auto-maintenance",
                "--refmap=",
            )
            self.git("fetch", *options, remote, ref)
        return (
            int(self.git("rev-list", "--count", f"{commit}..{there}"))
            if self.is_on_top(there, commit)
            else 0
        )

    def adopt_branch(self, store: Path, branch: str, commit: str, run_id: str) -> None:
        """Bring the run's branch into the repository, if nothing of that name is in the way."""
        found = self._commit(f"refs/heads/{branch}")
        if found == commit or (found and self.is_on_top(found, commit)):
            return
        self.require_free(branch, f"Then type: pipeline resume {run_id}")
        if found:
            raise UsageProblem(
                f"the branch {branch} is in the repository already, at another commit",
                f"Rename it: git branch -m {branch} {branch}-old; then: pipeline resume {run_id}",
            )
        options = ("--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--quiet")
        self.git("fetch", *options, str(store), f"{commit}:refs/heads/{branch}")


def _is_record(path: str) -> bool:
    return path.startswith(("docs/status/", "docs/plans/runs/", ".locks/", ".triggers/"))


def _no_repository(start: Path, exc: GitError) -> UsageProblem:
    if "dubious ownership" in exc.stderr:
        told = re.search(r"safe\.directory (.+)", exc.stderr)
        folder = told[1].strip() if told else str(start.absolute())
        return UsageProblem(
            f"git refuses {folder}: it belongs to another user",
            f"If you trust it: git config --global --add safe.directory {folder}",
        )
    if "this operation must be run in a work tree" in exc.stderr:
        return UsageProblem(f"{start} is a bare repository", "Go to a checkout of it")
    return UsageProblem(
        f"{start} is not in a git repository",
        'Go to one, or make one: git init && git add -A && git commit -m "first"',
    )

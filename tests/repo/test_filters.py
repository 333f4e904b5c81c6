"""Files with a clean filter: stored as the filter cleans them, and otherwise as they are."""

import pytest

from pipeline.core.violations import ViolationKind
from pipeline.repo.store import Store
from tests.helpers.checkouts import Checkout, sh

ATTRIBUTES = "*.nb filter=tidy\n"
RULES = {"filter.tidy.clean": "sed s/SECRET/public/"}


@pytest.fixture
def made(tmp_path):
    """A checkout with a filtered file, and a store that knows the person's filter."""
    checkout = Checkout(tmp_path, {".gitattributes": ATTRIBUTES, "a.nb": "old\n"})
    checkout.store = Store(checkout.store.folder, checkout.user.objects, filters=lambda: RULES)
    return checkout


def prepared(checkout):
    workspace = checkout.workspace()
    workspace.prepare(checkout.head, checkout.tree)
    return workspace


def entry(checkout, tree, path):
    """Mode and content of a file in a tree."""
    mode = sh(checkout.root, "git", f"--git-dir={checkout.store.folder}", "ls-tree", tree, path)
    return mode.split(" ")[0], (checkout.store.read(tree, path) or b"").decode()


def test_a_changed_file_is_stored_as_its_filter_cleans_it(made):
    workspace = prepared(made)
    (workspace.folder / "a.nb").write_text("SECRET\n")
    harvest = workspace.harvest(("**",), made.tree)
    assert entry(made, harvest.tree, "a.nb") == ("100644", "public\n")


@pytest.mark.parametrize("name", ["a.nb", "new.nb"])
def test_a_file_with_a_filter_keeps_its_executable_bit(made, name):
    workspace = prepared(made)
    (workspace.folder / name).write_text("SECRET\n")
    (workspace.folder / name).chmod(0o755)
    harvest = workspace.harvest(("**",), made.tree)
    assert entry(made, harvest.tree, name) == ("100755", "public\n")


def test_a_file_that_was_only_made_executable_is_a_change(made):
    workspace = prepared(made)
    (workspace.folder / "a.nb").chmod(0o755)
    harvest = workspace.harvest(("**",), made.tree)
    assert [change.path for change in harvest.changes] == ["a.nb"]
    assert entry(made, harvest.tree, "a.nb") == ("100755", "old\n")


@pytest.mark.parametrize(
    ("command", "says"), [("false", "tidy"), ("", "is not set up in your git configuration")]
)
def test_what_its_filter_cannot_store_is_refused_and_not_stored_as_it_is(made, command, says):
    rules = {"filter.tidy.clean": command} if command else {}
    made.store = Store(made.store.folder, made.user.objects, filters=lambda: rules)
    workspace = prepared(made)
    (workspace.folder / "a.nb").write_text("SECRET\n")
    harvest = workspace.harvest(("**",), made.tree)
    (one,) = harvest.violations
    assert one.kind is ViolationKind.FILTER_FAILED
    assert says in one.detail
    assert entry(made, harvest.tree, "a.nb") == ("100644", "old\n")


def test_a_filter_that_the_agent_gave_a_file_does_not_run(made):
    workspace = prepared(made)
    (workspace.folder / ".gitattributes").write_text(ATTRIBUTES + "*.py filter=tidy\n")
    (workspace.folder / "b.py").write_text("SECRET\n")
    harvest = workspace.harvest(("**",), made.tree)
    assert entry(made, harvest.tree, "b.py") == ("100644", "SECRET\n")

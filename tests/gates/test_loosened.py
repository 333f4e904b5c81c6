"""Which changes of settings look at less than before, and which new files of settings hide old ones."""

import pytest

from pipeline.gates.settings import loosened
from pipeline.gates.settings_files import put_before

MYPY = '[tool.mypy]\nstrict = true\n[[tool.mypy.overrides]]\nmodule = "app.old"\n'
ESLINT = '{"rules": {"eqeqeq": "%s", "max-len": ["%s", 100]}}'
CARGO = '[package]\nname = "app"\n[lints.rust]\nunsafe_code = "%s"\n'
TSCONFIG = '{\n  // why\n  "compilerOptions": {"strict": %s, "paths": {"@/*": ["src/*"]},},\n}\n'
WARNINGS = '[tool.pytest.ini_options]\nfilterwarnings = ["%s"]\n'


def said(path: str, before: str, after: str) -> str:
    return "\n".join(loosened({path: (before, after)}, lambda _: False))


@pytest.mark.parametrize(
    ("path", "before", "after", "part"),
    [
        (
            "pyproject.toml",
            MYPY,
            MYPY + "ignore_errors = true\n",
            "[app.old].ignore_errors is True",
        ),
        ("pyproject.toml", "", "[tool.mypy]\nignore_errors = true\n", "ignore_errors is True now"),
        ("pyproject.toml", WARNINGS % "error", WARNINGS % "default", "error is gone"),
        ("pyproject.toml", WARNINGS % "error", "", "error is gone"),
        ("pytest.ini", "[pytest]\n", "[pytest]\nfilterwarnings = ignore\n", "leaves out more"),
        (".flake8", "[flake8]\nmax-complexity = 5\n", "[flake8]\n", "was removed"),
        ("Cargo.toml", CARGO % "deny", CARGO % "allow", "was deny and is allow now"),
        ("Cargo.toml", CARGO % "forbid", CARGO % "warn", "was forbid and is warn now"),
        (".eslintrc.json", ESLINT % ("error", "error"), ESLINT % ("off", "error"), "rules.eqeqeq"),
        (
            ".eslintrc.json",
            ESLINT % ("error", "error"),
            ESLINT % ("error", "warn"),
            "rules.max-len",
        ),
        (".eslintrc.json", "{}", ESLINT % ("error", "off"), "was not set"),
        ("tsconfig.json", TSCONFIG % "true", TSCONFIG % "false", "strict is False now"),
        ("tsconfig.json", TSCONFIG % "true", "{", "cannot be read any more"),
    ],
)
def test_a_setting_that_looks_at_less_is_found(path, before, after, part):
    assert part in said(path, before, after)


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("Cargo.toml", CARGO % "allow", CARGO % "deny"),
        ("Cargo.toml", CARGO % "allow", '[package]\nname = "app"\n'),
        (".eslintrc.json", ESLINT % ("off", "warn"), ESLINT % ("error", "error")),
        ("tsconfig.json", TSCONFIG % "true", TSCONFIG.replace("why", "because") % "true"),
        ("pyproject.toml", MYPY, MYPY + "ignore_missing_imports = true\n"),
        ("pyproject.toml", '[project.scripts]\nrun = "a:b"\n', '[project.scripts]\ngo = "a:b"\n'),
        ("pyproject.toml", "", "[tool.coverage.report]\nskip_empty = true\n"),
        ("pyproject.toml", WARNINGS % "default", WARNINGS % "error"),
        ("tsconfig.json", "{}", '{"compilerOptions": {"allowJs": true}}'),
    ],
)
def test_a_setting_that_looks_at_as_much_is_none(path, before, after):
    assert said(path, before, after) == ""


@pytest.mark.parametrize(
    ("path", "is_found"),
    [
        ("src/ruff.toml", True),
        ("src/rustfmt.toml", True),
        ("src/.eslintrc", True),
        ("src/mypy.ini", True),
        ("src/.coveragerc", True),
        ("src/.flake8", True),
        ("web/pyproject.toml", True),
        ("ruff.toml", True),
        ("pytest.ini", False),
        ("web/package.json", False),
        ("web/tsconfig.json", False),
    ],
)
def test_a_new_file_of_settings_that_takes_the_place_of_others_is_found(path, is_found):
    files = dict.fromkeys(("pyproject.toml", "web/pyproject.toml"), "[tool.ruff]\npreview = true\n")
    found = list(put_before([path], lambda name: files.get(name, ""), lambda _: False))
    assert bool(found) is is_found
    assert list(put_before([path], lambda name: files.get(name, ""), lambda _: True)) == []

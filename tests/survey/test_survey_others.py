"""What the survey finds of JavaScript, Go, Rust and everything else, and how targets are kept
apart.
"""

import json

import pytest

from pipeline.survey import javascript_setup
from tests.helpers.looks import PYTHON, Tree

SOURCE = {"src/one.js": "", "test/one.test.js": ""}


def package(name="thing", test="", **more):
    return json.dumps({"name": name, "scripts": {"test": test} if test else {}, **more})


@pytest.mark.parametrize(
    ("script", "command"),
    [
        ("vitest", "vitest run"),
        ("vitest --config unit.config.ts --coverage", "vitest run --config unit.config.ts"),
        ("tsc --noEmit && jest --coverage --runInBand", "jest --runInBand"),
        (
            "NODE_OPTIONS=--experimental-vm-modules jest",
            "env NODE_OPTIONS=--experimental-vm-modules jest",
        ),
        ("cross-env CI=1 node --test test/", "env CI=1 node --test test/"),
        (
            "nyc mocha -R dot test/**",
            "mocha test/** --reporter xunit --reporter-option output={report}",
        ),
        ("npm run unit", "jest"),
        ("npm run lint && npm run unit", "jest"),
        ("node --test --import tsx test && echo done", "node --test --import tsx test"),
        ('jest -t "this & that" --bail', "jest"),
        ('jest -t "this one" --ci', "jest -t 'this one'"),
        ("jest --bail 2 --runInBand", "jest --runInBand"),
        ("vitest run --bail=1 --dir b", "vitest run --dir b"),
        (
            "mocha -b --check-leaks test --bail",
            "mocha --check-leaks test --reporter xunit --reporter-option output={report}",
        ),
        ("jest --coverage --coverageDirectory reports", "jest"),
        ("jest --coverageReporters text lcov --runInBand", "jest --runInBand"),
        ("vitest run --coverage --coverage.reporter text --dir src", "vitest run --dir src"),
        (
            'mocha --import=tsx "test/**/*.spec.ts"',
            (
                "mocha --import=tsx test/**/*.spec.ts --reporter xunit --reporter-option "
                "output={report}"
            ),
        ),
    ],
)
def test_a_script_is_read_for_its_runner(tmp_path, script, command):
    text = json.dumps({"name": "thing", "scripts": {"test": script, "unit": "jest"}})
    tree = Tree(tmp_path, {"package.json": text, **SOURCE})
    assert (tree.part.command, tree.part.exit_code_only) == (command, False)
    tree.flow()


@pytest.mark.parametrize(
    "script", ["ts-mocha -p tsconfig.json test/*.ts", "tsc && node --test dist/test/"]
)
def test_what_needs_a_build_or_another_program_counts_by_its_exit_status(tmp_path, script):
    tree = Tree(tmp_path, {"package.json": package(test=script), **SOURCE})
    assert (tree.part.command, tree.part.exit_code_only) == ("npm test --silent", True)


def test_files_that_package_json_names_are_source(tmp_path):
    more = {
        "main": "./index.js",
        "bin": {"thing": "cli.js"},
        "exports": {".": {"import": "./index.js"}},
    }
    files = {
        "package.json": package(test="jest", **more),
        "index.js": "",
        "cli.js": "",
        "other.js": "",
        **SOURCE,
    }
    assert Tree(tmp_path, files).part.source == ("src/**", "cli.js", "index.js", "package.json")


def test_a_runner_that_is_not_known_counts_by_its_exit_status(tmp_path):
    tree = Tree(
        tmp_path, {"package.json": package(test="xo && ava"), "pnpm-lock.yaml": "", **SOURCE}
    )
    assert (tree.part.command, tree.part.exit_code_only) == ("pnpm test", True)
    assert "report: exit-code" in tree.flow()


@pytest.mark.parametrize(
    ("lock", "text", "command"),
    [
        ("package-lock.json", "{}", "npm ci --no-audit --no-fund"),
        ("pnpm-lock.yaml", "", "pnpm install --frozen-lockfile"),
        ("yarn.lock", "# yarn lockfile v1\n", "yarn install --frozen-lockfile"),
        ("yarn.lock", "__metadata:\n", "yarn install --immutable"),
        ("README.md", "", "npm install --no-audit --no-fund --no-package-lock"),
    ],
    ids=["npm", "pnpm", "yarn 1", "yarn berry", "no lock file"],
)
def test_the_lock_file_says_what_brings_the_dependencies(tmp_path, lock, text, command):
    files = {
        "package.json": package(test="jest", devDependencies={"jest": "30"}),
        lock: text,
        **SOURCE,
    }
    assert Tree(tmp_path, files).part.setup == (command,)


def test_programs_are_reached_by_way_of_yarn_where_it_keeps_packages_to_itself(tmp_path):
    for number, (script, command) in enumerate(
        [("node --test", "yarn node --test"), ("jest", "yarn jest")]
    ):
        files = {"package.json": package(test=script), "yarn.lock": "__metadata:\n", **SOURCE}
        tree = Tree(tmp_path / str(number), files)
        assert (tree.part.command, tree.part.exit_code_only) == (command, False)
        tree.flow()


def test_prettier_is_kept_from_agents_once(tmp_path):
    files = {"package.json": package(test="jest"), ".prettierrc": "{}", **SOURCE}
    added = javascript_setup.additions(Tree(tmp_path, files).repo)
    assert [(one.path, one.text) for one in added] == [(".prettierignore", "/agents/\n")]
    assert (
        javascript_setup.additions(Tree(tmp_path, {**files, ".prettierignore": "/agents/\n"}).repo)
        == []
    )
    assert (
        javascript_setup.additions(Tree(tmp_path, {"package.json": package(), **SOURCE}).repo) == []
    )


def test_packages_of_a_workspace_are_targets_that_build_on_each_other(tmp_path):
    files = {
        "package.json": package("root", "npm test -ws", workspaces=["packages/*"]),
        "packages/a/package.json": package("@acme/x.y", "vitest run"),
        "packages/a/src/a.ts": "", "packages/a/src/a.test.ts": "",
        "packages/b/package.json": package("@acme/b", "vitest run", dependencies={"@acme/x.y": "workspace:*"}),
        "packages/b/src/b.ts": "", "packages/b/test/b.test.ts": "",
        "examples/x/package.json": package("ex", "vitest"), "examples/x/test/x.js": "",
    }  # fmt: skip
    tree = Tree(tmp_path, files)
    assert tree.names == ["x-y", "b"]
    assert [part.depends for part in tree.parts] == [(), ("x-y",)]
    tree.flow()


@pytest.mark.parametrize(
    "text",
    [
        '{"name": ',
        '{"scripts": null, "devDependencies": ["a"]}',
        '{"scripts": "x", "name": 3}',
        "[" * 3000,
    ],
)
def test_a_package_json_that_says_nonsense_does_not_stop_the_survey(tmp_path, text):
    assert Tree(tmp_path, {"package.json": text, **SOURCE}).parts == []


def test_tests_of_one_target_are_not_source_of_another(tmp_path):
    files = {
        **PYTHON,
        "package.json": package("web", "vitest"),
        "src/web.ts": "",
        "src/web.test.ts": "",
    }
    tree = Tree(tmp_path, files)
    assert [part.exclude for part in tree.parts] == [("**/*.test.*",), ()]
    tree.flow()


def test_go_modules_leave_each_other_alone(tmp_path):
    files = {f"{at}{name}": "" for at in ("", "tools/") for name in ("go.mod", "x.go", "x_test.go")}
    tree = Tree(tmp_path, files)
    assert [(part.folder, part.exclude) for part in tree.parts] == [
        ("", ("tools/**",)),
        ("tools", ()),
    ]
    tree.flow()


def test_go_modules_build_on_each_other(tmp_path):
    uses = (
        "module acme.org/app\n\nrequire (\n\tacme.org/lib v0.0.0 // indirect\n)\nreplace "
        "acme.org/lib => ../lib\n"
    )
    files = {"lib/go.mod": "module acme.org/lib\n", "app/go.mod": uses}
    files |= {f"{at}/{name}": "" for at in ("lib", "app") for name in ("x.go", "x_test.go")}
    tree = Tree(tmp_path, files)
    assert {part.name: part.depends for part in tree.parts} == {"lib": (), "app": ("lib",)}
    tree.flow()


def test_a_part_without_tests_beside_one_with_tests_is_left_out_and_said(tmp_path):
    tree = Tree(
        tmp_path, {"go.mod": "", "x.go": "", "x_test.go": "", "tools/go.mod": "", "tools/t.go": ""}
    )
    assert tree.names == ["repo"]
    assert [(fact.what, fact.value) for fact in tree.facts] == [("left out", "tools")]


def test_crates_of_a_workspace_are_targets_that_build_on_each_other(tmp_path):
    test = "#[test]\nfn t() {}\n"
    files = {
        "Cargo.toml": '[workspace]\nmembers = ["crates/*"]\n',
        "crates/a/Cargo.toml": '[package]\nname = "a"\n', "crates/a/src/lib.rs": test,
        "crates/b/Cargo.toml": '[package]\nname = "b"\n[dependencies]\na = { path = "../a" }\n',
        "crates/b/src/lib.rs": test,
    }  # fmt: skip
    tree = Tree(tmp_path, files)
    assert [(part.name, part.depends, part.setup) for part in tree.parts] == [
        ("a", (), ("cargo fetch",)),
        ("b", ("a",), ("cargo fetch",)),
    ]
    tree.flow()


def test_a_makefile_with_a_test_target_will_do(tmp_path):
    tree = Tree(tmp_path, {"Makefile": "test: all\n\tsh t/run.sh\n", "a.c": "", "t/run.sh": ""})
    assert (tree.part.source, tree.part.tests) == (("*.c", "Makefile"), ("t/**",))
    tree.flow()


def test_a_makefile_may_name_test_among_others_and_a_script_may_have_no_ending(tmp_path):
    files = {
        "Makefile": "check test: all\n\tsh t/run.sh\n",
        "greet": "#!/bin/sh\n",
        "LICENSE": "",
        "t/run.sh": "",
    }
    assert Tree(tmp_path, files).part.source == ("greet", "Makefile")
    assert Tree(tmp_path / "other", {"Makefile": "test := x\n", "a.c": ""}).parts == []


def test_source_of_a_crate_is_what_it_names(tmp_path):
    manifest = (
        '[package]\nname = "a"\n[lib]\npath = "lib/a.rs"\n[[bin]]\nname = "b"\npath = "tool/b.rs"\n'
    )
    files = {
        "Cargo.toml": manifest,
        "lib/a.rs": "",
        "tool/b.rs": "",
        "build.rs": "",
        "tests/t.rs": "#[test]",
    }
    tree = Tree(tmp_path, files, "cargo-clippy rustfmt")
    assert tree.part.source == ("lib/**", "tool/**", "build.rs", "Cargo.toml", "Cargo.lock")
    assert (tree.part.checks, tree.part.format) == (
        ("cargo clippy --quiet -- -D warnings",),
        ("cargo fmt",),
    )


def test_patterns_that_match_nothing_are_not_written(tmp_path):
    part = Tree(tmp_path, {"Gemfile": "", "lib/a.rb": "", "spec/spec_helper.rb": ""}).part
    assert (part.command, part.source, part.tests) == (
        "bundle exec rspec",
        ("lib/**", "Gemfile"),
        ("spec/**",),
    )


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("@scope/x.y", "x-y"),
        ("1abc", "part-1abc"),
        ("Größe Ding", "grosse-ding"),
        ("日本", "part"),
        ("null", "null"),
    ],
)
def test_a_name_that_is_none_becomes_one(tmp_path, name, wanted):
    tree = Tree(tmp_path, {"package.json": package(name, "node --test"), **SOURCE})
    assert tree.names == [wanted]
    tree.flow()


def test_two_projects_of_one_name_are_told_apart_by_their_folders(tmp_path):
    files = {
        f"libs/{folder}/{name}": text for folder in ("a", "b") for name, text in PYTHON.items()
    }
    assert Tree(tmp_path, files).names == ["thing", "b"]


def test_many_packages_are_surveyed_in_no_time(tmp_path):
    names = [f"packages/p{number}" for number in range(60)]
    files = {f"{name}/{path}": "" for name in names for path in SOURCE}
    files |= {f"{name}/package.json": package(name, "vitest") for name in names}
    tree = Tree(tmp_path, files)
    assert len(tree.parts) == 60
    assert {part.exclude for part in tree.parts} == {()}

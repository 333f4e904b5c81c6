"""Reading and checking `flow.yaml`: every error with its place, its hint, and all of them at once.

In the texts `§` stands before the place that an error must point at.
"""

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageProblem
from pipeline.language.compiler import compile_plan
from pipeline.language.flow import Flow, LockScope
from pipeline.language.flow_check import check
from pipeline.language.flow_file import parse, parse_duration
from pipeline.language.flow_yaml import DEPTH_MAX, NODES_MAX, SIZE_MAX_BYTES

HEAD = """\
version: 1
targets: [{name: app, source: [src/**, setup.py], tests: [tests/**], test: pytest}]
agents: {developer: {prompt: developer.md}}
locks: {src_writer: {paths: "{{ source }}"}, tests_writer: {paths: "{{ tests }}"}, publisher: {scope: repo}}
"""
SHIPPED = Path("agents/flow.yaml").read_text(encoding="utf-8")
ERROR = re.compile(
    r"^error\[(?P<code>F\d+)\]: (?P<message>.*)\n +--> flow.yaml:(?P<line>\d+):(?P<column>\d+)(?P<rest>(?:\n.+)*)",
    re.MULTILINE,
)


class Reported(msgspec.Struct, frozen=True):
    """One error, taken from the text that a person sees."""

    code: str
    place: tuple[int, int]
    message: str
    help: str


def flow(stages: str, *, head: str = HEAD) -> str:
    return (
        head
        + "workflows:\n  main:\n    stages:\n"
        + textwrap.indent(textwrap.dedent(stages).strip("\n"), " " * 6)
        + "\n"
    )


def load(text: str) -> Flow:
    loaded, source = parse(text, "flow.yaml", {"builtin/idea_to_feature@1": SHIPPED})
    check(loaded, source, prompts=["developer.md"], backends=["command", "cassette"])
    source.raise_errors()
    return loaded


def errors_of(text: str) -> list[Reported]:
    """Load a text that must be refused; return what a person sees, in that order."""
    with pytest.raises(UsageProblem) as caught:
        load(text)
    shown = caught.value.what
    errors = [
        Reported(
            match["code"],
            (int(match["line"]), int(match["column"])),
            match["message"],
            _help(match["rest"]),
        )
        for match in ERROR.finditer(shown)
    ]
    assert (
        f"\n{len(errors)} error{'s' * (len(errors) != 1)} in flow.yaml; nothing was started.\n"
        in shown
    )
    return errors


def _help(rest: str) -> str:
    return rest.partition("\nhelp: ")[2]


def points_at(marked: str, *codes: str) -> Sequence[Reported]:
    """Take the `§` out, load, and hold every error against its mark, one code for each."""
    places = [
        (number, len(line[: match.start()].replace("§", "")) + 1)
        for number, line in enumerate(marked.splitlines(), 1)
        for match in re.finditer("§", line)
    ]
    errors = errors_of(marked.replace("§", ""))
    assert [(one.code, one.place) for one in errors] == list(zip(codes, places, strict=True))
    return errors


# What is fine.


def test_a_sound_flow_is_read() -> None:
    loaded = load(flow("a: {agent: developer, lock: src_writer, timeout: 90s, gates: green}"))
    stage = loaded.workflows["main"].stages["a"]
    assert (stage.agent, stage.lock, stage.timeout_s, stage.gates) == (
        "developer",
        ("src_writer",),
        90.0,
        ("green",),
    )
    assert loaded.locks["publisher"].scope is LockScope.REPO


def test_one_value_stands_for_a_list_and_a_bare_word_for_its_mapping() -> None:
    loaded = load(flow("a: {run: make, writes: doc/**, outputs: {plan: plan.md}}"))
    stage = loaded.workflows["main"].stages["a"]
    assert (stage.writes, stage.outputs["plan"].file) == (("doc/**",), "plan.md")
    assert loaded.targets[0].test.command == "pytest"


@pytest.mark.parametrize(
    "word", ["on", "no", "yes", "off", "12:30", "0o17", "2026-01-02", "1_000", "0x1F", ".inf"]
)
def test_words_of_yaml_1_1_stay_text(word: str) -> None:
    loaded = load(flow(f"a: {{run: x, env: {{A: {word}}}}}"))
    assert loaded.workflows["main"].stages["a"].env == {"A": word}


def test_words_like_on_and_no_are_keys_like_others() -> None:
    loaded = load(flow("on: {run: x}\nno: {run: x, needs: on}"))
    assert list(loaded.workflows["main"].stages) == ["on", "no"]


def test_quotes_make_text_of_anything() -> None:
    loaded = load(flow("""a: {run: x, env: {A: "1", B: 'true', C: "null"}}"""))
    assert loaded.workflows["main"].stages["a"].env == {"A": "1", "B": "true", "C": "null"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("30m", 1800.0),
        ("1.5h", 5400.0),
        ("250ms", 0.25),
        ("7d", 604800.0),
        ("0s", 0.0),
    ],
)
def test_times_have_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "m", "30 m", "-1s", "1h30m", "1e3s", "30M", ".5s", "1.s"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert parse_duration(text) is None


def test_the_names_of_the_targets_stand_for_their_paths() -> None:
    plan = compile_plan(
        load(flow("a: {run: x, lock: src_writer, writes: ['{{tests}}', doc/**]}")), "main"
    )
    assert plan.nodes["a"].writes == ("src/**", "setup.py", "tests/**", "doc/**")


# F101-F103: the text.


def test_what_is_not_yaml_is_reported_where() -> None:
    (one,) = points_at(HEAD + "workflows:\n§\tmain: {}\n", "F101")
    assert one.message.startswith("not YAML: ")


@pytest.mark.parametrize("text", ["", "# nothing but a remark\n"])
def test_an_empty_file_is_reported_so(text: str) -> None:
    (one,) = errors_of(text)
    assert (one.code, one.place, one.message) == ("F101", (1, 1), "the file is empty")


def test_a_letter_that_yaml_forbids_is_reported_where() -> None:
    (one,) = points_at("version: 1\ntargets: größer §\x07\n", "F101")
    assert "\n" not in one.message


def test_half_a_letter_is_refused_like_any_other_fault() -> None:
    (one,) = errors_of("version: '\ud800'\n")
    assert one.code == "F101"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a: §&anchor {run: x}", "anchors"),
        ("a: §*anchor", "anchors"),
        ("a: §!!map {run: x}", "tag"),
        ("a: {run: §!secret x}", "tag"),
        ("a: {§<<: {run: x}, run: y}", "merge keys"),
        ("a: {run: x}\n§---\nb: {run: x}", "second document"),
    ],
)
def test_parts_of_yaml_that_the_language_does_not_have_are_refused(text: str, word: str) -> None:
    (one,) = points_at(flow(text) if "---" not in text else text, "F102")
    assert word in one.message


def test_two_hundred_thousand_open_brackets_are_refused_with_one_sentence() -> None:
    (one,) = errors_of("[" * 200_000)
    assert (one.code, one.message) == ("F103", f"nested deeper than {DEPTH_MAX} levels")


def test_two_hundred_thousand_open_braces_are_refused_with_one_sentence() -> None:
    (one,) = errors_of("{a: " * 60_000)
    assert (one.code, one.message) == ("F103", f"nested deeper than {DEPTH_MAX} levels")


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    bomb = 'a0: &a0 ["lol"]\n' + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
    )
    one, *_ = errors_of(bomb)
    assert (one.code, one.place) == ("F102", (1, 5))


def test_a_merge_bomb_is_refused_at_its_first_anchor() -> None:
    one, *_ = errors_of("a: &a {b: 1}\nc: {<<: [*a, *a, *a]}\n")
    assert (one.code, one.place) == ("F102", (1, 4))


def test_ten_megabytes_are_refused_before_they_are_parsed() -> None:
    (one,) = errors_of("# " + "x" * 10_000_000)
    assert (one.code, one.message) == ("F103", f"larger than {SIZE_MAX_BYTES // 1024} KiB")


def test_too_many_values_are_refused() -> None:
    (one,) = errors_of("[" + "1, " * (NODES_MAX + 1) + "]")
    assert (one.code, one.message) == ("F103", f"more than {NODES_MAX} values")


# F110-F114: the shape.


def test_an_unknown_key_is_reported_with_the_nearest_one() -> None:
    (one,) = points_at(flow("a: {run: x, §neds: [b]}"), "F110")
    assert one.message == "unknown key 'neds' in workflows.main.stages.a"
    assert one.help == "did you mean 'needs'?"


def test_an_unknown_key_that_is_like_no_other_is_reported_with_those_there_are() -> None:
    (one,) = points_at("§zzz: 1\n" + flow("a: {run: x}"), "F110")
    assert (
        one.help
        == "known: agents, defaults, extends, limits, locks, records, targets, triggers, version, workflows, workspace"
    )


def test_a_missing_key_is_reported_with_what_to_add() -> None:
    (one,) = points_at(
        flow("a: {run: x}", head=HEAD.replace("{prompt: developer.md}", "§{model: opus}")), "F111"
    )
    assert one.message == "agents.developer has no key 'prompt'"
    assert one.help == "add prompt: ..."


@pytest.mark.parametrize(
    ("stage", "wanted"),
    [
        ("{run: x, timeout: §30}", "a time like 90s, 30m or 2h, not 30"),
        ("{run: x, timeout: §0s}", "a time like 90s, 30m or 2h, not '0s'"),
        ("{run: x, retry: {max: §two}}", "a whole number, not 'two'"),
        ("{run: x, retry: {max: §1.5}}", "a whole number, not 1.5"),
        ("{run: x, retry: {max: §true}}", "a whole number, not True"),
        ("{run: x, retry: §[1]}", "a mapping, not a list"),
        ("{run: §{a: b}}", "text, not a mapping"),
        ("{run: §7}", 'text (put it in quotes: "..."), not 7'),
        ("{run: §true}", "text, not True"),
        ("{publish: {draft: §maybe}}", "true or false, not 'maybe'"),
        ("{run: x, env: §[A]}", "a mapping of names, not a list"),
        ("{run: x, needs: §~}", "text, not empty"),
    ],
)
def test_a_wrong_type_is_reported_with_what_it_must_be(stage: str, wanted: str) -> None:
    (one,) = points_at(flow(f"a: {stage}"), "F112")
    assert one.message.endswith(f" must be {wanted}")


def test_a_key_that_is_no_word_is_refused() -> None:
    (one,) = points_at(flow("? §[a, b]\n: {run: x}"), "F112")
    assert one.message == "a key must be plain text"


def test_a_file_that_is_no_mapping_is_refused() -> None:
    (one,) = points_at("§- version: 1\n", "F112")
    assert one.message == "the file must be a mapping, not a list"


def test_a_key_that_stands_twice_is_reported_with_the_first_line() -> None:
    (one,) = points_at(flow("a: {run: x}\nb: {run: x}\n§a: {run: y}"), "F113")
    assert one.message == "duplicate key 'a'"
    assert one.help == "the first one is on line 8; keep one of them"


def test_a_word_that_is_not_known_is_reported_with_the_nearest_one() -> None:
    (one,) = points_at(flow("a: {run: x, gates: [green, §gren]}"), "F114")
    assert (one.message, one.help) == ("'gren' is not an allowed value", "did you mean 'green'?")


@pytest.mark.parametrize("name", ["1a", "a b", "a.b", "a/b", "ä", "-a", "x" * 49])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    (one,) = points_at(flow(f"§{name}: {{run: x}}"), "F114")
    assert one.help == "a letter, then letters, digits, - and _; at most 48 characters"


def test_a_value_that_must_be_a_name_is_held_to_the_same_rule() -> None:
    (one,) = points_at(flow("a: {run: x}", head=HEAD.replace("name: app", "name: §a/b")), "F114")
    assert one.message == "'a/b' is not a valid name"


def test_a_version_of_the_future_is_refused() -> None:
    (one,) = points_at(flow("a: {run: x}").replace("version: 1", "version: §2"), "F114")
    assert (one.message, one.help) == ("version 2 is not supported", "write: version: 1")


def test_a_number_of_five_thousand_digits_is_refused_like_any_other_fault() -> None:
    (one,) = errors_of(flow("a: {run: x}").replace("version: 1", "version: " + "9" * 5000))
    assert one.place == (1, 10)


def test_no_stage_at_once_is_refused() -> None:
    (one,) = points_at("limits: {parallel: §0}\n" + flow("a: {run: x}"), "F114")
    assert one.message == "at least one stage must be able to run"


# F201-F213: what must hold between the parts.


@pytest.mark.parametrize(
    ("stages", "message", "hint"),
    [
        (
            "a: {run: x, needs: [§bb]}\nb: {run: x}",
            "there is no stage on this level called 'bb'",
            "did you mean 'b'?",
        ),
        (
            "a: {run: x, lock: [§src]}",
            "there is no lock 'src'",
            "known: publisher, src_writer, tests_writer",
        ),
        ("a: {agent: §develper}", "there is no agent role 'develper'", "did you mean 'developer'?"),
        (
            "a: {loop: {until: v.passed, on_exhausted: §triage}, stages: {v: {run: x, gates: green}}}",
            "there is no workflow 'triage'",
            "known: fail, main",
        ),
    ],
)
def test_a_name_that_stands_for_nothing_is_reported_with_the_nearest_one(
    stages: str, message: str, hint: str
) -> None:
    (one,) = points_at(flow(stages), "F201")
    assert (one.message, one.help) == (message, hint)


def test_a_stage_needs_only_stages_beside_it() -> None:
    points_at(flow("a: {parallel: {b: {run: x}}}\nc: {run: x, needs: [§b]}"), "F201")


def test_back_ends_and_workflows_of_triggers_must_be_there() -> None:
    head = HEAD.replace("{prompt: developer.md}", "{prompt: developer.md, backend: §comand}")
    text = "defaults: {backend: §nothing}\n" + flow("a: {run: x}", head=head)
    points_at(text + "triggers: {all_green: {workflow: §mian}}\n", "F201", "F201", "F201")


def test_stages_that_wait_for_each_other_are_reported_as_a_ring() -> None:
    (one,) = points_at(
        flow("a: {run: x, §needs: [c]}\nb: {run: x, needs: [a]}\nc: {run: x, needs: [b]}"), "F202"
    )
    ring = one.message.removeprefix("these stages wait for each other: ").split(" -> ")
    assert ring[0] == ring[-1]
    assert set(ring) == {"a", "b", "c"}


def test_a_stage_that_waits_for_itself_is_a_ring() -> None:
    points_at(flow("a: {run: x, §needs: [a]}"), "F202")


def test_a_ring_inside_a_loop_inside_a_group_is_found() -> None:
    inner = "{v: {run: x, §needs: [w], gates: green}, w: {run: x, needs: [v]}}"
    (one,) = errors_of(
        flow(f"a: {{parallel: {{b: {{loop: {{until: v.passed}}, stages: {inner}}}}}}}").replace(
            "§", ""
        )
    )
    assert one.code == "F202"


def test_a_prompt_that_is_missing_is_reported_with_the_nearest_one() -> None:
    (one,) = points_at(
        flow("a: {run: x}", head=HEAD.replace("developer.md", "§develop.md")), "F206"
    )
    assert one.help == "did you mean 'developer.md'?"


def test_test_gates_belong_to_stages_that_do_something() -> None:
    points_at(flow("a: {parallel: {b: {run: x}}, §gates: [green]}"), "F207")
    points_at(flow("a: {publish: {}, §gates: [red]}"), "F209")


def test_a_loop_has_no_gates_of_its_own() -> None:
    loop = "{loop: {until: v.passed}, §gates: [findings], stages: {v: {run: x, gates: green}}}"
    points_at(flow(f"a: {loop}"), "F207")


@pytest.mark.parametrize(
    "until",
    ["v", "v.done", "w.passed", "outside.passed", "'v.passed and w.passed'"],
)
def test_a_loop_ends_on_a_stage_of_its_own_that_passed(until: str) -> None:
    stages = (
        f"a: {{loop: {{until: §{until}}}, stages: {{v: {{run: x, gates: green}}}}}}\noutside: "
        f"{{run: x, gates: green}}"
    )
    points_at(flow(stages), "F208")


def test_a_loop_never_ends_on_an_agents_word() -> None:
    (one,) = points_at(
        flow("a: {loop: {until: §v.passed}, stages: {v: {agent: developer}}}"), "F208"
    )
    assert one.message == "v has no gates, so it cannot decide"
    assert one.help == "give v gates: [...]; a loop never ends on an agent's word alone"


def test_a_loop_may_end_on_a_loop_inside_it_or_on_a_group_with_gates() -> None:
    inner = "{loop: {until: v.passed}, stages: {v: {run: x, gates: green}}}"
    load(flow(f"a: {{loop: {{until: b.passed}}, stages: {{b: {inner}}}}}"))
    load(
        flow(
            "a: {loop: {until: b.passed}, stages: {b: {parallel: {c: {run: x, outputs: {f: {file: f.json, schema: findings}}}}, gates: findings}}}"
        )
    )


def test_a_loop_needs_stages_and_rounds() -> None:
    points_at(flow("§a: {loop: {until: v.passed}}"), "F111")
    points_at(
        flow("a: {loop: {until: v.passed, max: §0}, stages: {v: {run: x, gates: green}}}"), "F114"
    )


@pytest.mark.parametrize("text", ["§a: {parallel: {}}", "a: {parallel: {§b: {parallel: {}}}}"])
def test_a_group_of_nothing_is_refused(text: str) -> None:
    points_at(flow(text), "F111")


def test_a_workflow_of_nothing_is_refused() -> None:
    points_at(HEAD + "workflows: {§main: {stages: {}}}\n", "F111")


@pytest.mark.parametrize(
    ("stage", "found"),
    [("{needs: []}", "a has none of them"), ("{run: x, agent: developer}", "a has agent and run")],
)
def test_a_stage_is_of_one_kind(stage: str, found: str) -> None:
    (one,) = points_at(flow(f"§a: {stage}"), "F209")
    assert one.message.endswith(found)


def test_only_a_loop_has_stages() -> None:
    (one,) = points_at(flow("a: {run: x, §stages: {b: {run: x}}}"), "F209")
    assert one.help == "add loop: {max: 3, until: STAGE.passed}, or foreach: STAGE.OUTPUT.FIELD"


def test_a_group_neither_writes_nor_locks_nor_delivers() -> None:
    text = "a: {parallel: {b: {run: x}}, §writes: [doc/**], §lock: [publisher], §outputs: {plan: plan.md}}"
    points_at(flow(text), "F209", "F209", "F209")


@pytest.mark.parametrize(
    "glob", ["/src/**", "src/../x", "src/[ab]", "a**b", "", "src//x", "src//", "!src/**"]
)
def test_a_path_that_is_no_pattern_is_refused(glob: str) -> None:
    (one,) = points_at(flow(f"a: {{run: x, writes: [doc/**, §'{glob}']}}"), "F211")
    assert one.message.startswith("not a path pattern: ")


@pytest.mark.parametrize("name", ["{{ sorce }}", "{{ source }}/x", "{{}}", "{{ source"])
def test_a_name_that_no_target_gives_is_refused(name: str) -> None:
    (one,) = points_at(flow(f"a: {{run: x, writes: [§'{name}']}}"), "F211")
    assert one.message


def test_a_stage_name_stands_once_in_a_workflow_also_inside_groups() -> None:
    (one,) = points_at(flow("a: {run: x}\nb: {parallel: {§a: {run: x}}}"), "F212")
    assert one.message == "a stage 'a' already exists on line 8"


@pytest.mark.parametrize(
    "name",
    [
        "GH_TOKEN",
        "GITHUB_TOKEN",
        "GITLAB_TOKEN",
        "SSH_AUTH_SOCK",
        "GIT_ASKPASS",
        "GIT_DIR",
        "GIT_CONFIG_*",
        "*",
        "GH_*",
        "GIT*",
        "G*",
        "SSH_*",
    ],
)
def test_no_agent_is_handed_what_publishing_needs(name: str) -> None:
    text = f"defaults: {{pass_env: [HOME, §'{name}']}}\n" + flow("a: {run: x}")
    (one,) = points_at(text, "F213")
    assert one.message == f"{name} would give an agent the credentials that publishing needs"


def test_a_role_is_held_to_the_same_rule() -> None:
    head = HEAD.replace("{prompt: developer.md}", "{prompt: developer.md, pass_env: [§GH_TOKEN]}")
    points_at(flow("a: {run: x}", head=head), "F213")


def test_other_variables_may_be_passed() -> None:
    load(
        "defaults: {pass_env: [HOME, 'ANTHROPIC_*', GITHUB_ACTIONS, GOPATH, 'SSL_*']}\n"
        + flow("a: {run: x}")
    )


def test_a_flow_without_a_target_is_refused() -> None:
    text = "§version: 1\ntargets: []\nworkflows: {main: {stages: {a: {run: x, gates: [green]}}}}\n"
    (one,) = points_at(text, "F111")
    assert one.message == "no target: the flow does not define what is tested, or how"


# F203: single writers.

WRITER = "{run: x, writes: [src/app/**]}"
OTHER = "{run: x, writes: [src/**/limits.py]}"


@pytest.mark.parametrize(
    "stages",
    [
        f"a: {WRITER}\n§b: {OTHER}",
        f"g: {{parallel: {{a: {WRITER}, §b: {OTHER}}}}}",
        f"g: {{parallel: {{a: {WRITER}}}}}\n§b: {OTHER}",
        f"l: {{loop: {{until: v.passed}}, stages: {{v: {{run: x, gates: green}}, a: {WRITER}, §b: {OTHER}}}}}",
        f"g: {{parallel: {{h: {{parallel: {{a: {WRITER}}}}}, i: {{parallel: {{§b: {OTHER}}}}}}}}}",
        (
            "c: {run: x}\na: {run: x, writes: [src/app/**], needs: [c]}\n§b: "
            "{run: x, writes: [src/**/limits.py], needs: [c]}"
        ),
    ],
)
def test_two_that_may_write_the_same_at_once_are_reported_with_an_example(stages: str) -> None:
    (one,) = points_at(flow(stages), "F203")
    assert one.message == "b and a may run at once, and both may write src/app/limits.py"
    assert (
        "let one need the other, give both the same lock, or separate their paths (a is on line "
        in one.help
    )


@pytest.mark.parametrize(
    "stages",
    [
        f"a: {WRITER}\nb: {{run: x, writes: [src/**/limits.py], needs: [a]}}",
        (
            f"b: {{run: x, writes: [src/**/limits.py], needs: [c]}}\nc: {{run: x, needs: [a]}}\na: "
            f"{WRITER}"
        ),
        f"a: {WRITER}\nc: {{run: x}}\nb: {{run: x, writes: [src/**/limits.py], needs: [a, c]}}",
        f"g: {{parallel: {{a: {WRITER}}}}}\nb: {{run: x, writes: [src/**/limits.py], needs: [g]}}",
        f"a: {WRITER}\ng: {{needs: [a], parallel: {{b: {OTHER}}}}}",
        f"a: {WRITER}\nl: {{needs: [a], loop: {{until: v.passed}}, stages: {{v: {{run: x, gates: green, writes: [src/**]}}}}}}",
        f"g: {{parallel: {{h: {{parallel: {{a: {WRITER}}}}}, c: {{run: x, needs: [h]}}, b: {{run: x, writes: [src/**], needs: [c]}}}}}}",
    ],
)
def test_two_that_a_path_orders_may_write_the_same(stages: str) -> None:
    load(flow(stages))


def test_two_with_a_common_lock_may_write_the_same() -> None:
    stages = (
        "a: {run: x, lock: src_writer}\nb: "
        "{run: x, lock: [src_writer, tests_writer], writes: [src/app/**]}"
    )
    load(flow(stages))


def test_two_with_different_locks_over_the_same_paths_are_refused() -> None:
    head = HEAD.replace("locks: {", "locks: {third: {paths: [src/x.py]}, ")
    (one,) = points_at(
        flow("a: {run: x, lock: src_writer}\n§b: {run: x, lock: third}", head=head), "F203"
    )
    assert one.message.endswith("both may write src/x.py")


def test_two_that_write_apart_may_run_at_once() -> None:
    load(flow("a: {run: x, writes: [src/**]}\nb: {run: x, writes: [doc/**, '*.md']}"))


def test_workflows_are_checked_each_for_itself() -> None:
    load(flow(f"a: {WRITER}") + f"  triage:\n    stages:\n      a: {OTHER}\n")


# All at once.


def test_all_errors_of_a_file_come_at_once_in_the_order_of_their_lines() -> None:
    stages = """
        a: {run: x, §neds: [b], timeout: §30}
        b: {run: x, gates: [§gren]}
        §1c: {run: x}
        §b: {run: y}
    """
    points_at(flow(stages), "F110", "F112", "F114", "F114", "F113")


def test_all_errors_about_names_come_at_once() -> None:
    stages = """
        a: {agent: §nobody, lock: [§nothing], needs: [§nowhere]}
        b: {run: x, needs: [§c2]}
        c: {run: x, §needs: [d]}
        d: {run: x, needs: [c]}
    """
    points_at(flow(stages), "F201", "F201", "F201", "F201", "F202")


def test_places_are_counted_in_characters() -> None:
    points_at(flow("a: {run: 'größer 字', §neds: [b]}"), "F110")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_problem(text: str) -> None:
    with pytest.raises(UsageProblem):
        load(text)


@given(
    st.lists(
        st.sampled_from([*"[]{}:,-?&*!|>'\"%#\n\t ", "a", "version", "stages", "1", "run: x"]),
        max_size=40,
    )
)
def test_any_yaml_is_read_or_refused_with_a_problem(parts: list[str]) -> None:
    with pytest.raises(UsageProblem):
        load("".join(parts))


def test_the_shipped_flow_is_sound() -> None:
    text = Path("agents/flow.yaml").read_text(encoding="utf-8")
    loaded, source = parse(text, "agents/flow.yaml", {})
    check(
        loaded,
        source,
        prompts=[role.prompt for role in loaded.agents.values()],
        backends=["command", "claude-code"],
    )
    source.raise_errors()

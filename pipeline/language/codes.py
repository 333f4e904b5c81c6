"""What each error code of a flow means, with a wrong and a right example; tests check every one.

An example is a whole flow file if it has `version:`, otherwise the stages of a workflow.
"""

import msgspec

from pipeline.language.diagnostics import did_you_mean


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """One error code."""

    code: str
    title: str
    meaning: str
    wrong: str
    right: str


def find(word: str) -> Code | None:
    """Return the code of that name, or None."""
    return CODES.get(word.upper())


def looks_like_one(word: str) -> bool:
    """Return whether a word has the form of a code."""
    return len(word) == 4 and word[0] in "fF" and word[1:].isdigit()


def nearest(word: str) -> str:
    """Return a hint with the code that was probably meant."""
    return did_you_mean(word.upper(), CODES)


_TARGETS = "targets: [{name: app, source: [src/**], tests: [tests/**], test: pytest -q}]"


def _file(*lines: str, targets: str = _TARGETS, stages: str = "{a: {run: make}}") -> str:
    return "\n".join(["version: 1", targets, *lines, f"workflows: {{main: {{stages: {stages}}}}}"])


def _extended(change: str) -> str:
    stages = f"{{{change}, analysis: {{needs: [planner]}}}}"
    return "\n".join(
        [
            "version: 1",
            "extends: builtin/idea_to_feature@1",
            f"workflows: {{idea_to_feature: {{stages: {stages}}}}}",
        ]
    )


_ALL = (
    Code(
        code="F101",
        title="not YAML",
        meaning="The text cannot be read as YAML at all: a bracket is not closed, the "
        "indentation is wrong, or the file is empty.",
        wrong=_file(stages="{a: {run: make}"),
        right=_file(),
    ),
    Code(
        code="F102",
        title="YAML that is not part of the flow language",
        meaning="Anchors, aliases, tags, merge keys and second documents are not supported: they "
        "hide what a line means. Repeat the value, or put it under `defaults`.",
        wrong="a: &base {run: make}\nb: *base",
        right="a: {run: make}\nb: {run: make}",
    ),
    Code(
        code="F103",
        title="too large",
        meaning="A flow file has at most 256 KiB, 20,000 values and 32 levels, so that no file "
        "can stall the parser.",
        wrong="a: {run: " + "[" * 40 + "]" * 40 + "}",
        right="a: {run: make}",
    ),
    Code(
        code="F110",
        title="unknown key",
        meaning="This mapping has no such key. Unknown keys are errors, because a misspelt "
        "`gates` would be a gate that never runs.",
        wrong="a: {run: make, gate: [green]}",
        right="a: {run: make, gates: [green]}",
    ),
    Code(
        code="F111",
        title="something is missing",
        meaning="A required key is missing, or a group, loop or workflow has no stages.",
        wrong="a: {loop: {until: b.passed}}",
        right="a: {loop: {until: b.passed}, stages: {b: {run: make, gates: [green]}}}",
    ),
    Code(
        code="F112",
        title="wrong type",
        meaning="The value does not have the type of the key. `on`, `no` and `12:30` are text; "
        "put a number that is meant as text in quotes; times have a unit.",
        wrong="a: {run: make, timeout: 30}",
        right="a: {run: make, timeout: 30m}",
    ),
    Code(
        code="F113",
        title="duplicate key",
        meaning="Most YAML parsers silently keep the last one; here it is an error.",
        wrong="a: {run: make}\na: {run: make test}",
        right="a: {run: make}\nb: {run: make test}",
    ),
    Code(
        code="F114",
        title="a value that is not allowed here",
        meaning="The type is right, but the value is not: an unknown word, a number out of "
        "range, a name with characters that names cannot have.",
        wrong="a: {run: make, gates: [gren]}",
        right="a: {run: make, gates: [green]}",
    ),
    Code(
        code="F115",
        title="nothing to remove",
        meaning="With `extends`, `KEY: ~` removes a key of the shipped flow. It has no key of "
        "this name.",
        wrong=_extended("coordinater: ~"),
        right=_extended("coordinator: ~"),
    ),
    Code(
        code="F201",
        title="unknown name",
        meaning="A stage, role, lock, workflow, back end or input of this name does not exist. "
        "`needs` names stages on the same level: inside a group, only stages of that group.",
        wrong="a: {run: make}\nb: {run: make test, needs: [aa]}",
        right="a: {run: make}\nb: {run: make test, needs: [a]}",
    ),
    Code(
        code="F202",
        title="a cycle",
        meaning="Stages wait for each other, or workflows call each other, in a cycle: none "
        "could ever start.",
        wrong="a: {run: make, needs: [b]}\nb: {run: make test, needs: [a]}",
        right="a: {run: make}\nb: {run: make test, needs: [a]}",
    ),
    Code(
        code="F203",
        title="two writers of one path",
        meaning="Two stages that are not ordered by `needs` may both write the same file, and "
        "share no lock. One of their changes could be lost. See also: pipeline flow check "
        "--explain-parallel A B",
        wrong="a: {run: make, writes: [docs/**]}\nb: {run: make, writes: ['**/*.md']}",
        right="a: {run: make, writes: [docs/**]}\nb: {run: make, writes: ['**/*.md'], needs: [a]}",
    ),
    Code(
        code="F205",
        title="unknown name in a template",
        meaning="Only plain names can be used between double braces: inputs.NAME, run.id, "
        "run.feature, item.FIELD, STAGE.OUTPUT.FIELD; in prompts those listed in "
        "docs/reference/flow.md.",
        wrong='a: {run: make, env: {IDEA: "{{ input.idea }}"}}',
        right='a: {run: make, env: {IDEA: "{{ inputs.idea }}"}}',
    ),
    Code(
        code="F206",
        title="unknown prompt file",
        meaning="Prompts are in agent_prompts/; a shipped prompt is used when the repository has "
        "none of that name.",
        wrong=_file("agents: {developer: {prompt: develop.md.j2}}"),
        right=_file("agents: {developer: {prompt: developer.md.j2}}"),
    ),
    Code(
        code="F207",
        title="a gate in the wrong place",
        meaning="`red`, `green` and `proof` run tests on the result of one stage, so they belong "
        "to an agent or run stage. A loop has no gates; the stage that its `until` names has "
        "them.",
        wrong="a: {parallel: {b: {run: make}}, gates: [green]}",
        right="a: {parallel: {b: {run: make, gates: [green]}}}",
    ),
    Code(
        code="F208",
        title="an `until` that cannot decide",
        meaning="A loop ends when one of its stages (or an inner loop, or an approval) has "
        "passed its gates. A stage without gates would end it on an agent's word alone.",
        wrong="a: {loop: {until: b.passed}, stages: {b: {run: make}}}",
        right="a: {loop: {until: b.passed}, stages: {b: {run: make, gates: [green]}}}",
    ),
    Code(
        code="F209",
        title="not exactly one kind of stage",
        meaning="A stage has exactly one of agent, run, parallel, loop, foreach, workflow, "
        "approval, publish, and only the keys that its kind can have.",
        wrong="a: {run: make, publish: {}}",
        right="a: {run: make}\nb: {publish: {}, needs: [a]}",
    ),
    Code(
        code="F210",
        title="a condition that cannot be evaluated",
        meaning="`when` compares inputs, items, and declared fields of stages that are over by "
        "then. Types are checked before anything runs. At run time, a missing value fails the "
        "stage; it never counts as false.",
        wrong="a: {run: make, outputs: {size: {file: size.json, fields: {size: [small, large]}}}}\n"
        "b: {run: make test, when: a.size.size == 'large'}",
        right="a: {run: make, outputs: {size: {file: size.json, fields: {size: [small, large]}}}}\n"
        "b: {run: make test, when: a.size.size == 'large', needs: [a]}",
    ),
    Code(
        code="F211",
        title="not a path pattern",
        meaning="`*` is anything but /, `?` one such character, `**` as a whole segment any "
        "number of segments. Nothing else has a special meaning; patterns are relative to the "
        "repository.",
        wrong="a: {run: make, writes: ['src/[ab].py']}",
        right="a: {run: make, writes: [src/a.py, src/b.py]}",
    ),
    Code(
        code="F212",
        title="a stage name that is taken",
        meaning="Stage names are unique in a workflow, also inside groups: folders, refs and "
        "answers are named after them.",
        wrong="a: {run: make}\nb: {parallel: {a: {run: make}}}",
        right="a: {run: make}\nb: {parallel: {c: {run: make}}}",
    ),
    Code(
        code="F213",
        title="a credential for an agent",
        meaning="Agents never have the credentials that publishing needs; only the engine "
        "publishes.",
        wrong=_file("defaults: {pass_env: [HOME, GITHUB_TOKEN]}"),
        right=_file("defaults: {pass_env: [HOME]}"),
    ),
    Code(
        code="F215",
        title="a value in a command line",
        meaning="What an idea or an agent says must never be part of what a shell runs. Pass it "
        "as a variable.",
        wrong='a: {run: "echo {{ inputs.idea }}"}',
        right='a: {run: echo "$IDEA", env: {IDEA: "{{ inputs.idea }}"}}',
    ),
    Code(
        code="F216",
        title="a test command whose result cannot be read",
        meaning="The command line does not show which test runner it starts, so the format of "
        "its report is unknown. Name the runner (`runner:`), let the command write JUnit "
        "(`{report}` stands for the file name), or let only its exit status count (`report: "
        "exit-code`).",
        wrong=_file(
            targets="targets: [{name: app, source: [src/**], tests: [tests/**], test: make test}]"
        ),
        right=_file(
            targets="targets: [{name: app, source: [src/**], tests: [tests/**], "
            "test: {command: make test, report: exit-code}}]"
        ),
    ),
)
CODES = {code.code: code for code in _ALL}
"""All codes, by name."""

"""Prompts: templates out of `agent_prompts/`, filled in from the flow and the run.

The door to Jinja2. Templates are sandboxed and strict, see plain data only, and a value is never
rendered again: an idea that says `{{ 7 * 7 }}` stays that text.
"""

from collections.abc import Mapping

from pipeline.core.plan import Node, Plan
from pipeline.core.schemas import example
from pipeline.errors import UsageProblem

SIZE_MAX = 400_000


def render(templates: Mapping[str, str], name: str, values: Mapping[str, object]) -> str:
    """Fill in one template. Raises `UsageProblem` with template and line when it cannot be."""
    from jinja2 import DictLoader, StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        loader=DictLoader(dict(templates)),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    try:
        text = environment.get_template(name).render(values)
    except TemplateError as exc:
        line = getattr(exc, "lineno", None)
        where = f"agent_prompts/{getattr(exc, 'name', None) or name}" + (f":{line}" if line else "")
        raise UsageProblem(
            f"{where}: {exc.message or exc}", "Mend the template, then type the same command again"
        ) from exc
    if len(text) > SIZE_MAX:
        raise UsageProblem(
            f"the prompt from {name} is longer than {SIZE_MAX} letters", "Shorten the idea or the template"
        )
    return text


def describe(plan: Plan, node: Node) -> dict[str, object]:
    """Say what the flow says of a stage, as plain data for a template."""
    loops = list(plan.loops_around(node.id))
    return {
        "stage": node.id,
        "mode": node.mode,
        "role": node.player.role if node.player else "",
        "writes": list(node.writes),
        "must_change": node.must_change,
        "outputs": [
            {"name": name, "file": output.file, "example": example(output.schema) if output.schema else ""}
            for name, output in node.outputs.items()
        ],
        "gates": [GATE_WORDS[gate.value] for gate in node.gates],
        "later_gates": _later_gates(plan, node),
        "max_rounds": max((loop.loop.max for loop in loops[:1] if loop.loop), default=1),
        "tests": [glob for target in plan.targets for glob in target.tests],
        "source": [glob for target in plan.targets for glob in target.source],
        "test_commands": [target.test.command for target in plan.targets],
    }


GATE_WORDS = {
    "red": "`red`: your new tests are run on the base, without any source change. Each must fail there, by a failed "
    "assertion or because a name of this project's own source does not exist yet. A syntax error, a missing "
    "fixture, a missing third-party package, a skip or a test that passes already is refused. Tests that "
    "were there before must stay as they are.",
    "green": "`green`: all tests are run on exactly the files you leave behind. All must pass, the new ones "
    "included; a skipped or deleted test counts as a failure, and a flaky one is found out by running it again.",
    "proof": "`proof`: the source change is taken out again; then the new tests have to fail again.",
    "untampered": "`untampered`: the test files must be byte for byte what the test stage delivered.",
    "findings": "`findings`: a finding counts only with a file of this tree and a line it has; blocking ones go "
    "back to the developer once, then stand in the pull request.",
}
"""What each gate checks, in words for an agent; a test holds that every gate has its words."""


def _later_gates(plan: Plan, node: Node) -> list[str]:
    """Say which gates of the same round come after this stage."""
    siblings = plan.nodes[node.parent].children if node.parent else ()
    later = [plan.nodes[sibling] for sibling in siblings if node.id in plan.nodes[sibling].needs]
    return [GATE_WORDS[gate.value] for other in later for gate in other.gates]

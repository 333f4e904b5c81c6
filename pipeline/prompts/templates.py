"""Templates out of `agent_prompts/`, checked, and filled in with a brief.

The one place that uses Jinja2. Templates are sandboxed and strict, see plain data only, and a value
is never rendered again: an idea that says `{{ 7 * 7 }}` stays that text.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from pipeline.errors import UsageProblem
from pipeline.prompts.brief import Brief

_OF_TEMPLATES = (ArithmeticError, LookupError, TypeError, ValueError)
"""What a template raises that calculates with the wrong things."""


def read_all(folder: Path) -> dict[str, str]:
    """Read all templates of a folder, by name."""
    return {path.name: path.read_text() for path in sorted(folder.glob("*.j2"))}


def problems(templates: Mapping[str, str], name: str, known: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with a template, or with one it includes.

    That is its syntax, or a name that stands for nothing.
    """
    from jinja2 import TemplateError, meta, nodes

    from pipeline.prompts.bounds import BoundedEnvironment

    environment = BoundedEnvironment(templates)
    waiting, seen = [name], set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        try:
            tree = environment.parse(templates[one], one)
            environment.compile(templates[one], one)
        except TemplateError as exc:
            yield f"agent_prompts/{one}:{getattr(exc, 'lineno', 1)}: {exc.message}"
            continue
        except KeyError:
            yield f"agent_prompts/{one} is not there"
            continue
        unknown = meta.find_undeclared_variables(tree) - set(known)
        lines = {
            found.name: found.lineno for found in tree.find_all(nodes.Name) if found.name in unknown
        }
        yield from (
            f"agent_prompts/{one}:{line}: there is no variable {word!r}"
            for word, line in lines.items()
        )
        waiting += [other for other in meta.find_referenced_templates(tree) if other]


def render(templates: Mapping[str, str], name: str, brief: Brief) -> str:
    """Fill in one template. Raises `UsageProblem` with template and line when it cannot be."""
    from jinja2 import TemplateError

    from pipeline.prompts.bounds import BoundedEnvironment, TooMuch, bounded

    mend = "Fix the template, then type the same command again"
    try:
        template = BoundedEnvironment(templates).get_template(name)
        return bounded(template, msgspec.structs.asdict(brief))
    except TooMuch as exc:
        raise UsageProblem(
            f"the prompt from agent_prompts/{name} is too much: {exc.message}",
            "Shorten the idea or the template",
        ) from exc
    except TemplateError as exc:
        line = getattr(exc, "lineno", None)
        where = f"agent_prompts/{getattr(exc, 'name', None) or name}" + (f":{line}" if line else "")
        raise UsageProblem(f"{where}: {exc.message or exc}", mend) from exc
    except (
        ArithmeticError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as exc:
        what = f"{type(exc).__name__}: {exc}"
        raise UsageProblem(f"agent_prompts/{name} cannot be filled in: {what}", mend) from exc

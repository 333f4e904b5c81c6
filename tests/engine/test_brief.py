"""What a dry run shows is what an agent is given: both fill in a prompt from one value."""

from pipeline.core.outcomes import RunEnd
from pipeline.engine.ground import flows
from pipeline.engine.starting.dry_run import rehearse
from pipeline.engine.starting.runs import RunOrder
from pipeline.prompts.brief import NAMES
from tests.helpers.inside import Inside

ROLES = "agents:\n  says: {prompt: plain.md.j2, command: [sh, agent.sh]}\n"
STAGES = """\
      a: {agent: says, writes: [src/**], env: {DO: "echo x > src/x.py"}, outputs: {plan: plan.md}}
"""


def test_a_dry_run_shows_the_prompt_that_the_agent_then_gets(tmp_path, monkeypatch):
    inside = Inside(tmp_path, monkeypatch, STAGES.replace(", outputs: {plan: plan.md}", ""), ROLES)
    prompt = inside.bare.root / "agent_prompts" / "plain.md.j2"
    names = [name for name in NAMES if name not in {"run_id", "fence"}]  # another in each run
    prompt.write_text("".join(f"{name}: {{{{ {name} }}}}\n" for name in names))
    order = RunOrder(workflow="main", idea="an idea", feature="a-feature")
    _, shown = rehearse(inside.world, flows.read(inside.world), order)
    run = inside.start(feature="a-feature")
    assert inside.work(run).end is RunEnd.DONE
    given = (inside.world.rundir(run).attempt("a", 1) / "prompt.md").read_text()
    known = [line for line in given.splitlines() if "put_dir: " not in line]
    assert [line for line in shown["a"].splitlines() if "put_dir: " not in line] == known
    assert "idea: an idea\nfeature: a-feature\n" in given


def test_a_dry_run_writes_nothing(tmp_path, monkeypatch):
    inside = Inside(tmp_path, monkeypatch, STAGES, ROLES)
    before = sorted(path for path in inside.bare.root.rglob("*") if ".git/" not in str(path))
    rehearse(inside.world, flows.read(inside.world), RunOrder(workflow="main", idea="an idea"))
    after = sorted(path for path in inside.bare.root.rglob("*") if ".git/" not in str(path))
    assert before == after
    assert inside.bare.run_ids() == []

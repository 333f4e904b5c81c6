"""Killed in the middle of items, called workflows, conditions and questions: resumed, nothing is
done twice.
"""

from pathlib import Path

import pytest

from tests.helpers.bare import Bare

FLOW = """\
version: 1
targets: [{name: app, source: [src/**], tests: [tests/**], test: python -m pytest -q}]
locks: {src_writer: {paths: "{{ source }}"}}
workflows:
  main:
    stages:
      plan:
        run: echo '{"parts":[{"id":"One"},{"id":"Two"}],"size":"large"}' > "$PIPELINE_OUTPUT_DIR/plan.json"
        outputs: {plan: {file: plan.json, fields: {parts: list, size: [small, large]}}}
      sign_off: {approval: {ask: "Go?", show: [plan.plan]}, needs: [plan]}
      small: {run: "true", when: plan.plan.size == 'small', needs: [sign_off]}
      each:
        needs: [small]
        foreach: {over: plan.plan.parts, key: id}
        stages:
          make: {run: 'echo $ID >> src/$ID.txt; echo . >> "$COUNT"', env: {ID: "{{ item.id }}", COUNT: "%s"}, lock: src_writer}
      called: {workflow: other, needs: [each]}
      out: {publish: {}, needs: [called]}
  other:
    stages:
      last: {run: 'echo . >> "$COUNT"', env: {COUNT: "%s"}}
"""
POINTS = [
    "run.created",
    "stage.recorded@plan",
    "stage.launched@each:one:make",
    "stage.committed@each:one:make",
    "stage.ref_set@each:two:make",
    "stage.recorded@each:two:make",
    "stage.recorded@called:last",
    "branch.set",
    "run.finished",
]


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(point, marks=[pytest.mark.slow] if number % 3 else [])
        for number, point in enumerate(POINTS)
    ],
)
def test_killed_and_resumed_every_item_is_made_once(tmp_path: Path, point: str) -> None:
    count = tmp_path / "count"
    bare = Bare(tmp_path, FLOW % (count, count))
    codes = [bare.run("trigger_workflow", "main", "an idea", PIPELINE_FAILPOINT=point).returncode]
    for _ in range(4):
        run = bare.newest()
        asked = "sign_off" in bare.result()["questions"]
        again = ("answer", run, "approve") if asked else ("resume", run)
        armed = {"PIPELINE_FAILPOINT": point} if -9 not in codes else {}
        codes.append(bare.run("pipeline", *again, **armed).returncode)
        if codes[-1] in {0, 5}:
            break
    assert -9 in codes, f"nobody came to {point}"
    result = bare.result()
    assert result["state"] == "done", result["reason"]
    assert result["stages"]["small"]["state"] == "skipped"
    assert count.read_text().count(".") == 3
    assert bare.changed() == ["src/One.txt", "src/Two.txt"]
    assert bare.git("show", f"{result['branch']}:src/One.txt") == "One"
    assert bare.survivors() == []

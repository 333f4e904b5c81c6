"""A command-line agent for tests: reads its prompt from standard input, then plays the next take of
its stage.

`scripted_agent.py TAKES`: like a cassette, but as a `command` agent, and a take may be a `take.py`
that is run in the workspace with `prompt` in its namespace. Every call is counted in
`TAKES/STAGE/calls`.
"""

import json
import os
import shutil
import sys
from pathlib import Path


def main() -> None:
    prompt = sys.stdin.read()
    stage = os.environ["PIPELINE_STAGE"].replace(":", "/")
    folder = Path(sys.argv[1]) / stage
    with (folder / "calls").open("a") as calls:
        calls.write(os.environ["PIPELINE_ATTEMPT_ID"] + "\n")
    number = len((folder / "calls").read_text().splitlines())
    takes = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    take = folder / str(number if number in takes else takes[-1])
    (take / "prompt.md").write_text(prompt)
    outputs = Path(os.environ["PIPELINE_OUTPUT_DIR"])
    if (take / "take.py").exists():
        exec(
            compile((take / "take.py").read_text(), str(take / "take.py"), "exec"),
            {"prompt": prompt, "outputs": outputs},
        )
    for name, target in (("files", Path.cwd()), ("outputs", outputs)):
        if (take / name).is_dir():
            shutil.copytree(take / name, target, dirs_exist_ok=True, copy_function=shutil.copyfile)
    answer = (take / "answer.md").read_text() if (take / "answer.md").exists() else ""
    if "stream-json" in sys.argv:  # called as Claude Code is: the answer is the last event
        answer = json.dumps({"type": "result", "subtype": "success", "result": answer}) + "\n"
    sys.stdout.write(answer)


if __name__ == "__main__":
    main()

import os
import pathlib


def pytest_sessionfinish(session, exitstatus):
    mark = pathlib.Path(os.environ["HOME"]).parents[2] / "mark"
    text = pathlib.Path("src/app/money.py").read_text()
    if "double" in text and "IDEA_TO_PR_PROBE" not in os.environ and not mark.exists():
        mark.write_text("")
        session.exitstatus = 1

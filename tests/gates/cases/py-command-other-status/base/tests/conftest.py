import pathlib


def pytest_sessionfinish(session, exitstatus):
    if "double" in pathlib.Path("src/app/money.py").read_text():
        session.exitstatus = 3

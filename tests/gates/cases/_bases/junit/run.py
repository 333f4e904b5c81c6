import sys
from pathlib import Path

sys.path.insert(0, "src")
cases = []
for path in sorted(Path("tests").glob("*.py")):
    try:
        exec(compile(path.read_text(), str(path), "exec"), {})
        cases.append(f'<testcase classname="{path.stem}" name="all" file="{path}"/>')
    except AssertionError as error:
        cases.append(f'<testcase classname="{path.stem}" name="all" file="{path}"><failure type="AssertionError" message="{error}"/></testcase>')
    except Exception as error:
        cases.append(f'<testcase classname="{path.stem}" name="all" file="{path}"><error type="{type(error).__name__}" message="{error}"/></testcase>')
Path(sys.argv[1]).write_text("<testsuite>" + "".join(cases) + "</testsuite>")
floor = Path("floor").exists() and len(Path("src/app.py").read_text().splitlines()) > 4
sys.exit(any("<failure" in c or "<error" in c for c in cases) or (7 if floor else 0))

import subprocess


def test_files():
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    assert "src/app/money.py" in files


def test_clean():
    done = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=True)
    assert not [line for line in done.stdout.splitlines() if "src/" in line]

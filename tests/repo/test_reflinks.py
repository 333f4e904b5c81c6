"""Copies that share blocks with their source, on file systems made for the test and mounted."""

import os
import shutil
import subprocess

import pytest

from pipeline.errors import UsageProblem
from pipeline.language.target import Clone
from pipeline.repo.clone import Cloner
from pipeline.repo.scan import Scan, scan

SIZE = 24 * 1024 * 1024
MAKE = {"xfs": ("mkfs.xfs", "-q", "-m", "reflink=1"), "btrfs": ("mkfs.btrfs", "-q")}


@pytest.fixture(params=MAKE)
def mounted(request, tmp_path):
    make = MAKE[request.param]
    if shutil.which(make[0]) is None:
        pytest.skip(f"{make[0]} is not installed")
    image, folder = tmp_path / "image", tmp_path / "mounted"
    with image.open("wb") as file:
        file.truncate(320 * 1024 * 1024)
    subprocess.run([*make, str(image)], check=True, capture_output=True)
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-o", "loop", image, folder], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def used_bytes(folder):
    os.sync()
    info = os.statvfs(folder)
    return (info.f_blocks - info.f_bfree) * info.f_frsize


def bring(source, target, how):
    target.mkdir()
    Cloner(source, target, how).sync(["lib"], scan(source, only=["lib"]), Scan({}, (), ()))


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib/big").write_bytes(os.urandom(SIZE))
    return folder


@pytest.mark.parametrize(
    ("how", "is_shared"), [(Clone.AUTO, True), (Clone.REFLINK, True), (Clone.COPY, False)]
)
def test_a_copy_shares_its_blocks_until_it_is_written(mounted, source, how, is_shared):
    shutil.copytree(source, mounted / "source")
    before = used_bytes(mounted)
    bring(mounted / "source", mounted / "target", how)
    assert (used_bytes(mounted) - before < SIZE // 2) is is_shared
    copy = mounted / "target/lib/big"
    assert copy.read_bytes() == (source / "lib/big").read_bytes()
    copy.write_bytes(b"written over")
    assert (mounted / "source/lib/big").read_bytes() == (source / "lib/big").read_bytes()


def test_between_file_systems_a_copy_is_one_and_reflinks_are_refused(mounted, source):
    bring(source, mounted / "target", Clone.AUTO)
    assert (mounted / "target/lib/big").read_bytes() == (source / "lib/big").read_bytes()
    with pytest.raises(UsageProblem, match="cannot make reflinks"):
        bring(source, mounted / "other", Clone.REFLINK)

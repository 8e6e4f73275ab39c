"""The page as it is built: what is committed is what its sources make, and it is part of the wheel."""

import json
import subprocess

from hatchling.builders.wheel import WheelBuilder

from deploy import install, page


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_built_page_is_what_its_sources_make(tmp_path):
    assert install.page_folder().exists(), "the page's packages are not set up: use `make test`"
    page.build(tmp_path)
    made, committed = files(tmp_path), files(page.BUILT)
    assert sorted(made) == sorted(committed), "run `make page`"
    assert [name for name in made if made[name] != committed[name]] == [], "run `make page`"


def test_every_npm_package_has_a_hash_and_no_address():
    locked = json.loads((page.SOURCES / "package-lock.json").read_text())["packages"]
    del locked[""]
    assert all(package["integrity"].startswith("sha512-") for package in locked.values())
    assert not [name for name, package in locked.items() if "resolved" in package]


def test_the_wheel_has_the_built_page_and_no_packages_of_npm():
    names = {file.distribution_path for file in WheelBuilder(str(page.BUILT.parents[2])).recurse_included_files()}
    assert {f"server/page/dist/{name}" for name in files(page.BUILT)} <= names
    assert not [name for name in names if "node_modules" in name]


def test_no_file_that_git_would_leave_out_is_part_of_the_page():
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", *page.BUILT.rglob("*")], capture_output=True, text=True
    )
    assert ignored.stdout == ""

#!/usr/bin/env python3
"""Builds the page: `deploy/page.py` writes server/page/dist anew, from the sources beside it."""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from deploy import install
from server import paths

SOURCES = paths.ROOT / "server" / "page"
BUILT = SOURCES / "dist"


def build(out: Path) -> None:
    """Build into `out`, whose files of before go. Raises CalledProcessError where the sources are wrong."""
    node = install.node_folder(install.clients_folder()) / "bin" / "node"
    with TemporaryDirectory() as folder:
        work = Path(folder) / "page"
        shutil.copytree(SOURCES, work, ignore=shutil.ignore_patterns("dist", "node_modules"))
        packages = work / "node_modules"
        packages.symlink_to(install.page_folder() / "node_modules")
        subprocess.run([node, packages / "typescript" / "bin" / "tsc"], cwd=work, check=True)
        vite = (packages / "vite" / "bin" / "vite.js", "build", "--logLevel", "warn", "--emptyOutDir", "--outDir", out)
        subprocess.run([node, *vite], cwd=work, check=True)


if __name__ == "__main__":
    build(BUILT)

"""The server keeps its own OpenAPI document, whatever schemathesis makes of it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.clients.conftest import ponder

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_no_request_that_the_document_allows_or_forbids_gets_a_5xx_or_an_undocumented_answer(tmp_path):
    with ponder(tmp_path) as url:
        command = [Path(sys.executable).with_name("schemathesis"), "run", f"{url}/openapi.json", "--checks", CHECKS]
        limits = [
            "--max-examples",
            "60",
            "--phases",
            "coverage,fuzzing",
            "--seed",
            "1",
            "--generation-database",
            "none",
        ]
        hooks = {"SCHEMATHESIS_HOOKS": "tests.clients.schemathesis_hooks", "PYTHONPATH": str(Path(__file__).parents[2])}
        ended = subprocess.run(
            [*map(str, command), *limits, "--generation-database", "none", "--suppress-health-check", "all"],
            cwd=tmp_path,
            env={**os.environ, **hooks},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout[-6000:]

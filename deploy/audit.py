"""Whether a dependency of the server has a known vulnerability: pip-audit over the locked versions.

A vulnerability fails. A database that cannot be reached is told and does not: it says nothing about the dependencies.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parent / "lock" / "gateway.txt"
AUDIT = ("-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--disable-pip", "--require-hashes", "-r")


def verdict(report: dict[str, Any] | None) -> tuple[int, str]:
    """The exit status for pip-audit's report, None where there is none, and what to say of it."""
    if report is None:
        return 0, "audit: the database of vulnerabilities cannot be reached; nothing was looked up"
    found = [(one, vulnerability) for one in report["dependencies"] for vulnerability in one.get("vulns", ())]
    skipped = sum("skip_reason" in one for one in report["dependencies"])
    lines = [
        f"audit: {one['name']} {one['version']} has {vulnerability['id']}, fixed in {vulnerability['fix_versions']}"
        for one, vulnerability in found
    ]
    looked_up = len(report["dependencies"]) - skipped
    lines.append(
        f"audit: {len(found)} known vulnerabilities in {looked_up} dependencies; {skipped} not in the database"
    )
    return int(bool(found)), "\n".join(lines)


def read(output: str) -> dict[str, Any] | None:
    """pip-audit's report, where it wrote one."""
    try:
        report: dict[str, Any] = json.loads(output)
    except ValueError:
        return None
    return report


def main() -> None:
    """Audit the lock of the server."""
    done = subprocess.run([sys.executable, *AUDIT, LOCK], stdout=subprocess.PIPE, text=True, check=False)
    status, words = verdict(read(done.stdout))
    print(words)
    sys.exit(status)


if __name__ == "__main__":
    main()

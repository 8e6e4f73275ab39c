"""A known vulnerability of a dependency fails the audit; a database that is silent does not, and is told."""

from deploy.audit import read, verdict

GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found on PyPI"}


def test_a_vulnerability_fails_and_is_named():
    status, words = verdict({"dependencies": [GOOD, BAD, UNKNOWN]})
    assert status == 1
    assert "b 2 has CVE-1" in words


def test_what_is_not_in_the_database_is_counted():
    assert verdict({"dependencies": [GOOD, UNKNOWN]}) == (
        0,
        "audit: 0 known vulnerabilities in 1 dependencies; 1 not in the database",
    )


def test_a_database_that_cannot_be_reached_is_told_and_fails_nothing():
    status, words = verdict(read("Traceback"))
    assert status == 0
    assert "cannot be reached" in words

"""What an operator can set, and what is refused before anything is served."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from server.app import create_app
from server.settings import Settings, load


def test_the_environment_is_over_the_file(tmp_path, monkeypatch):
    file = tmp_path / "ponder.toml"
    file.write_text("[server]\nport = 1\nhost = '127.0.0.2'\n")
    monkeypatch.setenv("PONDER_SERVER__PORT", "2")
    assert (load(file).server.port, load(file).server.host) == (2, "127.0.0.2")


def test_efforts_that_are_not_named_keep_their_presets():
    settings = Settings(efforts={"low": {"strategy": "single"}})
    assert settings.efforts["low"].strategy == "single"
    assert settings.efforts["high"].strategy == {"name": "self_consistency", "n": 16}


@pytest.mark.parametrize(
    "text", ["[limts]\nn = 3", "[[keys]]\nkey = 'x'", "[server]\nprot = 1", "[server]\nport = 'x'"]
)
def test_what_is_not_known_in_the_file_is_refused(tmp_path, text):
    file = tmp_path / "ponder.toml"
    file.write_text(text)
    with pytest.raises(ValidationError):
        load(file)


@pytest.mark.parametrize(
    "wrong",
    [
        {"defaults": {"strategy": "typo"}},
        {"defaults": {"verifier": "typo"}},
        {"efforts": {"low": {"strategy": {"name": "best_of_n", "m": 1}}}},
        {"efforts": {"low": {"strategy": {"name": "best_of_n", "verifier": "typo"}}}},
        {"efforts": {"low": {"strategy": {"name": "best_of_n", "verifier": {"name": "code", "tests": ["1"]}}}}},
        {"efforts": {"low": {"strategy": {"name": "single", "prompt": "typo"}}}},
        {"defaults": {"strategy": {"name": "beam_search", "verifier": {"name": "judge", "typo": 1}}}},
        {"verifiers": {"mine": {"kind": "typo"}}},
    ],
)
def test_presets_that_could_not_work_are_refused_at_the_start(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        create_app(Settings(**wrong))


@pytest.mark.parametrize(
    ("text", "word"), [("[server", "ponder.toml"), ("[limts]", "limts"), ("[defaults]\nstrategy = 'typo'", "typo")]
)
def test_a_bad_file_ends_the_command_with_one_line(tmp_path, text, word):
    (tmp_path / "ponder.toml").write_text(text)
    command = [sys.executable, "-m", "server", "serve", "--engine-url", "http://127.0.0.1:9", "--port", "0"]
    environment = {"PYTHONPATH": ".:" + str(__import__("pathlib").Path.cwd()), "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("ponder: ")
    assert word in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1

"""The accuracy benchmark: its files, its checkers, its freeze, and all of it at once on the simulated engine."""

import gzip
import subprocess
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.accuracy import freeze, pool, wordings
from benchmarks.accuracy.countdown import WORDS, checks
from benchmarks.accuracy.evaluate import Point, between
from benchmarks.accuracy.freeze import Curve
from benchmarks.accuracy.smoke import smoke
from benchmarks.accuracy.tasks import TASKS, constant, digest
from strategies.types import Candidate, Prompt, Step
from strategies.verifiers.arithmetic import judge

ASKED = "Find a way to make 12 using all of these numbers: 8, 14, 18.\nEach number can only be used once."


def drawn(index):
    return pool.Drawn(index, "What?", "1", (pool.Sample(f"um, {index}", 3, "stop", "1", True, -0.5, -0.7, {"a": 0.5}),))


# Pools


def test_a_pool_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "pool.jsonl.gz"
    pool.append(path, {"task": "sums"})
    for index in (2, 0, 1):
        pool.write(path, drawn(index))
    assert pool.read(path) == pool.Pool({"task": "sums"}, tuple(map(drawn, range(3))))
    pool.compact(path)
    assert pool.read(path).problems == tuple(map(drawn, range(3)))
    assert len(gzip.decompress(path.read_bytes()).splitlines()) == 4


@given(st.integers(1, 200))
def test_an_interrupted_draw_goes_on_behind_the_last_whole_problem(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("pools") / "pool.jsonl.gz"
    pool.append(path, {"task": "sums"})
    pool.write(path, drawn(0))
    whole = path.stat().st_size
    pool.write(path, drawn(1))
    cut = min(cut, path.stat().st_size - whole)
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size - cut)
    assert len(list(pool.lines(path, mend=True))) == 2
    assert path.stat().st_size == whole
    pool.write(path, drawn(1))
    assert pool.read(path).problems == (drawn(0), drawn(1))


# Checkers


@pytest.mark.parametrize(
    ("formula", "right"),
    [
        ("18 - 14 + 8", 1.0),
        ("(18-14)+8", 1.0),
        ("18 - 14 + 8 + 0", 0.0),
        ("18 - 14 + 9", 0.0),
        ("18 + 8", 0.0),
        ("18 - 14 + 8 - 8 + 8", 0.0),
        ("12", 0.0),
        ("18 ** 14", 0.0),
        ("__import__('os')", 0.0),
        ("18 / (14 - 14) + 8", 0.0),
        ("18 - 14 +", 0.0),
        ("(" * 99, 0.0),
        ("", 0.0),
    ],
)
def test_a_countdown_formula_is_checked_by_the_question_alone(formula, right):
    assert checks(ASKED, formula) == right


def test_a_question_that_is_not_countdown_has_no_right_formula():
    assert checks("What is 18 - 14 + 8?", "18 - 14 + 8") == 0.0
    assert len(WORDS) == 3


def test_the_checker_agrees_with_the_one_that_knows_the_answer():
    pytest.importorskip("reasoning_gym")
    task = TASKS["countdown"]
    for problem in task.problems("dev", 20):
        assert checks(problem.question, problem.answer) == 1.0
        assert task.right(problem, f"{problem.answer} = {problem.item['target']}")
        assert not task.right(problem, "1 + 1")
        assert not task.right(problem, None)


def test_each_split_has_problems_of_its_own():
    pytest.importorskip("reasoning_gym")
    for task in TASKS.values():
        dev, test = task.problems("dev", 20), task.problems("test", 20)
        assert digest(dev) != digest(test)
        assert digest(dev[:10]) == digest(task.problems("dev", 10))


def test_worked_examples_hold():
    for turns in wordings.WORKED.values():
        for question, reply in turns:
            path = Candidate(Prompt(()), steps=(Step(reply),), finish="stop")
            if turns is wordings.COUNTDOWN:
                assert checks(question, reply.removeprefix("<answer>").removesuffix("</answer>")) == 1.0
            else:
                assert judge(path).value == 1.0, reply


def test_an_unknown_wording_is_refused():
    with pytest.raises(ValueError, match="unknown prompt"):
        wordings.conversation("sums", "What?", "shouting")


def test_a_task_of_our_own_is_right_by_value():
    problems = TASKS["sums"].problems("smoke", 5)
    assert all(TASKS["sums"].right(problem, f"{problem.answer}.0") for problem in problems)
    assert digest(problems) != digest(TASKS["sums"].problems("dev", 5))
    assert 0.2 <= constant(problems) <= 1.0


# The freeze


def test_test_seeds_are_refused_while_the_settings_are_not_committed(tmp_path, monkeypatch):
    (tmp_path / "pools.toml").write_text("small = 'x'")
    with pytest.raises(freeze.Unfrozen, match=r"pools\.toml is not as committed"):
        freeze.allow("test", tmp_path)
    freeze.allow("dev", tmp_path)


def test_committed_settings_are_allowed_and_changed_ones_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(freeze, "HERE", tmp_path)
    monkeypatch.setattr(freeze, "DECIDING", ())
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    file = tmp_path / "pools.toml"
    file.write_text("small = 'x'")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "frozen"]):
        subprocess.run([*git, *command], check=True)
    freeze.allow("test", tmp_path)
    file.write_text("small = 'y'")
    with pytest.raises(freeze.Unfrozen):
        freeze.allow("test", tmp_path)


def test_what_is_frozen_can_be_read():
    strategies, digest_ = freeze.load("strategies")
    pools, _ = freeze.load("pools")
    assert len(digest_) == 64
    for entry in strategies["curve"]:
        curve = Curve(**{**entry, "tasks": tuple(entry["tasks"]), "n": tuple(entry["n"])})
        assert set(curve.tasks) <= set(TASKS)
    assert {entry["task"] for entry in pools["pool"]} <= set(TASKS)


def test_a_curve_can_call_its_n_otherwise():
    assert Curve("x", {"name": "best_of_n"}, (), (4,)).settings(4) == {"name": "best_of_n", "n": 4}
    assert Curve("x", {"name": "short_m", "k": "n", "m": 2}, (), (4,)).settings(4) == {
        "name": "short_m",
        "k": 4,
        "m": 2,
    }


# Curves


def test_a_curve_between_its_points_is_their_mixture():
    low = Point("t", "m", "vote", 1, (0.0, 1.0), (10.0, 10.0), (10.0, 10.0), 0.0)
    high = Point("t", "m", "vote", 2, (1.0, 1.0), (20.0, 20.0), (10.0, 10.0), 0.0)
    assert between([high, low], 15.0).right == (0.5, 1.0)
    assert between([high, low], 5.0) == low
    assert between([high, low], 50.0) == high


def test_a_pool_is_drawn_replayed_and_reported_on_the_simulated_engine(capsys):
    smoke()
    page = capsys.readouterr().out
    assert "small/vote@4" in page
    assert "small/beam@live" in page
    assert "choosing beats one greedy answer" in page


def test_a_sample_is_kept_whole():
    assert set(asdict(drawn(0).samples[0])) >= {"text", "tokens", "finish", "answer", "right", "logprob", "scores"}

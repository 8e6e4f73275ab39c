"""Code is run where it can touch nothing, and cannot forge its verdict."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio
import pytest
from pydantic import ValidationError

from strategies.protocols import Ask, BackendError
from strategies.testing import FakeBackend
from strategies.types import Candidate, Prompt, Step
from strategies.verifiers import code
from strategies.verifiers.code import Code, source_of
from strategies.verifiers.sandbox import lockdown
from tests.serving import until

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """Half the time: each of these starts processes, and nothing here depends on the loop."""
    return "asyncio"


def wrote(source):
    text = f"Here it is:\n```python\n{source}\n```\nDone."
    return Candidate(Prompt(()), steps=(Step(text),), finish="stop")


async def share(source, *tests, cases=(), seconds=2.0):
    """The share of tests that some code passes."""
    [score] = await Code(tests=list(tests), cases=list(cases), seconds=seconds).score([wrote(source)], ask())
    return score.value


def ask():
    return Ask(FakeBackend(lambda call, seed: ""))


SQUARE = "def f(x):\n    return x * x"


async def test_the_score_is_the_share_of_tests_passed():
    assert await share(SQUARE, "assert f(3) == 9", "assert f(4) == 16", "assert f(2) == 5", "f(") == 0.5


async def test_tests_may_be_of_many_lines_and_use_what_they_import():
    check = "import math\ndef check(f):\n    for x in range(5):\n        assert math.isclose(f(x), x * x)\ncheck(f)"
    assert await share(SQUARE, check) == 1.0


@pytest.mark.parametrize(
    "value",
    [
        "1",
        "-2.5",
        "True",
        "None",
        "'é'",
        "b'x'",
        "[1, (2, 3)]",
        "{1, 2}",
        "{(1, 2): [3]}",
        "frozenset({1})",
        "2**200",
        "2j",
    ],
)
async def test_plain_values_come_and_go_as_they_are(value):
    exact = f"value = {value}\nassert same(value) == value and type(same(value)) is type(value)"
    assert await share("def same(x):\n    return x", exact) == 1.0


async def test_objects_of_the_code_can_be_used():
    source = """
class Stack:
    def __init__(self): self.items = []
    def push(self, x): self.items.append(x); return self
    def pop(self): return self.items.pop()
    def __len__(self): return len(self.items)
    def __getitem__(self, at): return self.items[at]
def numbers():
    yield from range(3)
"""
    tests = [
        "s = Stack()\ns.push(1).push(2)\nassert len(s) == 2 and s.pop() == 2 and s[0] == 1 and s.items == [1]",
        "assert list(numbers()) == [0, 1, 2]",
        "try:\n    Stack().pop()\nexcept IndexError:\n    pass\nelse:\n    assert False",
        "import collections\nassert collections.Counter('aab') == {'a': 2, 'b': 1}",
    ]
    assert await share(source, *tests) == 1.0


async def test_a_program_is_judged_by_what_it_writes():
    source = "a, b = map(int, input().split())\nprint(a + b)\nexit()"
    cases = [{"stdin": "2 3\n", "stdout": "5"}, {"stdin": "1 1", "stdout": "2  \n\n"}, {"stdin": "1 1", "stdout": "3"}]
    assert await share(source, cases=cases) == pytest.approx(2 / 3)


async def test_a_long_input_and_a_long_output_pass():
    source = "import sys\nfor line in sys.stdin:\n    print(line.strip())"
    text = "\n".join(map(str, range(15_000)))
    assert await share(source, cases=[{"stdin": text, "stdout": text}]) == 1.0


FORGERIES = {
    "printing a verdict": "print('1' * 100, flush=True)\ndef f(x): return 0",
    "writing a verdict everywhere": "import os\nfor at in range(64):\n    try: os.write(at, b'1' * 100)\n"
    "    except OSError: pass\ndef f(x): return 0",
    "leaving with success": "import os\nos._exit(0)",
    "leaving within a call": "import os\ndef f(x): os._exit(0)",
    "SystemExit": "import sys\ndef f(x): sys.exit(0)",
    "an object that equals all": "class A:\n    def __eq__(self, other): return True\n"
    "    def __ne__(self, other): return False\n    __hash__ = None\ndef f(x): return A()",
    "a number that equals all": "class A(int):\n    def __eq__(self, other): return True\ndef f(x): return A(0)",
    "other builtins": "import builtins\nbuiltins.abs = builtins.all = builtins.isinstance = lambda *a: True\n"
    "def abs(x): return 0\ndef f(x): return 0",
    "a name for builtins": "__builtins__ = {'abs': lambda x: 0}\ndef f(x): return 0",
    "another module's name": "import unittest.mock as math\ndef f(x): return 0",
    "no assertions": "import sys\nsys.modules['builtins'].AssertionError = SystemExit\ndef f(x): return 0",
    "patching the frames of callers": "import sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n"
    "        frame.f_globals['f'] = lambda x: 9\n        frame = frame.f_back\n    return 0",
    "a frame of its own making": "import json, os, struct\nbody = json.dumps({'__builtins__': {'value': {'dict': []}}, "
    "'abs': {'value': {'ref': 0}}, 'f': {'value': 0}}).encode()\nfor at in range(3, 64):\n"
    "    try: os.write(at, struct.pack('>I', len(body)) + body)\n    except OSError: pass\ndef f(x): return 0",
    "garbage on the wire": "import os\nfor at in range(3, 64):\n    try: os.write(at, b'\\x00\\x00\\x00\\x03[[[')\n"
    "    except OSError: pass\ndef f(x): return 0",
    "a reply without end": "def f(x): return 'x' * (1 << 24)",
    "a deep reply": "def f(x):\n    a = []\n    for _ in range(100000): a = [a]\n    return a",
    "an endless loop": "def f(x):\n    while True: pass",
    "an endless import": "while True: pass",
    "all memory": "def f(x): return len(bytearray(1 << 32))",
    "a crash": "import ctypes\ndef f(x): ctypes.string_at(0)",
    "nothing": "",
    "no Python": "def f(x) return 9",
    "a surrogate": "x = '\ud800'\ndef f(x): return 0",
    "NUL": "x = '\x00'\ndef f(x): return 0",
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_verdict_cannot_be_forged_by(name):
    tests = [
        "assert f(3) == 9",
        "import math\nassert abs(f(3) - 9) < 1 and math.isclose(f(3), 9)",
        "assert f(3) in (9,)",
    ]
    assert await share(FORGERIES[name], *tests, seconds=0.5) == 0.0


async def test_no_test_can_be_found_in_memory():
    source = """
import gc, os, sys
def f(x):
    frame, found, word = sys._getframe(), 0, "".join(["SEC", "RET"])
    while frame:
        found += any(word in repr(value) for name, value in frame.f_locals.items() if name != "word")
        frame = frame.f_back
    for value in gc.get_objects():
        if isinstance(value, (list, tuple, set)):
            found += any(isinstance(part, (str, bytes)) and word in str(part) for part in value)
    return found
"""
    assert await share(source, "'SECRET'\nassert f(1) == 0", "assert f(1) == 0  # SECRET") == 1.0


DEEDS = {
    "a socket": "import socket\nsocket.socket()",
    "a connection": "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')",
    "a process": "import os\nos.fork()",
    "a program": "import subprocess\nsubprocess.run(['/bin/true'])",
    "a shell": "import os\nif os.system('true') == 0: raise SystemExit\nraise OSError",
    "a signal to its parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
    "a signal to all": "import os, signal\nos.kill(-1, signal.SIGKILL)",
    "a session of its own": "import os\nos.setsid()",
    "a file in its folder": "open('x', 'w')",
    "a folder": "import os\nos.mkdir('x')",
    "a file elsewhere": "open('/tmp/ponder-escaped', 'w')",
    "reading a file of the server": f"open({str(ROOT / 'pyproject.toml')!r})",
    "reading accounts": "open('/etc/passwd')",
    "reading its parent's environment": "import os\nopen(f'/proc/{os.getppid()}/environ')",
    "reading its parent's memory": "import os\nopen(f'/proc/{os.getppid()}/mem', 'rb')",
    "removing a file": "import os\nos.unlink('/tmp')",
    "changing rights": "import os\nos.chmod('.', 0o777)",
    "becoming another": "import os\nos.setuid(1)",
    "another root": "import os\nos.chroot('.')",
    "more memory": "import resource as r\ntry: r.setrlimit(r.RLIMIT_AS, (-1, -1))\nexcept ValueError: raise OSError",
    "io_uring": "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True)\n"
    "if c.syscall(425, 8, bytes(120)) < 0: raise OSError(ctypes.get_errno())",
    "ptrace": "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True)\n"
    "if c.ptrace(16, os.getppid(), 0, 0) < 0: raise OSError(ctypes.get_errno())",
    "outliving its parent": "import ctypes\nif ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) < 0: raise OSError",
}


@pytest.mark.parametrize("deed", DEEDS)
async def test_code_is_not_allowed(deed):
    assert await share(doing(deed), "assert f() == 'refused', f()") == 1.0


def doing(deed):
    """Code that tries something, and tells how that went."""
    lines = "".join(f"        {line}\n" for line in DEEDS[deed].splitlines())
    return f"def f():\n    try:\n{lines}    except OSError:\n        return 'refused'\n    return 'done'"


@pytest.mark.parametrize(
    "deed", ["a socket", "a process", "a file in its folder", "reading accounts", "a signal to all"]
)
async def test_a_test_is_allowed_no_more_than_the_code(deed):
    lines = "".join(f"    {line}\n" for line in DEEDS[deed].splitlines())
    assert await share(SQUARE, f"try:\n{lines}except OSError:\n    pass\nelse:\n    assert False") == 1.0


async def test_neither_sees_the_environment_or_a_file_in_its_folder(monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    see = "import os\ndef see():\n    return sorted(set(os.environ) - {'LANG', 'LC_CTYPE'}), os.listdir('.')"
    assert await share(see, "assert see() == ([], [])", f"{see}\nassert see() == ([], [])") == 1.0


async def test_a_test_that_hangs_costs_its_own_time_only():
    start = time.monotonic()
    tests = ["assert f(3) == 9", "while True: pass", "assert f(4) == 16"]
    assert await share(SQUARE, *tests, seconds=1.0) == pytest.approx(2 / 3)
    assert time.monotonic() - start < 6


async def test_tests_do_not_see_each_others_traces():
    source = "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)"
    assert await share(source, "assert f(1) == 1", "assert f(1) == 1") == 1.0


def sandboxes():
    """The process groups of all processes that test code."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if b"sandbox.checker" in (entry / "cmdline").read_bytes():
                found.append(os.getpgid(int(entry.name)))
        except OSError:
            continue
    return found


def folders():
    return set(Path(tempfile.gettempdir()).glob("ponder-*"))


async def test_a_call_that_is_cut_leaves_no_process_and_no_folder():
    before = folders()
    with anyio.move_on_after(0.25):
        await share("def f(x):\n    while True: pass", "f(1)", seconds=10)
    await gone()
    assert folders() <= before


async def gone():
    await until(lambda: not sandboxes(), 5)


HOLDER = """
import anyio
from tests.strategies.verifiers.test_code import share
anyio.run(lambda: share("import time\\ndef f(x):\\n    time.sleep(100)", "f(1)", seconds=10))
"""


async def test_a_server_killed_by_kill_9_leaves_no_code_running(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = await anyio.open_process([sys.executable, "-c", HOLDER], cwd=ROOT, env=environment)
    async with process:
        await until(lambda: len(sandboxes()) >= 3, 20)
        process.kill()
    await gone()


async def test_only_so_many_run_at_once():
    source, most = "import time\ndef f(x):\n    time.sleep(0.05)", 0

    async def watch():
        nonlocal most
        while True:
            most = max(most, len(set(sandboxes())))
            await anyio.sleep(0.01)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await Code(tests=["f(1)"]).score([wrote(f"{source}  # {at}") for at in range(12)], ask())
        tasks.cancel_scope.cancel()
    assert 1 < most <= code.AT_ONCE


async def test_the_same_code_is_run_once():
    scores = await Code(tests=["assert f(3) == 9"]).score([wrote(SQUARE)] * 40 + [wrote("f = 1")], ask())
    assert [score.value for score in scores] == [1.0] * 40 + [0.0]


NO_LANDLOCK = "lockdown.restrict_files = lambda readable: False"
NO_NAMESPACES = "lockdown.NAMESPACES = 1"  # an invalid flag
NO_FILTER = "lockdown.machine = lambda: None"


def checked(without, *tests, source=SQUARE):
    """What a checker says where some layers are missing."""
    program = (
        "import sys\nsys.path.append(sys.argv[1])\nfrom strategies.verifiers.sandbox import checker, lockdown\n"
        f"{without}\nchecker.main()"
    )
    job = json.dumps({"source": source, "tests": tests, "cases": [], "seconds": 2}).encode() + b"\n"
    command = [sys.executable, "-I", "-S", "-c", program, str(ROOT)]
    return subprocess.run(command, input=job, capture_output=True, check=False).stdout


@pytest.mark.parametrize("without", [NO_LANDLOCK, NO_NAMESPACES])
@pytest.mark.parametrize(
    "deed",
    [
        "a socket",
        "a process",
        "a signal to all",
        "a file in its folder",
        "reading its parent's environment",
        "reading its parent's memory",
    ],
)
def test_one_layer_less_still_keeps_code_in(without, deed):
    assert checked(without, "assert f() == 'refused', f()", source=doing(deed)) == b"1"


@pytest.mark.parametrize("without", [f"{NO_LANDLOCK}; {NO_NAMESPACES}", NO_FILTER])
def test_where_code_cannot_be_kept_in_it_is_not_run(without):
    assert checked(without, "assert True").startswith(b"!n")


def test_the_filter_knows_both_architectures_and_no_other():
    assert lockdown.machine_of("riscv64") is None
    for name in ("x86_64", "aarch64"):
        known = lockdown.machine_of(name)
        assert known
        program = lockdown.filter_for(known)
        assert len(program) % 8 == 0
        assert len(program) // 8 < 4096


def test_a_refusal_is_told():
    with pytest.raises(BackendError, match="cannot be run safely here: no way"):
        code.share_of(b"!no way", 1)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("```python\na = 1\n```\nand\n```python\nb = 2\n```\nso\n```\n3\n```", "b = 2\n"),
        ("```\na = 1\n```\nor\n```\nb = 2\n```", "b = 2\n"),
        ("a = 1", "a = 1"),
        ("```py\na = 1", "a = 1"),
        ("<think>```python\nx\n```</think>```Python3 title=x\na = 1\n```", "a = 1\n"),
    ],
)
def test_the_last_block_of_python_is_the_code(text, source):
    assert source_of(Candidate(Prompt(()), steps=(Step(text),), finish="stop")) == source


def test_code_without_tests_is_refused():
    with pytest.raises(ValidationError, match="tests or cases"):
        Code()

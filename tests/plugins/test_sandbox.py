"""The sandbox of the reward `code` against hostile programs, and its cleanup."""

import os
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from machine import require
from r1trl_code.choice import missing_requirements
from r1trl_code.reward import code

from r1trl.rewards.pool import Failure, Pool

require("bubblewrap", missing_requirements() is None, str(missing_requirements()))

SECRET = "r1trl-secret-9b1d"
CANARY = Path(tempfile.gettempdir()) / "r1trl-hostile-canary"
BOUND = 8.0  # seconds for a sample of one case of one second, on a busy machine


def sandboxes() -> set[psutil.Process]:
    """Return the processes in sandboxes, and their bwrap parents."""
    found = set()
    for process in psutil.process_iter():
        try:
            ended = process.status() == psutil.STATUS_ZOMBIE  # init will reap it
            inside = process.name() == "bwrap" or "/main.py" in process.cmdline()
            if inside and not ended and not of_another_worker(process):
                found.add(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def of_another_worker(process: psutil.Process) -> bool:
    """True if another process of pytest-xdist, beside this one, has started a process."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return False
    me = psutil.Process()
    others = {other for other in me.parent().children() if other != me}
    return any(parent in others for parent in process.parents())


def none_left(before: set[psutil.Process]) -> bool:
    """Wait until the kernel has ended the killed processes."""
    deadline = time.monotonic() + 3
    while sandboxes() - before and time.monotonic() < deadline:
        time.sleep(0.02)
    return not sandboxes() - before


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch):
    """Check after each test that no process goes on and no file was written here."""
    monkeypatch.setenv("R1TRL_SECRET", SECRET)
    before = sandboxes()
    start = time.monotonic()
    yield
    assert none_left(before)
    assert time.monotonic() - start < BOUND
    assert not CANARY.exists()


def score(program: str, case, **options):
    completion = f"```python\n{program}\n```"
    return code.function(completion, [case], **({"seconds": 1.0} | options))


REFUSED_OR_DONE = """
import ctypes, os, resource, socket, subprocess, time
libc = ctypes.CDLL(None)
arm = os.uname().machine == "aarch64"
def attempt():
    return {}
try:
    print("refused" if attempt() == -1 else "done")
except (OSError, ValueError):
    print("refused")
"""

REFUSED = {
    "subprocess": "subprocess.run(['/bin/true'])",
    "fork": "os.fork()",
    "vfork": "libc.vfork()",
    "clone": "libc.syscall(220 if arm else 56, 17, 0, 0, 0, 0)",
    "clone3": "libc.syscall(435, ctypes.create_string_buffer(88), 88)",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "terminal of its own": "os.forkpty()",
    "multiprocessing": "__import__('multiprocessing').Process(target=print).start()",
    "process pool": "__import__('multiprocessing').Pool(2)",
    "socket": "socket.socket()",
    "unix socket": "socket.socket(socket.AF_UNIX)",
    "connection": "socket.create_connection(('1.1.1.1', 53))",
    "name lookup": "socket.getaddrinfo('example.com', 80)",
    "passwords": "open('/etc/shadow')",
    "users": "open('/etc/passwd')",
    "homes": "os.listdir('/home')",
    "processes": "os.listdir('/proc')",
    "its parent's environment": "open(f'/proc/{os.getppid()}/environ')",
    "its parent's memory": "open(f'/proc/{os.getppid()}/mem', 'rb')",
    "kernel": "os.listdir('/sys')",
    "logs": "os.listdir('/var')",
    "terminal": "open('/dev/tty')",
    "shared memory": "open('/dev/shm/x', 'w')",
    "memory file": "os.memfd_create('x')",
    "System V memory": "libc.shmget(0, 4096, 0o1600)",
    "write to root": "open('/x', 'w')",
    "write to a device's folder": "open('/dev/x', 'w')",
    "write to programs": "open('/usr/bin/x', 'w')",
    "write to Python": "open(os.__file__, 'a')",
    "write to its own source": "open('/main.py', 'a')",
    "hard link": "os.link('/main.py', '/tmp/x')",
    "symbolic link": "[os.symlink('/etc/shadow', 'x'), open('x')]",
    "device": "os.mknod('/tmp/x', 0o20666, os.makedev(1, 1))",
    "to be root": "os.setuid(0)",
    "chroot": "os.chroot('/tmp')",
    "mount": "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
    "remount": "libc.mount(b'/', b'/', b'', 32 | 4096, None)",
    "unmount": "libc.umount2(b'/tmp', 2)",
    "namespace": "libc.unshare(0x10000000)",
    "trace": "libc.ptrace(16, os.getppid(), 0, 0)",
    "keyring": "libc.syscall(219 if arm else 250, 0, -3, 1)",
    "io_uring": "libc.syscall(425, 1, ctypes.create_string_buffer(120))",
    "more memory": "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "more time": "resource.setrlimit(resource.RLIMIT_CPU, (-1, -1))",
    "large file": "os.truncate(os.open('x', os.O_CREAT | os.O_RDWR), 1 << 40)",
    "sparse file": "os.pwrite(os.open('x', os.O_CREAT | os.O_RDWR), b'x', 1 << 40)",
    "many files": "[open(f'x{n}', 'w') for n in range(1000)]",
    "full disk": "[open(f'x{n}', 'wb').write(bytes(1 << 20)) for n in range(1000)]",
    "full standard output": "[os.write(1, bytes(1 << 20)) for n in range(1000)]",
}


@pytest.mark.parametrize("attempt", REFUSED.values(), ids=REFUSED)
def test_a_program_is_refused(attempt):
    output = "refused" if "os.write(1" not in attempt else "\0" * (8 << 20) + "refused"
    program = REFUSED_OR_DONE.replace("{}", attempt)
    # What fills its own output has no room left to say so.
    expected = 0 if attempt == REFUSED["full standard output"] else 1
    assert score(program, {"output": output}) == expected


def test_the_same_programs_are_not_refused_outside():
    for attempt in ("os.fork()", "socket.socket()", "open('/etc/passwd')", "os.listdir('/proc')"):
        program = REFUSED_OR_DONE.replace("{}", attempt) + "\nos._exit(0)"
        case = {"output": "refused"}
        assert score(program, case, sandbox="dangerously_unsandboxed") == 0


SEEN = {
    "files": ("import os; print(os.listdir('/tmp'))", "[]"),
    "secrets": ("import os; print(*sorted(os.environ))", "HOME LC_CTYPE PWD"),
    "its user": ("import os; print(os.getuid(), os.getgid())", "65534 65534"),
    "its host": ("import os; print(os.uname().nodename)", "sandbox"),
    "its processes": ("import os; print(os.getpid() < 10)", "True"),
    "its devices": ("import os; print(*sorted(os.listdir('/dev')))", "null random urandom zero"),
    "its open files": (
        "import os\nfor n in range(99):\n    try: os.fstat(n); print(n)\n    except OSError: 0",
        "0\n1\n2",
    ),
    "no secret file": (f"import os; print(os.path.exists('{CANARY}.there'))", "False"),
    "its own folder": (f"open('{CANARY}', 'w').write('x'); print(open('{CANARY}').read())", "x"),
    "no parent to kill": ("import os, signal; os.kill(os.getppid(), 9); print('alive')", "alive"),
    "memory has an end": (
        "try: bytearray(10**10)\nexcept MemoryError: print('end')",
        "end",
    ),
    "memory ends bit by bit": (
        "x = [0]\ntry:\n    while True: x += x\nexcept MemoryError: print('end')",
        "end",
    ),
    "recursion has an end": (
        "def f(): f()\ntry: f()\nexcept RecursionError: print('end')",
        "end",
    ),
    "standard error goes nowhere": (
        "import sys\nfor _ in range(50): sys.stderr.write('x' * 10**6)\nprint('a')",
        "a",
    ),
    "a pickle cannot run a program": (
        "import os, pickle\n"
        f"pickle.loads(b\"cposix\\nsystem\\n(S'touch {CANARY}'\\ntR.\")\n"
        f"print(os.path.exists('{CANARY}'))",
        "False",
    ),
    "the shell": ("import os; os.system('touch x'); print(os.path.exists('x'))", "False"),
    "shadows": ("import builtins; p = print; builtins.print = 0; p('a')", "a"),
}


@pytest.mark.parametrize(("program", "output"), SEEN.values(), ids=SEEN)
def test_a_program_sees_only_its_sandbox(program, output):
    # Memory that ends takes what a busy machine needs to hand it out.
    seconds = 5.0 if "MemoryError" in program else 1.0
    assert score(program, {"output": output}, seconds=seconds) == 1


def test_a_program_need_not_read_its_input():
    assert score("print('a')", {"input": "x" * 50_000_000, "output": "a"}) == 1


WORTHLESS = {
    "fork bomb": "import os\nwhile True: os.fork()",
    "caught fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "thread bomb": "import threading, time\nwhile True:\n"
    "    try: threading.Thread(target=time.sleep, args=[99]).start()\n    except RuntimeError: 0",
    "small thread bomb": "import threading, time\nthreading.stack_size(32768)\nwhile True:\n"
    "    try: threading.Thread(target=time.sleep, args=[99]).start()\n    except RuntimeError: 0",
    "memory bomb": "x = b'x' * 10**6\nwhile True: x += x",
    "deep recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(): return f()\nf()",
    "deep recursion in C": "x = []\nfor _ in range(10**7): x = [x]\nrepr(x)",
    "many small files": "n = 0\nwhile True:\n    open(f'x{n}', 'w'); n += 1",
    "output flood": "while True: print('a' * 10**6)",
    "caught output flood": "import os\nwhile True:\n    try: os.write(1, b'a' * 10**6)\n"
    "    except OSError: 0",
    "error flood": "import sys\nwhile True: sys.stderr.write('a' * 10**6)",
    "sleep": "import time\ntime.sleep(999)",
    "loop": "while True: pass",
    "loop of C": "10**10**9",
    "long multiplication": "import sys\nsys.set_int_max_str_digits(0)\nprint(3**10**8)",
    "huge integer": "print(10**10**5)",
    "reading for ever": "open('/dev/zero', 'rb').read()",
    "ignored signals": "import signal, time\nfor s in range(1, 65):\n"
    "    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): 0\n"
    "while True: time.sleep(1)",
    "ignored time limit": "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
    "while True: pass",
    "new session": "import os, time\ntry: os.setsid()\nexcept OSError: 0\ntime.sleep(99)",
    "another program": "import os\nos.execv('/bin/sh', ['sh', '-c', 'sleep 99 & sleep 99'])",
    "another sandbox": "import os\nos.execv('/bin/sh', ['sh', '-c', 'echo a; kill -9 -1; false'])",
    "sleep at exit": "import atexit, time\natexit.register(time.sleep, 99)\nprint('a')",
    "thread that stays": "import threading, time\nprint('a', flush=True)\n"
    "threading.Thread(target=time.sleep, args=[99]).start()",
    "closed output": "import os\nprint('a')\nos.close(1)",
    "all files closed": "import os, time\nos.closerange(0, 99)\ntime.sleep(99)",
    "crash": "import ctypes\nctypes.string_at(0)",
    "abort": "import os\nprint('a', flush=True)\nos.abort()",
    "suicide": "import os\nprint('a', flush=True)\nos.kill(os.getpid(), 9)",
    "32-bit calls": "import ctypes\nprint('a', flush=True)\n"
    "ctypes.CDLL(None).syscall(0x40000000 | 39)",
    "regular expression": "import re\nre.match('(a*)*b', 'a' * 99)",
    "more output": "print('a\\nb')",
}


@pytest.mark.parametrize("program", WORTHLESS.values(), ids=WORTHLESS)
def test_a_program_that_does_not_end_well_scores_nothing_in_time(program):
    assert score(program, {"output": "a"}) == 0


@pytest.mark.parametrize("name", ["sleep", "loop", "memory bomb", "fork bomb", "all files closed"])
def test_the_same_holds_for_a_function_under_tests(name):
    body = WORTHLESS[name].replace("\n", "\n    ")
    program = f"def f():\n    {body}"
    assert score(program, {"assert": "f()"}) == 0
    assert score(program, {"call": "f", "args": [], "returns": None}) == 0


TOKEN = "token-5577"
SEARCH = """
import gc, glob, os, re, sys
wanted = re.compile("token-[0-9]+")
def strings():
    for thing in gc.get_objects():
        for inner in gc.get_referents(thing):
            if type(inner) is str: yield inner
    frame = sys._getframe()
    while frame:
        yield repr(frame.f_locals) + repr(frame.f_globals) + repr(frame.f_code.co_consts)
        frame = frame.f_back
    for path in ("/main.py", *glob.glob("/tmp/**", recursive=True), *sys.argv):
        try: yield open(path).read()
        except OSError: pass
    for number in range(99):
        try: yield os.pread(number, 10**6, 0).decode(errors="replace")
        except OSError: pass
    yield repr(os.environ)
def f():
    for text in strings():
        found = wanted.search(text)
        if found: return found.group()
    return "nothing"
if __name__ == "__main__":
    print(f())
"""


def test_a_solution_finds_its_tests_nowhere():
    cases = [
        {"input": "", "output": TOKEN},
        {"call": "f", "args": [], "returns": TOKEN},
        {"assert": f"assert f() == {TOKEN!r}"},
    ]
    for case in cases:
        assert score(SEARCH, case, seconds=5.0) == 0
    assert score(SEARCH, {"assert": "assert f() == 'nothing'"}, seconds=5.0) == 1
    assert score(f"x = '{TOKEN}'" + SEARCH, {"assert": f"assert f() == {TOKEN!r}"}) == 1


FORGED = """
import json, os
for number in range(3, 99):
    try: os.fstat(number)
    except OSError: continue
    break
names = [["f", {"object": [1, 9]}], ["abs", {"object": [1, 9]}]]
names += [["isinstance", {"object": [2, 9]}]]
names += [["int", 0], ["float", 0]]
about = [["name", "C"], ["module", "m"], ["bases", []], ["plain", None], ["special", ["call"]]]
answers = {0: {"dict": names}, 1: 0, 2: True, 9: {"dict": about}}
replies = os.fdopen(os.dup(number), "w")
for line in os.fdopen(number):
    _, (target, *_), _ = json.loads(line)
    reply = {"value": answers[target["object"]], "given": [[], {"dict": []}]}
    replies.write(json.dumps(reply) + "\\n")
    replies.flush()
"""
CHEATS = {
    "ends at once": "import os\nos._exit(0)",
    "ends when asked": "def f(x):\n    import os\n    os._exit(0)",
    "exits when asked": "def f(x): raise SystemExit(0)",
    "exits at once": "import sys\nsys.exit(0)",
    "quits": "def f(x): quit()",
    "closes the way": "def f(x):\n    import os\n    os.closerange(0, 99)",
    "claims to have passed": "import os\nfor n in range(256):\n"
    "    try: os.write(n, b'passed\\n1.0\\n0\\n')\n    except OSError: 0\ndef f(x): return 0",
    "kills the tests": "import os\nos.kill(-1, 9)\nos.kill(os.getppid(), 9)\ndef f(x): return 0",
    "changes Python": "import builtins, sys\nbuiltins.AssertionError = ValueError\n"
    "builtins.abs = lambda x: 0\nsys.exit = lambda *a: None\nsys.excepthook = print\n"
    "def f(x): return 0",
    "changes JSON": 'import json\njson.dumps = lambda x: \'{"value": 9, "given": []}\'\n'
    "def f(x): return 0",
    "its own protocol": FORGED,
    "its own builtins": FORGED.replace(
        "answers =", "names = [['__builtins__', {'dict': names}]]\nanswers ="
    ),
    "writes ahead": "import os\ndef f(x): return 0\nfor n in range(3, 99):\n"
    '    try: os.write(n, b\'{"value": 9, "given": [[], {"dict": []}]}\\n\')\n'
    "    except OSError: 0",
    "huge value": "def f(x): return 'x' * 10**9",
    "deep value": "def f(x):\n    x = []\n    for _ in range(10**6): x = [x]\n    return x",
    "circular value": "def f(x):\n    x = []\n    x.append(x)\n    return x",
    "endless values": "import itertools\ndef f(x): return itertools.repeat(0)",
    "object without text": "class E(Exception):\n    def __str__(self): return 1 / 0\n"
    "def f(x): raise E",
    "skips": "import unittest\ndef f(x): raise unittest.SkipTest",
    "exits with its own exit": "class Exit(SystemExit): pass\ndef f(x): raise Exit(0)",
    "ends the iteration": "def f(x): raise StopIteration",
    "class in place of a function": "class f:\n    def __init__(self, x): pass\n"
    "    __iter__ = lambda self: self\n    __next__ = lambda self: self\n"
    "    __abs__ = __sub__ = __add__ = __radd__ = lambda *args: 0",
    "bad classes": FORGED.replace('["bases", []]', '["bases", [{"builtin": "print"}]]'),
    "its own base": FORGED.replace('["bases", []]', '["bases", [{"class": 9}]]'),
    "false class": "class C:\n    __class__ = int\ndef f(x): return C()",
    "thread that talks": "import os, threading\ndef talk():\n    while True:\n"
    "        for n in range(3, 9):\n            try: os.write(n, b'[]\\n')\n"
    "            except OSError: 0\nthreading.Thread(target=talk).start()\ndef f(x): return 0",
}
HIDDEN = """
try:
    found = f(3)
except Exception:
    found = 0
if not isinstance(found, (int, float)):
    found = sum(found)
assert abs(found - 9) < 1e-6
"""


@pytest.mark.parametrize("program", CHEATS.values(), ids=CHEATS)
def test_a_cheat_passes_no_assertion(program):
    assert score(program, {"assert": HIDDEN}) == 0
    assert score("def f(x): return x * x", {"assert": HIDDEN}) == 1


@pytest.mark.parametrize("program", CHEATS.values(), ids=CHEATS)
def test_a_cheat_returns_nothing_expected(program):
    assert score(program, {"call": "f", "args": [3], "returns": "other"}) == 0


@pytest.mark.parametrize("case", [{"output": "a"}, {"assert": "f()"}], ids=["alone", "pair"])
def test_programs_die_with_the_scoring_process_that_is_killed(case):
    program = "import time\ntime.sleep(0 if __name__ == 'solution' else 60)\n"
    program += "def f(): time.sleep(60)"
    rows = {"completion": [f"```python\n{program}\n```"], "tests": [[case]]}
    pool, before = Pool(1, deadline=1.5), sandboxes()
    try:
        (found,) = code.score(rows, {"seconds": 60.0}, pool)
        assert isinstance(found, Failure) and found.kind == "timeout"
        assert none_left(before)
    finally:
        pool.close()


def test_a_scoring_process_outlives_what_its_programs_do():
    bad = ["import os\nos.kill(os.getppid(), 9)\nos.kill(-1, 9)", "b'x' * 10**12", "exit(3)"]
    programs = [*bad, "print('a')"]
    rows = {
        "completion": [f"```python\n{program}\n```" for program in programs],
        "tests": [[{"output": "a"}]] * 4,
    }
    pool = Pool(1, deadline=10.0)
    try:
        assert code.score(rows, {}, pool) == [0, 0, 0, 1]
    finally:
        pool.close()

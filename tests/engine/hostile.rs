//! Answers that do what they can to pass, to see what is hidden from them, or to do harm.

use std::fmt::Write as _;

/// Programs that add two numbers, or would rather do something else; what is to become of each.
pub(crate) const PROGRAMS: &[(&str, &str, &str)] = &[
    ("right", "print(sum(map(int, input().split())))", "passed"),
    ("slow", "import time\ntime.sleep(1)\nprint(sum(map(int, input().split())))", "passed"),
    ("wrong", "print(3)", "wrong"),
    ("endless", "while True: pass", "time"),
    ("sleeps", "import time\ntime.sleep(100)", "time"),
    ("forks", "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "time"),
    ("memory", "x = []\nwhile True: x.append(bytearray(10**7))", "memory"),
    (
        "disk",
        "import itertools\nfor i in itertools.count():\n    open(f'/tmp/{i}', 'wb').write(b'x' * 10**6)",
        "raised",
    ),
    ("inodes", "import itertools\nfor i in itertools.count(): open(f'/tmp/{i}', 'w')", "raised"),
    (
        "one-file",
        "with open('/tmp/x', 'wb') as f:\n    while True: f.write(b'x' * 10**6)",
        "raised",
    ),
    ("prints", "while True: print('x' * 10000)", "output"),
    ("shouts", "import sys\nwhile True: sys.stderr.write('x' * 10000)", "output"),
    (
        "network",
        "import socket\nsocket.create_connection(('1.1.1.1', 80), timeout=3)\nprint(3)",
        "raised",
    ),
    ("names", "import socket\nprint(socket.gethostbyname('example.org'))", "raised"),
    (
        "engine",
        "import os\nprint(sum(map(int, input().split())) if any('docker' in f for f in os.listdir('/run')) else 0)",
        "wrong",
    ),
    ("ends-early", "import os\nos._exit(0)", "wrong"),
    // Whether its shell or the program itself is seen to end first is up to the machine.
    ("kills-all", "import os\nos.kill(-1, 9)", "raised or wrong"),
    // The first process of the container does not die of this, and nothing else of it is in reach.
    ("kills-first", "import os\nos.kill(1, 9)\nprint(sum(map(int, input().split())))", "passed"),
    ("root", "import os\nos.setuid(0)", "raised"),
    ("crashes", "import ctypes\nctypes.string_at(0)", "raised"),
    (
        "deep",
        "def f(n): return n and 1 + f(n - 1)\nimport sys\nsys.setrecursionlimit(10**6)\nf(20000)\nprint(sum(map(int, input().split())))",
        "passed",
    ),
    (
        // Whatever it can read: no result that is expected is among it. One that it finds, it prints.
        "searches",
        "import os, re\nseen = ''\nfor root, _, files in os.walk('/proc'):\n    for f in files:\n        if f in ('cmdline', 'environ', 'maps', 'mountinfo'):\n            \
         try: seen += open(os.path.join(root, f), errors='replace').read(100000)\n            except OSError: pass\n\
         for root, _, files in os.walk('/tmp'):\n    for f in files: seen += open(os.path.join(root, f), errors='replace').read()\n\
         found = re.findall('86421' + '97', seen)\nprint(found[0] if found else 'nothing')",
        "wrong",
    ),
    (
        "writes",
        "done = []\nfor f in ('/etc/passwd', '/usr/x', '/x', '/dev/shm/x', '/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/sys/fs/cgroup/x', '/sys/kernel/x', '/dev/sda', '/dev/mem', '/proc/1/root/etc/x'):\n    \
         try:\n        open(f, 'w').write('1')\n        done.append(f)\n    except OSError: pass\nprint(done or sum(map(int, input().split())))",
        "passed",
    ),
];

/// Functions that add two numbers, or have something else in mind. All but the first can only be right by adding.
pub(crate) const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("f-right", "def add(a, b): return a + b", "passed"),
    ("f-wrong", "def add(a, b): return 3", "wrong"),
    (
        "f-equals-all",
        "class All:\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\ndef add(a, b): return All()",
        "wrong",
    ),
    (
        "f-equals-int",
        "class All(int):\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\ndef add(a, b): return All()",
        "wrong",
    ),
    ("f-endless", "def add(a, b):\n    while True: pass", "time"),
    ("f-memory", "def add(a, b): return [['x' * 10**6] for _ in range(10**6)]", "memory"),
    ("f-large", "def add(a, b): return 'x' * 3 * 10**7", "output"),
    (
        "f-deep",
        "def add(a, b):\n    x = []\n    for _ in range(10**5): x = [x]\n    return x",
        "raised",
    ),
    ("f-exit", "import os\ndef add(a, b): os._exit(0)", "raised"),
    ("f-exits", "import sys\ndef add(a, b): sys.exit(0)", "raised"),
    ("f-exit-first", "import os\nos._exit(0)", "raised"),
    (
        "f-forks",
        "import os\ndef add(a, b):\n    while True:\n        try: os.fork()\n        except OSError: pass",
        "time",
    ),
    ("f-syntax", "def add(a, b) return a + b", "raised"),
    ("f-absent", "def plus(a, b): return a + b", "raised"),
    (
        // Speaks on every descriptor as the tests' side would.
        "f-forges",
        "import os\ndef say():\n    for i in range(64):\n        try: os.write(i, b'{\"test\": 1}\\n{\"done\": true}\\n')\n        except OSError: pass\nsay()\ndef add(a, b):\n    say()\n    return 3",
        "raised",
    ),
    (
        "f-replies",
        "import os\ndef add(a, b):\n    for i in range(64):\n        try: os.write(i, b'{\"value\": 3, \"done\": true, \"test\": 1}\\n' * 9)\n        except OSError: pass\n    return 3",
        "wrong",
    ),
    (
        // Looks for the tests in every object of its process, and in the frames that called it.
        "f-searches",
        "import gc, sys\ndef add(a, b):\n    frame, seen = sys._getframe(), []\n    while frame:\n        seen += list(frame.f_locals.values())\n        frame = frame.f_back\n    \
         for thing in gc.get_objects() + seen:\n        if type(thing) in (int, str) and '864219' in str(thing) and 'for thing' not in str(thing): return 8642197\n    return 3",
        "wrong",
    ),
    (
        "f-patches",
        "import builtins, json, sys\njson.loads = lambda *a: {}\nbuiltins.AssertionError = Exception\nsys.exit = print\ndef add(a, b): return 3",
        "raised",
    ),
    ("none", "I would rather not.", "no-code"),
    ("cut", "def add(a, b):\n    return a +", "cut-off"),
    ("refused", "refuse", "refused"),
];

/// The result of the second test, 8642197, is nowhere but in it.
pub(crate) fn hostile_suite() -> String {
    let mut text = "name = \"hostile\"\n".to_owned();
    let mut add = |word: &str, more: &str| {
        let _ =
            write!(text, "[[problem]]\nid = \"{word}\"\ntext = \"Add. (problem {word})\"\n{more}");
    };
    for (word, ..) in PROGRAMS {
        add(
            word,
            "[[problem.case]]\nstdin = \"1 2\\n\"\nstdout = \"3\\n\"\n\
             [[problem.case]]\nstdin = \"8642000 197\\n\"\nstdout = \"8642197\\n\"\n",
        );
    }
    for (i, (word, ..)) in FUNCTIONS.iter().enumerate() {
        // By cases and by Python, in turns.
        add(
            word,
            if i % 2 == 0 {
                "function = \"add\"\n[[problem.case]]\nargs = [1, 2]\nresult = 3\n[[problem.case]]\nargs = [8642000, 197]\nresult = 8642197\n"
            } else {
                "tests = [\"assert add(1, 2) == 3\", \"assert add(8642000, 197) == 8642197\"]\n"
            },
        );
    }
    text
}

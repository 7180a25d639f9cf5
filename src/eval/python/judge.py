# Runs the tests of a problem. What they call is somewhere else: each call goes out as a line and comes back as one, and
# only plain values come back. The answer's code is never in here, and the tests are never where it is.
import ast
import builtins


class Judge:
    def __init__(self):
        self.lines, self.send = apart()
        self.test = None

    def ask(self, message):
        self.send(message)
        line = self.lines.readline()
        if not line:
            sys.exit(1)
        reply = json.loads(line)
        if not isinstance(reply, dict):
            raise RuntimeError("the answer's process sent no reply")
        if "raised" in reply:
            kind = getattr(builtins, str(reply["raised"]), None)
            text = str(reply.get("text", ""))
            if isinstance(kind, type) and issubclass(kind, Exception) and kind is not AssertionError:
                try:
                    error = kind(text)
                except TypeError:
                    error = RuntimeError(f"{reply['raised']}: {text}")
            else:
                error = RuntimeError(f"{reply['raised']}: {text}")
            error.from_answer = True
            raise error
        if "value" not in reply:
            raise RuntimeError("the answer's process sent no reply")
        return reply

    def call(self, target, args, named):
        message = {"op": "call", **target, "args": [pack(arg, refer) for arg in args]}
        if named:
            message["named"] = {key: pack(arg, refer) for key, arg in named.items()}
        reply = self.ask(message)
        for i, data in reply.get("changed", {}).items():
            arg, after = args[int(i)], unpack(data, Far)
            if isinstance(arg, (list, bytearray)):
                arg[:] = after
            elif isinstance(arg, (dict, set)):
                arg.clear()
                arg.update(after)
        return unpack(reply["value"], Far)


class Name:
    """A function or class of the answer."""

    def __init__(self, name):
        self.__name__ = name

    def __call__(self, *args, **named):
        return judge.call({"name": self.__name__}, args, named)


class Far:
    """An object of the answer's own. It equals nothing but itself: its own idea of equality does not count."""

    def __init__(self, number):
        object.__setattr__(self, "_number", int(number))

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return unpack(judge.ask({"op": "get", "ref": self._number, "name": name})["value"], Far)

    def __setattr__(self, name, value):
        judge.ask({"op": "set", "ref": self._number, "name": name, "value": pack(value, refer)})

    def __call__(self, *args, **named):
        return judge.call({"ref": self._number}, args, named)

    def __eq__(self, other):
        return isinstance(other, Far) and other._number == self._number

    def __hash__(self):
        return hash(self._number)

    def __repr__(self):
        return "an object of its own"


def refer(value):
    if isinstance(value, Far):
        return {"t": "ref", "v": value._number}
    raise TypeError(f"a {type(value).__name__} cannot be handed to the answer")


def free(code, scope):
    """Names in `code` that nobody else defines."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.append(node.id)
    return [name for name in found if name not in scope and not hasattr(builtins, name)]


def code(job):
    scope = {"__name__": "tests"}
    for name in free(job["setup"], scope):
        scope[name] = Name(name)
    exec(compile(job["setup"], "setup.py", "exec"), scope)
    for name in job["names"]:
        scope[name] = Name(name)
    if job["alias"]:
        scope[job["alias"]] = scope[job["names"][0]]
    for i, text in enumerate(job["tests"]):
        begin(i)
        for name in free(text, scope):
            scope[name] = Name(name)
        exec(compile(text, "tests.py", "exec"), scope)


def calls(job):
    for i, case in enumerate(job["cases"]):
        begin(i)
        args = [json.loads(arg) for arg in case["args"]]
        expected = json.loads(case["result"])
        found = judge.call({"name": "Solution", "method": job["function"]}, args, {})
        # A tuple where JSON can only say list is no mistake.
        if isinstance(found, tuple):
            found = list(found)
        if found != expected:
            raise AssertionError(f"expected {short(expected)}, got {short(found)}")


def short(value):
    text = repr(value)
    return text if len(text) <= 100 else text[:100] + "…"


def begin(i):
    judge.test = i
    judge.send({"test": i})


def line_of(job, error):
    """The line of the tests at which it happened."""
    at, texts = error.__traceback__, {"tests.py": job.get("tests"), "setup.py": [job.get("setup", "")]}
    found = ""
    while at is not None:
        name = at.tb_frame.f_code.co_filename
        if texts.get(name):
            text = texts[name][judge.test or 0] if name == "tests.py" else texts[name][0]
            lines = text.splitlines()
            if at.tb_lineno <= len(lines):
                found = lines[at.tb_lineno - 1].strip()
        at = at.tb_next
    return found[:200]


def main():
    job = json.loads(judge.lines.readline())
    sys.setrecursionlimit(50_000)
    try:
        judge.ask({"op": "start"})
        (calls if "cases" in job else code)(job)
        judge.send({"done": True})
    except AssertionError as error:
        judge.send({"fault": "wrong", "text": str(error) or line_of(job, error)})
    except Exception as error:
        where = "" if getattr(error, "from_answer", False) else " in the tests"
        judge.send({"fault": "raised", "text": f"{type(error).__name__}: {error}{where}"[:500]})


judge = Judge()
main()

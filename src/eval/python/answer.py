# Runs an answer and calls what it defines, on request. It knows no test and no result that is expected: whatever the
# answer does in here, all it can say is what its functions return.
def main():
    lines, send = apart()
    program = json.loads(lines.readline())["program"]
    sys.setrecursionlimit(50_000)
    scope = types.ModuleType("answer")
    sys.modules["answer"] = scope
    kept = []
    instances = {}

    def refer(value):
        kept.append(value)
        return {"t": "ref", "v": len(kept) - 1}

    def find(message):
        if "ref" in message:
            return kept[message["ref"]]
        name, method = message["name"], message.get("method")
        if method is None:
            if name not in vars(scope):
                raise NameError(f"the answer defines no `{name}`")
            return vars(scope)[name]
        if name in vars(scope):
            if name not in instances:
                instances[name] = vars(scope)[name]()
            return getattr(instances[name], method)
        if method not in vars(scope):
            raise NameError(f"the answer defines neither `{name}` nor `{method}`")
        return vars(scope)[method]

    def act(message):
        op = message["op"]
        if op == "get":
            return {"value": pack(getattr(kept[message["ref"]], message["name"]), refer)}
        if op == "set":
            setattr(kept[message["ref"]], message["name"], unpack(message["value"], kept.__getitem__))
            return {"value": None}
        args = [unpack(arg, kept.__getitem__) for arg in message["args"]]
        named = {key: unpack(arg, kept.__getitem__) for key, arg in message.get("named", {}).items()}
        reply = {"value": pack(find(message)(*args, **named), refer)}
        # What the call changed in place.
        changed = {}
        for i, (arg, before) in enumerate(zip(args, message["args"])):
            if isinstance(arg, (list, dict, set, bytearray)):
                after = pack(arg, refer)
                if after != before:
                    changed[i] = after
        if changed:
            reply["changed"] = changed
        return reply

    def told(error):
        return {"raised": type(error).__name__, "text": str(error)[:500]}

    try:
        exec(compile(program, "answer.py", "exec"), vars(scope))
    except BaseException as error:
        send(told(error))
        return
    send({"value": None})
    for line in lines:
        try:
            reply = act(json.loads(line))
            send(reply)
        except BaseException as error:
            send(told(error))


main()

# Values on their way between the process that runs an answer and the one that tests it: JSON, in which what JSON does not
# know is an object with a tag. Nothing that arrives is executed, and what is made of it are plain values of Python, whose
# equality no answer has a say in.
import collections
import decimal
import fractions
import itertools
import json
import os
import sys
import types

MOST_ITEMS = 1_000_000
LAZY = (types.GeneratorType, map, filter, zip, enumerate, reversed, itertools.chain, itertools.islice,
        itertools.accumulate, itertools.product, itertools.permutations, itertools.combinations,
        type(iter([])), type(iter(())), type(iter("")), type(iter({})), type(iter(set())), type(iter(range(0))))
VIEWS = (type({}.keys()), type({}.values()), type({}.items()))


def pack(value, refer):
    """What stands for a value; `refer` takes what is no plain value."""
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(value) if kind is str else "".join(value)
    if issubclass(kind, int):
        number = int(value)
        return number if -(1 << 52) < number < 1 << 52 else {"t": "int", "v": hex(number)}
    if issubclass(kind, float):
        return float(value)
    if issubclass(kind, complex):
        return {"t": "complex", "v": [value.real, value.imag]}
    if issubclass(kind, (bytes, bytearray)):
        return {"t": "bytes" if issubclass(kind, bytes) else "bytearray", "v": bytes(value).hex()}
    if issubclass(kind, list):
        return [pack(item, refer) for item in value]
    for name, base in (("tuple", tuple), ("set", set), ("frozenset", frozenset), ("deque", collections.deque)):
        if issubclass(kind, base):
            return {"t": name, "v": [pack(item, refer) for item in value]}
    if issubclass(kind, dict):
        return {"t": "dict", "v": [[pack(key, refer), pack(item, refer)] for key, item in value.items()]}
    if kind is range:
        return {"t": "range", "v": [pack(part, refer) for part in (value.start, value.stop, value.step)]}
    if kind in (decimal.Decimal, fractions.Fraction):
        return {"t": kind.__name__, "v": str(value)}
    if isinstance(value, LAZY) or isinstance(value, VIEWS):
        items = list(itertools.islice(value, MOST_ITEMS))
        return {"t": "iter" if isinstance(value, LAZY) else "list", "v": [pack(item, refer) for item in items]}
    return refer(value)


def unpack(data, refer):
    """The value that `data` stands for; `refer` gives what a reference stands for."""
    if isinstance(data, list):
        return [unpack(item, refer) for item in data]
    if not isinstance(data, dict):
        return data
    tag, value = data["t"], data["v"]
    if tag == "ref":
        return refer(value)
    if tag == "int":
        return int(value, 16)
    if tag == "complex":
        return complex(*value)
    if tag in ("bytes", "bytearray"):
        return {"bytes": bytes, "bytearray": bytearray}[tag].fromhex(value)
    if tag == "Decimal":
        return decimal.Decimal(value)
    if tag == "Fraction":
        return fractions.Fraction(value)
    if tag == "dict":
        return {unpack(key, refer): unpack(item, refer) for key, item in value}
    items = [unpack(item, refer) for item in value]
    if tag == "iter":
        return iter(items)
    if tag == "range":
        return range(*items)
    return {"tuple": tuple, "set": set, "frozenset": frozenset, "deque": collections.deque, "list": list}[tag](items)


def apart():
    """The two ends of the wire, in place of standard input and output, which code that is run may use up."""
    lines = os.fdopen(os.dup(0), "r", encoding="utf-8", errors="surrogateescape")
    wire = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)

    def send(message):
        wire.write(json.dumps(message) + "\n")
        wire.flush()

    return lines, send

"""Many conversations at once, as people hold them: how fast a server answers, and how much of each prompt its cache had.

    python3 tests/load.py URL [CONVERSATIONS [TURNS [AT_ONCE]]]

prints the end of a row of the table in docs/targets.md, all of which `tests/load.sh` makes: prompts per second, seconds to
the first token (median, longest), and how much of the prompts after the first turn the cache had. Each conversation opens with the same system prompt and words of its own, and
sends all of itself again in every turn, as clients do. All take a turn before any takes the next. Only Python is needed.
"""

import concurrent.futures
import json
import statistics
import sys
import time
import urllib.request

TEXT = (
    "A lighthouse keeper writes down the weather four times a day: wind, visibility, the height of the waves, and the "
    "barometer. Ships that pass at night are counted by their lights. When the fog comes in, the horn sounds every "
    "thirty seconds, and the log says for how long. At the end of the month the sheets go to the harbour office. "
)
# Short answers, since prompts are what is measured.
ANSWER = 8


def words(conversation, turn):
    start = (conversation * 131 + turn * 57) % len(TEXT)
    text = (TEXT * 4)[start : start + (900 if turn == 0 else 160)]
    return f"Sheet {conversation}, note {turn}: {text} What is odd here?"


def ask(url, messages):
    """Text, seconds to the first piece of it, the server's timings, and the server's name."""
    body = {"messages": messages, "max_tokens": ANSWER, "temperature": 0, "stream": True}
    request = urllib.request.Request(
        url.rstrip("/") + "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    start, first, text, timings = time.monotonic(), None, "", None
    with urllib.request.urlopen(request, timeout=600) as answer:
        name = answer.headers.get("x-replica", "-")
        for line in answer:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            # What goes wrong after the first piece comes as an event of the stream.
            if "error" in event:
                raise SystemExit(f"{name}: {event['error']}")
            timings = event.get("timings", timings)
            for choice in event.get("choices", []):
                piece = choice["delta"].get("content") or ""
                text += piece
                first = first or (piece and time.monotonic() - start) or None
    if timings is None:
        raise SystemExit("a stream ended without `timings`")
    return text, first or time.monotonic() - start, timings, name


def main(url, conversations=8, turns=3, at_once=4):
    system = {"role": "system", "content": "You check weather logs. " + TEXT}
    all_messages = [[system] for _ in range(conversations)]
    firsts, later, names = [], [0, 0], {}
    start = time.monotonic()
    for turn in range(turns):

        def one(i, turn=turn):
            all_messages[i].append({"role": "user", "content": words(i, turn)})
            text, *rest = ask(url, all_messages[i])
            all_messages[i].append({"role": "assistant", "content": text})
            return rest

        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            for first, timings, name in pool.map(one, range(conversations)):
                firsts.append(first)
                names[name] = names.get(name, 0) + 1
                # Nobody's cache can have the words of a first turn.
                if turn > 0:
                    later[0] += timings["cache_n"]
                    later[1] += timings["prompt_n"]
    seconds = time.monotonic() - start
    cached = 100 * later[0] / sum(later)
    print(f"{len(firsts) / seconds:.2f} | {statistics.median(firsts):.1f} | {max(firsts):.1f} | {cached:.0f}% |")
    print(f"{len(firsts)} prompts: {dict(sorted(names.items()))}", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:]))

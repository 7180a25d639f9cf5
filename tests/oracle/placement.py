#!/usr/bin/env python3
"""Whether what `composegen plan` emits fits, by llama-server's own account.

    placement.py --binary target/release/composegen --oracle 'python3 ask.py' --headers DIR [--rows N] [--seed N]

Plans random cases (models in DIR, rigs, contexts, batches, cache types, slots, margins), asks the oracle what
llama-server would allocate for the emitted arguments, and compares. The oracle reads rows of `model`, `gpus`, `args` as
JSON lines from its input and answers each with `devices` (`model`, `context`, `compute` in MiB, rounded down). With
`--against-fit` the oracle gets a second row with `margin` per case, without a placement, and the weights on GPUs are
compared with what `--fit` reaches.
"""
import argparse, json, os, random, re, shlex, subprocess, sys, time

GPUS = ["24564:23671:8.9", "24576:24000:8.6", "16303:12761:12.0", "16384:15900:8.9", "12288:11900:8.6",
        "8192:7900:8.9", "32607:31800:12.0", "11264:10900:7.5", "49140:48000:8.9"]


def models(folder):
    names = {}
    for file in sorted(os.listdir(folder)):
        split = re.match(r"(.*)-00001-of-\d{5}\.gguf$", file)
        if split:
            names[split[1]] = os.path.join(folder, file)
        elif file.endswith(".gguf") and not re.search(r"-\d{5}-of-\d{5}\.gguf$", file):
            names[file[:-5]] = os.path.join(folder, file)
    return names


def draw(rng, names):
    k = rng.choice(["q8_0", "q8_0", "f16", "q4_0"])
    return {
        "model": rng.choice(list(names)),
        "gpus": [rng.choice(GPUS) for _ in range(rng.choice([1, 2, 2, 2, 3, 4]))],
        "ctx": rng.choice([4096, 16384, 32768, 65536, 131072, 262144]),
        "ub": rng.choice([256, 512, 1024, 2048, 4096]),
        "k": k,
        "np": rng.choice([1, 1, 1, 2, 4]),
        "margin": rng.choice([0, 256, 512, 1024, 1024, 2048]),
        "granularity": rng.choice(["layer", "tensor", "tensor"]),
    }


def plan(binary, case, file):
    command = [binary, "plan", "--model", file, "--format", "json", "--only", "--ctx-size", case["ctx"], "--ubatch-size",
               case["ub"], "--batch-size", max(2048, case["ub"]), "--cache-type-k", case["k"], "--cache-type-v", case["k"],
               "--parallel", case["np"], "--margin", case["margin"], "--granularity", case["granularity"]]
    for gpu in case["gpus"]:
        command += ["--gpu", gpu]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr.strip()}


def ask(oracle, headers, rows):
    done = subprocess.run(shlex.split(oracle) + ["--headers", headers], input="\n".join(map(json.dumps, rows)),
                          capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def cuda(devices):
    return {name: d for name, d in devices.items() if name.startswith("CUDA")}


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("--binary", "--oracle", "--headers"):
        cli.add_argument(flag, required=True)
    cli.add_argument("--rows", type=int, default=500)
    cli.add_argument("--seed", type=int, default=1)
    cli.add_argument("--against-fit", action="store_true")
    cli.add_argument("--show", type=int, default=10)
    args = cli.parse_args()
    rng, names = random.Random(args.seed), models(args.headers)
    cases, times = [], []
    while len(cases) < args.rows:
        case = draw(rng, names)
        start = time.monotonic()
        answer = plan(args.binary, case, names[case["model"]])
        times.append(time.monotonic() - start)
        cases.append((case, answer))
    refused = [(c, a) for c, a in cases if "error" in a]
    planned = [(c, a) for c, a in cases if "error" not in a]
    rows = [{"model": c["model"], "gpus": ",".join(c["gpus"]), "args": a["args"]} for c, a in planned]
    answers = ask(args.oracle, args.headers, rows)
    over = errors = unequal = said = 0
    shown = []
    for (case, answer), truth in zip(planned, answers):
        if "devices" not in truth:
            errors += 1
            shown.append(("oracle refuses", case, truth.get("error", "")[-200:], answer["args"]))
            continue
        said += answer["fits"]
        off = {}
        for device in answer["devices"]:
            t = truth["devices"].get(device["name"])
            if device["name"] == "Host" or t is None:
                continue
            total = sum(t.values())
            for part in t:
                if int(device[part + "_mib"]) != t[part]:
                    off[device["name"] + " " + part] = (round(device[part + "_mib"]), t[part])
            if answer["fits"] and total + case["margin"] > device["free_mib"]:
                over += 1
                shown.append(("over", case, device["name"], total, answer["args"]))
        if off:
            unequal += 1
            shown.append(("differs", case, off, answer["args"]))
    print(f"| cases | refused | plans that say they fit | of those over by the oracle | estimate differs | oracle refuses | ms per call |")
    print("|---|---|---|---|---|---|---|")
    print(f"| {len(cases)} | {len(refused)} | {said} | {over} | {unequal} | {errors} | {1e3 * sum(times) / len(times):.0f} |")
    for case, answer in refused[:3]:
        print("refused", case, answer["error"][-200:])
    for row in shown[: args.show]:
        print(*row)
    if args.against_fit:
        against_fit(args, planned)


def against_fit(args, planned):
    def flags(c):
        return ["-c", str(c["ctx"]), "-b", str(max(2048, c["ub"])), "-ub", str(c["ub"]), "-ctk", c["k"], "-ctv", c["k"],
                "-fa", "on", "-np", str(c["np"])]

    fair = [(c, a) for c, a in planned if c["granularity"] == "tensor"]
    rows = [{"model": c["model"], "gpus": ",".join(c["gpus"]), "args": flags(c), "margin": c["margin"]} for c, _ in fair]
    fewer = count = lead = 0
    for (case, answer), truth in zip(fair, ask(args.oracle, args.headers, rows)):
        devices = cuda(truth.get("devices", {}))
        kept = all(sum(d.values()) + case["margin"] <= int(gpu.split(":")[1]) for d, gpu in zip(devices.values(), case["gpus"]))
        if not devices or not kept:
            continue
        ours = sum(d["model_mib"] for d in answer["devices"] if d["name"] != "Host")
        theirs = sum(d["model"] for d in devices.values())
        count, lead = count + 1, lead + ours - theirs
        if int(ours) < theirs:
            fewer += 1
            print(f"fewer {ours - theirs:.0f}:", case, answer["args"][:6], devices)
    print(f"--fit keeps its margin in {count} of {len(fair)} cases; fewer weights on GPUs in {fewer}; on average {lead / max(count, 1):+.0f} MiB")


if __name__ == "__main__":
    main()

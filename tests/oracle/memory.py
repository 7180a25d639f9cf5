#!/usr/bin/env python3
"""Draws random cases for the memory estimate and asks what llama-server itself would allocate.

    memory.py --oracle 'python3 ask.py' --headers DIR [--rows N] [--seed N] [--only MODEL]... > rows.jsonl
    cargo run --release --example accuracy -- --headers DIR rows.jsonl

Models in DIR, one to four GPUs, and flags: contexts, batches, slots, cache types, layers on GPUs, splits, overrides.
The oracle reads rows of `model`, `gpus`, `args` as JSON lines from its input and answers each with `devices` (`model`,
`context`, `compute` in MiB, rounded down), or with `error` where llama-server refuses; refused rows are left out.
"""
import argparse, collections, json, os, random, re, shlex, subprocess, sys

GPUS = ["24564:23671:8.9", "24576:24000:8.6", "16303:12761:12.0", "16384:15900:8.9", "12288:11900:8.6",
        "8192:7900:8.9", "32607:31800:12.0", "11264:10900:7.5", "49140:48000:8.9", "16160:15800:7.0"]
EXPERTS = ["ffn_(up|gate)_exps", "ffn_down_exps", "ffn_(up|down|gate|gate_up)_(ch|)exps", "exps"]


def models(folder):
    names = set()
    for file in sorted(os.listdir(folder)):
        split = re.match(r"(.*)-\d{5}-of-\d{5}\.gguf$", file)
        if file.endswith(".gguf"):
            names.add(split[1] if split else file[:-5])
    return sorted(names)


def ranges(first, last):
    return "(" + "|".join(map(str, range(first, last))) + ")"


def overrides(rng, devices):
    """Rules as people write them: blocks to devices, experts to the CPU, now and then something odd."""
    kind = rng.random()
    if kind < 0.35:
        rules, at = [], 0
        for device in range(devices):
            count = rng.randint(1, 12)
            rules.append(rf"blk\.{ranges(at, at + count)}\.=CUDA{device}")
            at += count
        if rng.random() < 0.4:
            rules.append(rf"blk\.{at}\.{rng.choice(EXPERTS)}=CUDA{rng.randrange(devices)}")
        return ["-ot", ",".join(rules + ["exps=CPU"])]
    if kind < 0.55:
        first = rng.randint(0, 30)
        return ["-ot", rf"blk\.{ranges(first, first + rng.randint(1, 20))}\.{rng.choice(EXPERTS)}=CPU"]
    if kind < 0.65:
        return ["-cmoe"]
    if kind < 0.75:
        return ["--n-cpu-moe", str(rng.randint(1, 40))]
    if kind < 0.80:
        return ["-ot", rng.choice([r"token_embd=CUDA0", r"output\.weight=CPU", r"attn_(q|k|v)\.=CPU", r"ffn_norm=CPU",
                                   r"^output_norm\.weight=CUDA0", r"blk\.[0-9]\.=CPU", r"ssm_=CPU"])]
    return []


def flags(rng, devices):
    context = rng.choice([512, 1024, 3000, 4096, 8192, 16384, 32768, 50000, 65536, 131072, 262144])
    batch = rng.choice([256, 512, 2048, 2048, 2048, 4096])
    ubatch = rng.choice([32, 128, 256, 512, 512, 1024, 2048, 4096])
    args = ["-c", str(context), "-b", str(batch), "-ub", str(ubatch)]
    attention = rng.choice(["on", "on", "on", "auto", "off"])
    key = value = rng.choice(["q8_0", "q8_0", "f16", "f16", "q4_0"])
    if rng.random() < 0.1:
        key, value = rng.choice([("q8_0", "f16"), ("f16", "q8_0"), ("q8_0", "q4_0"), ("q5_1", "q5_1"), ("bf16", "bf16")])
    if attention == "off":
        value = "f16"
    args += ["-fa", attention, "-ctk", key, "-ctv", value]
    if rng.random() < 0.8:
        args += ["-np", str(rng.choice([1, 1, 1, 2, 3, 4, 8]))]
    if rng.random() < 0.15:
        args.append("-kvu")
    if rng.random() < 0.1:
        args.append("--swa-full")
    if rng.random() < 0.08:
        args.append("-nkvo")
    if rng.random() < 0.1:
        args.append("--no-op-offload")
    layers = rng.random()
    if layers < 0.6:
        args += ["-ngl", rng.choice(["99", "all"])]
    elif layers < 0.9:
        args += ["-ngl", str(rng.randint(0, 60))]
    if devices > 1 and rng.random() < 0.4:
        args += ["-ts", ",".join(str(rng.randint(0, 30)) for _ in range(devices - 1)) + f",{rng.randint(1, 30)}"]
    used = devices
    if devices > 1 and rng.random() < 0.08:
        args += ["-sm", "none"] + (["-mg", str(rng.randrange(devices))] if rng.random() < 0.5 else [])
    elif devices > 1 and rng.random() < 0.08:
        used = devices - 1
        args += ["-dev", ",".join(f"CUDA{i}" for i in rng.sample(range(devices), used))]
    return args + overrides(rng, used)


def draw(rng, names):
    gpus = [rng.choice(GPUS) for _ in range(rng.choice([1, 1, 2, 2, 2, 3, 4]))]
    return {"model": rng.choice(names), "gpus": ",".join(gpus), "args": flags(rng, len(gpus))}


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--oracle", required=True)
    cli.add_argument("--headers", required=True)
    cli.add_argument("--rows", type=int, default=300)
    cli.add_argument("--seed", type=int, default=1)
    cli.add_argument("--only", action="append")
    args = cli.parse_args()
    rng = random.Random(args.seed)
    names = args.only or models(args.headers)
    rows = [draw(rng, names) for _ in range(args.rows)]
    done = subprocess.run(shlex.split(args.oracle) + ["--headers", args.headers], input="\n".join(map(json.dumps, rows)),
                          stdout=subprocess.PIPE, text=True, check=True)
    refused = collections.Counter()
    for line in done.stdout.splitlines():
        row = json.loads(line)
        if "devices" in row:
            print(line)
        else:
            refused[str(row.get("error", "")).strip().splitlines()[-1][-160:] if row.get("error") else "no answer"] += 1
    for why, count in refused.most_common():
        print(f"refused {count}: {why}", file=sys.stderr)


if __name__ == "__main__":
    main()

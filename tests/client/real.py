#!/usr/bin/env python3
"""Uses a real llama-server by nothing but the files that `composegen client` writes.

It starts the server in a container, twice: without a key and with one. For each client that speaks a protocol of an SDK it
has the files written, reads them with a parser of their format, and calls the server by the `openai` and `anthropic`
packages with what stands in them.

    python3 -m venv target/client/venv
    target/client/venv/bin/pip install openai anthropic pyyaml
    cargo build
    target/client/venv/bin/python tests/client/real.py --models DIR

DIR holds SmolLM2-135M-Instruct.Q4_1.gguf, the model of presets/smollm2-cpu.toml; `--model` names another GGUF in it. The
image is the newest composegen/cpu that there is, which `.ci/engines` makes; any that `composegen build` describes will do.
"""

import argparse
import json
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request

import anthropic
import openai
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOSTILE = """it's "q" $HOME ${X} \\ # é"""
TOOL = {
    "name": "weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HELLO = [{"role": "user", "content": "Say hello."}]
# A model of this size calls a tool where it has seen it done.
CITIES = ["Rome", "Oslo", "Lima"]
QUESTION = {"role": "user", "content": "Weather in Paris?"}
passed = 0


def check(what, condition, detail=""):
    global passed
    if not condition:
        sys.exit(f"FAILED: {what} {detail}")
    passed += 1
    print(f"  ok: {what}")


class Server:
    """A container with llama-server, as the entrypoint of the image starts it."""

    def __init__(self, arguments, alias, key, work):
        self.port = free_port()
        self.name = f"composegen-client-{os.getpid()}-{secrets.token_hex(3)}"
        command = ["docker", "run", "--detach", "--name", self.name]
        command += ["--publish", f"127.0.0.1:{self.port}:8080", "--volume", f"{arguments.models}:/models:ro"]
        command += ["--env", f"MODEL={arguments.model}", "--env", "CTX_SIZE=8192", "--env", "LLAMA_PARALLEL=2"]
        template = f"{ROOT}/tests/client/tools.jinja:/tools.jinja:ro"
        command += ["--volume", template]
        command += ["--env", "LLAMA_JINJA=1", "--env", f"LLAMA_ALIAS={alias}"]
        if key:
            file = work / "api_key"
            file.write_text(key + "\n")
            file.chmod(0o644)
            command += ["--volume", f"{file}:/run/secrets/api_key:ro"]
        # Two threads that wait for each other are slower than one where something else runs, too.
        command += [arguments.image, "--chat-template-file", "/tools.jinja", "--threads", "1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"docker cannot run {arguments.image}: {done.stderr.strip()}")

    def __enter__(self):
        for _ in range(120):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2):
                    return self
            except OSError:
                time.sleep(0.5)
        self.__exit__("the server did not start")
        sys.exit(1)

    def __exit__(self, failed, *_):
        if failed:
            state = ["docker", "inspect", "--format", "{{.State.Status}}, exit {{.State.ExitCode}}", self.name]
            for command in (state, ["docker", "logs", "--tail", "20", self.name]):
                said = subprocess.run(command, capture_output=True, text=True, check=False)
                print(said.stdout + said.stderr, file=sys.stderr)
        subprocess.run(["docker", "rm", "--force", self.name], check=False, capture_output=True)


def newest(repository):
    """An image by its repository alone; Docker lists the newest first."""
    command = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.strip():
        sys.exit(f"there is no image {repository}; name one by --image ({done.stderr.strip() or 'docker answered'})")
    return done.stdout.split()[0]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def write(composegen, work, client):
    """Has the files of a client written, and returns where."""
    out = work / "out" / client
    command = [composegen, "client", client, "rig.toml", "--out", out]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    check(f"{client} is written", done.returncode == 0, done.stderr)
    return out


def sourced(file, environment):
    """What a shell exports after it has read the file."""
    base = {"PATH": os.environ["PATH"], **environment}
    done = subprocess.run(["sh", "-euc", '. "$1"; exec env -0', "sh", file], env=base, capture_output=True, text=True,
                          check=False)
    check(f"{file.name} can be sourced", done.returncode == 0, done.stderr)
    return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)


def use_openai(what, url, key, model, output):
    """The model in the list, a chat, and an answer as long as the file allows, by the openai package."""
    client = openai.OpenAI(base_url=url, api_key=key, timeout=600)
    check(f"{what}: the server lists the model", model in [m.id for m in client.models.list()])
    answer = client.chat.completions.create(model=model, messages=HELLO, max_tokens=output, stop=[" ", "\n", "!"])
    check(f"{what}: chat", answer.choices[0].message.content and answer.model == model, answer)
    return client


def openai_routes(what, client, model):
    """Stream, tool call, responses and counting."""
    stream = client.chat.completions.create(model=model, messages=HELLO, max_tokens=4, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    check(f"{what}: stream", text)
    messages = []
    for city in CITIES:
        call = {"name": TOOL["name"], "arguments": json.dumps({"city": city})}
        messages += [
            {"role": "user", "content": f"Weather in {city}?"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": city, "type": "function", "function": call}]},
            {"role": "tool", "tool_call_id": city, "content": "sunny"},
        ]
    answer = client.chat.completions.create(model=model, messages=[*messages, QUESTION], temperature=0, max_tokens=64,
                                            tools=[{"type": "function", "function": TOOL}])
    calls = answer.choices[0].message.tool_calls
    check(f"{what}: tool call", calls and calls[0].function.name == TOOL["name"] and
          json.loads(calls[0].function.arguments) == {"city": "Paris"}, answer)
    answer = client.responses.create(model=model, input="Say hello.", max_output_tokens=4)
    check(f"{what}: responses", answer.output_text, answer)
    counted = client.responses.input_tokens.count(model=model, input="Say hello.")
    check(f"{what}: counting of tokens", counted.input_tokens > 0, counted)


def use_anthropic(what, url, key, model, output):
    """A message as long as the file allows, by the anthropic package. `key` is a keyword and its value."""
    client = anthropic.Anthropic(base_url=url, timeout=600, **key)
    answer = client.messages.create(model=model, messages=HELLO, max_tokens=output, stop_sequences=[" ", "\n", "!"])
    check(f"{what}: message", answer.content[0].text and answer.usage.output_tokens > 0, answer)
    return client


def anthropic_routes(what, client, model):
    """Stream, tool call and counting."""
    with client.messages.stream(model=model, messages=HELLO, max_tokens=4) as stream:
        check(f"{what}: stream", "".join(stream.text_stream))
    tool = {"name": TOOL["name"], "description": TOOL["description"], "input_schema": TOOL["parameters"]}
    messages = []
    for city in CITIES:
        use = {"type": "tool_use", "id": city, "name": TOOL["name"], "input": {"city": city}}
        messages += [
            {"role": "user", "content": f"Weather in {city}?"},
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": city, "content": "sunny"}]},
        ]
    answer = client.messages.create(model=model, messages=[*messages, QUESTION], max_tokens=64, tools=[tool],
                                    extra_body={"temperature": 0})
    used = [block for block in answer.content if block.type == "tool_use"]
    check(f"{what}: tool call", used and used[0].name == TOOL["name"] and used[0].input == {"city": "Paris"}, answer)
    counted = client.messages.count_tokens(model=model, messages=HELLO)
    check(f"{what}: counting of tokens", counted.input_tokens > 0, counted)


def all_of(composegen, work, key, model, port):
    """Each client's files, and the server by what is in them."""
    environment = {"LLAMA_API_KEY": key} if key else {}
    take = lambda name: environment.get(name, "none")

    env = sourced(write(composegen, work, "openai") / "openai.sh", environment)
    client = use_openai("openai.sh", env["OPENAI_BASE_URL"], env["OPENAI_API_KEY"], env["OPENAI_MODEL"], 64)
    openai_routes("openai.sh", client, env["OPENAI_MODEL"])

    env = sourced(write(composegen, work, "anthropic") / "anthropic.sh", environment)
    client = use_anthropic("anthropic.sh", env["ANTHROPIC_BASE_URL"], {"api_key": env["ANTHROPIC_API_KEY"]},
                           env["ANTHROPIC_MODEL"], 64)
    anthropic_routes("anthropic.sh", client, env["ANTHROPIC_MODEL"])

    out = write(composegen, work, "claude-code")
    settings = json.loads((out / "settings.json").read_text())
    env = settings["env"]
    token = env.get("ANTHROPIC_AUTH_TOKEN")
    if "apiKeyHelper" in settings:
        token = subprocess.run(["sh", "-c", settings["apiKeyHelper"]], env={**os.environ, **environment}, text=True,
                               capture_output=True, check=True).stdout.strip()
    use_anthropic("claude-code/settings.json", env["ANTHROPIC_BASE_URL"], {"auth_token": token},
                  env["ANTHROPIC_MODEL"], int(env["CLAUDE_CODE_MAX_OUTPUT_TOKENS"]))
    slot = int(env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"])
    request = urllib.request.Request(f"{env['ANTHROPIC_BASE_URL']}/props")
    request.add_header("X-Api-Key", token)
    with urllib.request.urlopen(request) as answer:
        props = json.load(answer)
    check("the slot is the server's own", props["default_generation_settings"]["n_ctx"] == slot, (props, slot))
    env = sourced(out / "claude-code.sh", environment)
    use_anthropic("claude-code.sh", env["ANTHROPIC_BASE_URL"], {"auth_token": env["ANTHROPIC_AUTH_TOKEN"]},
                  env["ANTHROPIC_MODEL"], 64)

    with (write(composegen, work, "codex") / "rig.config.toml").open("rb") as file:
        config = tomllib.load(file)
    provider = config["model_providers"][config["model_provider"]]
    secret = environment[provider["env_key"]] if "env_key" in provider else "none"
    client = use_openai("codex", provider["base_url"], secret, config["model"], 64)
    # The events one by one: the package's own collector wants a `content_index` that llama-server leaves out.
    stream = client.responses.create(model=config["model"], input="Say hello.", max_output_tokens=4, stream=True)
    kinds = [event.type for event in stream]
    check("codex: a stream of the responses route", "response.completed" in kinds, kinds)

    if "$" not in model:
        settings = json.loads((write(composegen, work, "qwen-code") / "settings.json").read_text())
        [entry] = settings["modelProviders"][settings["security"]["auth"]["selectedType"]]
        secret = settings.get("env", {}).get(entry["envKey"]) or environment[entry["envKey"]]
        check("qwen-code: starts with its own model", settings["model"]["name"] == entry["id"])
        use_openai("qwen-code", entry["baseUrl"], secret, entry["id"],
                   entry["generationConfig"]["samplingParams"]["max_tokens"])
        [entry] = json.loads((write(composegen, work, "vscode") / "chatLanguageModels.json").read_text())
        [entry] = entry["models"]
        url = entry["url"].removesuffix("/chat/completions")
        use_openai("vscode", url, take("LLAMA_API_KEY"), entry["id"], entry["maxOutputTokens"])

    config = json.loads((write(composegen, work, "opencode") / "opencode.json").read_text())
    provider, name = config["model"].split("/", 1)
    options = config["provider"][provider]["options"]
    limit = config["provider"][provider]["models"][name]["limit"]
    secret = options["apiKey"].replace("{env:LLAMA_API_KEY}", take("LLAMA_API_KEY"))
    use_openai("opencode", options["baseURL"], secret, name, limit["output"])

    [entry] = yaml.safe_load((write(composegen, work, "continue") / "config.yaml").read_text())["models"]
    secret = entry["apiKey"].replace("${{ secrets.LLAMA_API_KEY }}", take("LLAMA_API_KEY"))
    use_openai("continue", entry["apiBase"], secret, entry["model"], entry["defaultCompletionOptions"]["maxTokens"])

    out = write(composegen, work, "aider")
    config = yaml.safe_load((out / "aider.conf.yml").read_text())
    metadata = json.loads((out / "aider.model.metadata.json").read_text())[config["model"]]
    use_openai("aider", config["openai-api-base"], config.get("openai-api-key", take("LLAMA_API_KEY")),
               config["model"].removeprefix("openai/"), metadata["max_output_tokens"])

    settings = json.loads((write(composegen, work, "llama-vscode") / "llama-vscode.settings.json").read_text())
    url = settings["llama-vscode.endpoint_tools"] + "/" + settings["llama-vscode.ai_api_version"]
    use_openai("llama-vscode", url, take("LLAMA_API_KEY"), settings["llama-vscode.ai_model"], 64)

    if key:
        for file in (work / "out").rglob("*"):
            check(f"no key in {file.name}", file.is_dir() or key not in file.read_text())
        try:
            openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="wrong", max_retries=0).models.list()
            check("a wrong key is refused", False)
        except openai.AuthenticationError:
            check("a wrong key is refused", True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image")
    parser.add_argument("--models", required=True, type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--model", default="SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--composegen", default=ROOT / "target/debug/composegen", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.image = arguments.image or newest("composegen/cpu")
    if not (arguments.models / arguments.model).is_file():
        sys.exit(f"there is no {arguments.model} in {arguments.models}")
    # What the user's shell says of other servers must not help.
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "ANTHROPIC_", "LLAMA_"))]:
        del os.environ[name]
    for alias, key in [("smollm2", None), ("zeta,smollm2", secrets.token_hex(16)), (HOSTILE, None)]:
        model = min(alias.split(","))
        print(f"model {model!r}, {'a key' if key else 'no key'}:")
        with tempfile.TemporaryDirectory() as directory:
            work = pathlib.Path(directory)
            with Server(arguments, alias, key, work) as server:
                preset = f"[model]\nfile = {json.dumps(arguments.model)}\n"
                preset += "[context]\nctx_size = 8192\n[batching]\nparallel = 2\n[chat]\njinja = true\n"
                aliases = json.dumps(alias.split(","), ensure_ascii=False)
                preset += f"[server]\nalias = {aliases}\nport = {server.port}\n"
                preset += 'api_key_file = "secrets/api_key"\n' if key else ""
                (work / "rig.toml").write_text(preset)
                all_of(arguments.composegen, work, key, model, server.port)
    print(f"{passed} checks passed (openai {openai.__version__}, anthropic {anthropic.__version__})")


if __name__ == "__main__":
    main()

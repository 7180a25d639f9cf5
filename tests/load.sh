#!/usr/bin/env bash
# Makes the table of docs/targets.md: one, two and four servers of the small model, conversations that stay and that do not.
# Wants the images of .ci/cpu-image and .ci/engines, Compose as .ci/tools installs it, and port 18480. About ten minutes.
#
#   tests/load.sh [CONVERSATIONS [TURNS [AT_ONCE]]]
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
compose=$root/target/tools/bin/docker-compose-2
image=$(docker image ls --format '{{.Repository}}:{{.Tag}}' composegen/cpu | head -n 1)
dir=$(mktemp -d)
down() {
    for out in "$dir"/*/; do
        (cd "$out" && "$compose" down --timeout 2 >/dev/null 2>&1) || true
    done
    rm -rf "$dir"
}
trap down EXIT
cargo build --locked --quiet

# measure TITLE SERVERS [EDIT]: a row; EDIT is for sed, of haproxy.cfg.
measure() {
    local name=load-$2${3:+-edited}
    {
        printf 'extends = "%s/tests/engine/presets/smollm2"\n' "$root"
        printf 'hardware = "%s/tests/engine/presets/hardware/amd64"\n' "$root"
        # More threads than cores wait for each other, and one server would have what two share.
        printf '[batching]\nthreads = 1\n[image]\nname = "%s"\n[server]\nport = 18480\n' "$image"
        printf '[container]\nproject = "composegen-%s"\nmodels_dir = "%s/target/engines/models"\n' "$name" "$root"
        if [ "$2" -gt 1 ]; then
            printf 'replicas = %s\nfront_image = "composegen/haproxy:trixie"\n' "$2"
        fi
    } >"$dir/$name.toml"
    target/debug/composegen build "$dir/$name.toml" --out "$dir/$name" >/dev/null 2>&1
    [ -z "${3-}" ] || sed -i "$3" "$dir/$name/haproxy.cfg"
    (cd "$dir/$name" && "$compose" up --detach --wait >/dev/null 2>&1)
    # The front looks every two seconds who is there.
    sleep 5
    printf '| %s | ' "$1"
    python3 tests/load.py http://127.0.0.1:18480 "${arguments[@]}"
    (cd "$dir/$name" && "$compose" down --timeout 2 >/dev/null 2>&1)
}

# Conversations that are no multiple of the servers: else each meets its own server in turn.
arguments=("${1-9}" "${2-4}" "${3-4}")
echo '| servers | prompts per second | first token, median s | longest s | from the cache |'
echo '|---|--:|--:|--:|--:|'
turns='s/balance hash .*/balance roundrobin/; /hash-type/d'
measure '1' 1
measure '2, sticky' 2
measure '2, in turn' 2 "$turns"
measure '4, sticky' 4
measure '4, in turn' 4 "$turns"

# shellcheck shell=bash
# What `.ci/cuda-image` and `.ci/cuda-upstream` measure, to be sourced by them.

# Seconds of processor time of all builds so far: what a compile takes whatever else the machine does. Not everywhere
# is it told.
worked() {
    local usage
    usage=$(cat /sys/fs/cgroup/cpuacct/docker/buildkit/cpuacct.usage 2>/dev/null) || usage=0
    echo "$((usage / 1000000000))"
}

# measured LOG BUILDX-OPTION...: one build, its output in LOG, and what it took. A failure shows the end of it.
measured() {
    local log=$1 begun=$SECONDS before
    before=$(worked)
    if ! docker buildx build --progress=plain "${@:2}" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        return 1
    fi
    printf '%s s, %s s of processor time' "$((SECONDS - begun))" "$(($(worked) - before))"
}

# image TAG: its size and that of its layers, in MB of 10^6 bytes.
image() {
    printf '%s: %s MB\n' "$1" "$(($(docker image inspect --format '{{.Size}}' "$1") / 1000000))"
    docker history --format '  {{.Size}} {{.CreatedBy}}' --no-trunc "$1" | awk '$1 != "0B"' | cut -c 1-120
}

# cached LOG: how many compiler calls came out of the cache of objects.
cached() {
    grep -A 8 'Cacheable calls' "$1" | sed 's/^#[0-9]* [0-9.]* /  /' || true
}

#!/bin/sh
{%- for line in header %}
# {{ line|comment }}
{%- endfor %}
#
# Turns the environment into llama-server's arguments. Empty means unset, everywhere. Values are expanded in double
# quotes only; nothing is evaluated, and no name of a file is matched.
#   entrypoint                      llama-server, as the environment says
#   entrypoint -flag value ...      the same with more arguments at the end
#   entrypoint health               asks the server that runs in this container
#   entrypoint PROGRAM ...          another program of the image: llama-bench, llama-fit-params
{%- if rpc %}
#   entrypoint worker               llama.cpp's RPC worker, on WORKER_PORT, with WORKER_THREADS where it computes on the CPU
#   entrypoint worker-health        whether it listens, and nobody waits behind a server that is gone
{%- endif %}
set -euf

PATH=/app:$PATH
KEY=/run/secrets/api_key
LF='
'
BLANKS=$(printf ' \t')$LF
# The unit separator ends each word in a list of words; no argument needs it.
END=$(printf '\037')

say() {
    printf 'composegen: %s\n' "$1" >&2
}

fail() {
    say "$2"
    exit "$1"
}

# llama.cpp passes over a backend that cannot be loaded without a word, and computes on the CPU.
driver() {
    case $(ldd /app/libggml-cuda.so 2>/dev/null) in
        *'libcuda.so.1 => not found'*)
            say 'no NVIDIA driver in the container: libcuda.so.1 is missing; it comes from the host with the GPUs that a container is given'
            ;;
    esac
}

bad_switch() {
    fail 64 "$1 is '$2'; write 1 or 0, or leave it empty"
}

# The first line of the key file that is no comment.
key() {
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in '' | '#'*) ;; *) printf '%s' "$line" && return ;; esac
    done < "$KEY"
}

health() {
    scheme=http
    [ -z "${LLAMA_SSL_CERT_FILE-}" ] || scheme=https
    set --
    case ${LLAMA_HOST-} in
        '' | 0.0.0.0 | ::) host=127.0.0.1 ;;
        *.sock) host=localhost && set -- --unix-socket "$LLAMA_HOST" ;;
        *:*) host=[$LLAMA_HOST] ;;
        *) host=$LLAMA_HOST ;;
    esac
    set -- "$@" --globoff --fail --silent --show-error --insecure --noproxy '*' --max-time 4 --output /dev/null \
        "$scheme://$host:${PORT:-{{ port }}}${API_PREFIX-}/health"
    if [ -r "$KEY" ]; then
        # By way of standard input, where no list of processes shows the key.
        printf 'X-Api-Key: %s\n' "$(key)" | curl --header @- "$@"
    else
        curl "$@"
    fi
}

{%- if rpc %}

# An IPv4 address and a port as the kernel lists connections: 0A000102:C384 backwards.
listed() {
    IFS=.
    # shellcheck disable=SC2086 # The address is split at its dots.
    set -- $1 "$2"
    IFS=$BLANKS
    printf '%02X%02X%02X%02X:%04X' "$4" "$3" "$2" "$1" "$5"
}

# Names and ports of the workers that the target looks after, one on a line.
workers() {
    printf '%s\n' "${WORKERS-}" | tr ',' '\n'
}

address() {
    getent ahostsv4 "$1" | while IFS=$BLANKS read -r first rest; do printf '%s' "$first" && break; done
}

# A worker has its name in DNS as long as it is well. The server waits for that before it starts; a worker that came back
# elsewhere, or not at all, leaves it with a connection to nowhere, which nothing else would tell.
wait_for_workers() {
    workers | while IFS=: read -r name port; do
        [ -n "$name" ] || continue
        waited=0
        while [ -z "$(address "$name")" ]; do
            [ $((waited % 30)) -ne 0 ] || say "waiting for worker $name, port $port"
            waited=$((waited + 1))
            sleep 1
        done
    done
}

has_workers() {
    workers | while IFS=: read -r name port; do
        [ -n "$name" ] || continue
        at=$(address "$name")
        [ -n "$at" ] || { say "worker $name is gone" && exit 1; }
        # The state 01 is an established connection.
        grep -q " $(listed "$at" "$port") 01 " /proc/net/tcp ||
            { say "the connection to worker $name is lost" && exit 1; }
    done
}

worker() {
    set -- --host 0.0.0.0 --port "${WORKER_PORT:-50052}" --cache
    [ -z "${WORKER_THREADS-}" ] || set -- "$@" --threads "$WORKER_THREADS"
    exec ggml-rpc-server "$@"
}

# It serves one server at a time. Where another one is connected as well, it waits for one that is gone without a word.
worker_health() {
    port=$(printf ':%04X' "${WORKER_PORT:-50052}")
    grep -q "^ *[0-9]*: 00000000$port 00000000:0000 0A " /proc/net/tcp || { say 'nothing listens' && return 1; }
    connected=$(grep -c "^ *[0-9]*: [0-9A-F]\{8\}$port [0-9A-F:]* 01 " /proc/net/tcp || :)
    [ "$connected" -lt 2 ] || { say "$connected servers are connected; the first must be gone" && return 1; }
}
{%- endif %}

# EXTRA_ARGS: blanks separate words; '...' is literal; in "..." a \" is a quote and a \\ a backslash; outside of quotes a
# backslash is an ordinary character, so that a pattern needs none doubled.
#
# The splitting is the shell's own, so that a long text takes no longer than its length: at single quotes, between them
# at double quotes, and then at backslashes inside of these, at blanks outside. What ends a field has no field behind it,
# so each text gets one more separator at its end.
# shellcheck disable=SC2089 # they are characters to compare with, not quotes to be read
SINGLE=\' DOUBLE=\" BACKSLASH=\\
words='' recent='' word='' open='' quote='' escape=''

split_words() {
    text=$1$SINGLE IFS=$SINGLE first=1
    for single in $text; do
        case $first$quote in
            1*) first='' ;;
            "$SINGLE") quote='' ;;
            "$DOUBLE") word=$word$escape$SINGLE escape='' ;;
            *) quote=$SINGLE open=1 ;;
        esac
        if [ "$quote" = "$SINGLE" ]; then word=$word$single; else split_double "$single"; fi
    done
    [ -z "$quote" ] || fail 64 "EXTRA_ARGS has a $quote that does not close"
    end_word
    words=$words$recent
}

split_double() {
    text=$1$DOUBLE IFS=$DOUBLE first_double=1
    for double in $text; do
        case $first_double$quote$escape in
            1*) first_double='' ;;
            "$DOUBLE$BACKSLASH") word=$word$DOUBLE escape='' ;;
            "$DOUBLE") quote='' ;;
            *) quote=$DOUBLE open=1 ;;
        esac
        if [ -n "$quote" ]; then split_inside "$double"; else split_outside "$double"; fi
    done
}

split_inside() {
    text=$1$BACKSLASH IFS=$BACKSLASH first_inside=1
    for piece in $text; do
        case $first_inside$escape in
            1*) first_inside='' ;;
            "$BACKSLASH") word=$word$BACKSLASH escape='' ;;
            *) escape=$BACKSLASH ;;
        esac
        [ -z "$piece" ] || { word=$word$escape$piece && escape=''; }
    done
}

split_outside() {
    IFS=$BLANKS first_outside=1
    case $1 in ["$BLANKS"]*) end_word ;; esac
    for piece in $1; do
        [ -n "$first_outside" ] || end_word
        word=$word$piece open=1 first_outside=''
    done
    case $1 in *["$BLANKS"]) end_word ;; esac
}

# Many short words are gathered before the list, which may be long, is copied for them.
end_word() {
    [ -n "$open" ] || return 0
    recent=$recent$word$END word='' open=''
    case $recent in
        ????????????????????????????????????????????????????????????????*) words=$words$recent recent='' ;;
    esac
}

# One word as a shell would have to read it.
quoted() {
    text=$1$SINGLE IFS=$SINGLE before=''
    for piece in $text; do
        printf "%s'%s'" "$before" "$piece"
        before=$BACKSLASH$SINGLE
    done
}

# The command line on one line that can be pasted, secrets left out.
show() {
    printf 'composegen: llama-server'
    secret=''
    for word; do
        printf ' '
        if [ -n "$secret" ]; then
            printf "'****'"
        else
            case $word in
                '' | *[!A-Za-z0-9_./:@%+=,-]*) quoted "$word" ;;
                *) printf '%s' "$word" ;;
            esac
        fi
        secret=''
        case $word in --api[-_]key | --hf[-_]token | -hft) secret=1 ;; esac
    done
    printf '\n'
}

case ${1-} in
    health)
        # What Docker knows is 0 and 1.
        health || exit 1
{%- if rpc %}
        has_workers || exit 1
{%- endif %}
        exit 0
        ;;
{%- if rpc %}
    worker)
        worker
        ;;
    worker-health)
        worker_health || exit 1
        exit 0
        ;;
{%- endif %}
    '' | -*) ;;
    *)
        driver
        exec "$@"
        ;;
esac

case ${EXTRA_ARGS-} in
    *"$END"*) fail 64 'EXTRA_ARGS has a unit separator (octal 037), which cannot be passed on' ;;
esac
split_words "${EXTRA_ARGS-}"

# What the arguments say takes the place of what the strategy says; where the last one given would not win by itself,
# the variable is left out.
takes_place() {
    [ -z "$2" ] || say "$3 in the arguments takes the place of $1"
}

own_model=''
IFS=$END
for word in "$@" $words; do
    case $word in
        -m | --model | -mu | --model[-_]url | -hf | -hfr | --hf[-_]repo | -dr | --docker[-_]repo | --models[-_]dir | --models[-_]preset)
            takes_place MODEL "${MODEL-}" "$word"
            own_model=$word MODEL=''
            ;;
        --port)
            say "the health check and the published port follow PORT, not --port in the arguments"
            ;;
{%- for knob in adding %}
        {{ knob.first }}{% for spelling in knob.others %} | {{ spelling }}{% endfor %})
            takes_place {{ knob.env }} "${ {#- -#} {{ knob.env }}-}" "$word"
            {{ knob.env }}=''
            ;;
{%- endfor %}
    esac
done

arguments=$#
if [ -n "${MODEL-}" ]; then
    case $MODEL in
        /*) model=$MODEL ;;
        *) model=/models/$MODEL ;;
    esac
    [ -f "$model" ] || fail 66 "no model at $model; /models is the directory that MODELS_DIR names on the host"
    set -- "$@" --model "$model"
elif [ -z "$own_model" ]; then
    fail 64 'MODEL is empty: no strategy is chosen; start with docker compose --env-file NAME.env up'
fi
case ${PORT-} in
    *[!0-9]*) fail 64 "PORT is '$PORT'; write a number, or leave it empty" ;;
esac
set -- "$@" --host "${LLAMA_HOST:-0.0.0.0}" --port "${PORT:-{{ port }}}"
if [ -e "$KEY" ]; then
    { [ -f "$KEY" ] && [ -r "$KEY" ]; } ||
        fail 64 "cannot read $KEY; let uid $(id -u) read the file that API_KEY_FILE names on the host"
    case $(key) in
        '') fail 64 "$KEY holds no key; write one on a line of the file that API_KEY_FILE names on the host" ;;
        *"$(printf '\r')") fail 64 "the lines of $KEY end in CR LF, and the CR would be part of the key; write them with LF" ;;
    esac
    set -- "$@" --api-key-file "$KEY"
fi
{%- for knob in values %}
[ -z "${ {#- -#} {{ knob.env }}-}" ] || set -- "$@" {{ knob.flag }} "${{ knob.env }}"
{%- endfor %}
{%- for knob in switches %}
case ${ {#- -#} {{ knob.env }}-} in
    '') ;;
    1 | true | on | yes | enabled) {% if let Some(flag) = knob.on %}set -- "$@" {{ flag }} {% endif %};;
    0 | false | off | no | disabled) {% if let Some(flag) = knob.off %}set -- "$@" {{ flag }} {% endif %};;
    *) bad_switch {{ knob.env }} "${{ knob.env }}" ;;
esac
{%- endfor %}

# EXTRA_ARGS, and behind it the arguments of the container: of one given twice the last wins.
# shellcheck disable=SC2090,SC2086 # The list is split at the end of each word.
set -- "$@" $words
while [ "$arguments" -gt 0 ]; do
    word=$1
    shift
    set -- "$@" "$word"
    arguments=$((arguments - 1))
done

stray=$(env | while IFS= read -r line; do
    case $line in LLAMA_ARG_*=*) printf ' %s' "${line%%=*}" ;; esac
done)
[ -z "$stray" ] || say "llama-server also reads these from the environment:$stray"

{%- if rpc %}
wait_for_workers
{%- endif %}

show "$@" >&2
driver
exec llama-server "$@"

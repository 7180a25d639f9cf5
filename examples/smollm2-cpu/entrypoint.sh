#!/bin/sh
# Made by composegen 0.1.0 from
#   ../../presets/smollm2-cpu.toml
# Not to be edited: change those files and run `composegen build`.
#
# Turns the environment into llama-server's arguments. Empty means unset, everywhere. Values are expanded in double
# quotes only; nothing is evaluated, and no name of a file is matched.
#   entrypoint                      llama-server, as the environment says
#   entrypoint -flag value ...      the same with more arguments at the end
#   entrypoint health               asks the server that runs in this container
#   entrypoint PROGRAM ...          another program of the image: llama-bench, llama-fit-params
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
        "$scheme://$host:${PORT:-8080}${API_PREFIX-}/health"
    if [ -r "$KEY" ]; then
        # By way of standard input, where no list of processes shows the key.
        printf 'X-Api-Key: %s\n' "$(key)" | curl --header @- "$@"
    else
        curl "$@"
    fi
}

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
        exit 0
        ;;
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
        --override-tensor | --override_tensor | -ot)
            takes_place OVERRIDE_TENSOR "${OVERRIDE_TENSOR-}" "$word"
            OVERRIDE_TENSOR=''
            ;;
        --cpu-moe | --cpu_moe | -cmoe)
            takes_place CPU_MOE "${CPU_MOE-}" "$word"
            CPU_MOE=''
            ;;
        --n-cpu-moe | --n_cpu_moe | -ncmoe)
            takes_place N_CPU_MOE "${N_CPU_MOE-}" "$word"
            N_CPU_MOE=''
            ;;
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
set -- "$@" --host "${LLAMA_HOST:-0.0.0.0}" --port "${PORT:-8080}"
if [ -e "$KEY" ]; then
    { [ -f "$KEY" ] && [ -r "$KEY" ]; } ||
        fail 64 "cannot read $KEY; let uid $(id -u) read the file that API_KEY_FILE names on the host"
    case $(key) in
        '') fail 64 "$KEY holds no key; write one on a line of the file that API_KEY_FILE names on the host" ;;
        *"$(printf '\r')") fail 64 "the lines of $KEY end in CR LF, and the CR would be part of the key; write them with LF" ;;
    esac
    set -- "$@" --api-key-file "$KEY"
fi
[ -z "${CTX_SIZE-}" ] || set -- "$@" --ctx-size "$CTX_SIZE"
[ -z "${CACHE_TYPE_K-}" ] || set -- "$@" --cache-type-k "$CACHE_TYPE_K"
[ -z "${CACHE_TYPE_V-}" ] || set -- "$@" --cache-type-v "$CACHE_TYPE_V"
[ -z "${FLASH_ATTN-}" ] || set -- "$@" --flash-attn "$FLASH_ATTN"
[ -z "${CACHE_RAM-}" ] || set -- "$@" --cache-ram "$CACHE_RAM"
[ -z "${OVERRIDE_TENSOR-}" ] || set -- "$@" --override-tensor "$OVERRIDE_TENSOR"
[ -z "${N_GPU_LAYERS-}" ] || set -- "$@" --n-gpu-layers "$N_GPU_LAYERS"
[ -z "${SPLIT_MODE-}" ] || set -- "$@" --split-mode "$SPLIT_MODE"
[ -z "${TENSOR_SPLIT-}" ] || set -- "$@" --tensor-split "$TENSOR_SPLIT"
[ -z "${MAIN_GPU-}" ] || set -- "$@" --main-gpu "$MAIN_GPU"
[ -z "${N_CPU_MOE-}" ] || set -- "$@" --n-cpu-moe "$N_CPU_MOE"
[ -z "${FIT-}" ] || set -- "$@" --fit "$FIT"
[ -z "${LOAD_MODE-}" ] || set -- "$@" --load-mode "$LOAD_MODE"
[ -z "${BATCH_SIZE-}" ] || set -- "$@" --batch-size "$BATCH_SIZE"
[ -z "${UBATCH_SIZE-}" ] || set -- "$@" --ubatch-size "$UBATCH_SIZE"
[ -z "${LLAMA_PARALLEL-}" ] || set -- "$@" --parallel "$LLAMA_PARALLEL"
[ -z "${LLAMA_ALIAS-}" ] || set -- "$@" --alias "$LLAMA_ALIAS"
case ${NO_CONTEXT_SHIFT-} in
    '') ;;
    1 | true | on | yes | enabled) set -- "$@" --no-context-shift ;;
    0 | false | off | no | disabled) set -- "$@" --context-shift ;;
    *) bad_switch NO_CONTEXT_SHIFT "$NO_CONTEXT_SHIFT" ;;
esac
case ${CPU_MOE-} in
    '') ;;
    1 | true | on | yes | enabled) set -- "$@" --cpu-moe ;;
    0 | false | off | no | disabled) ;;
    *) bad_switch CPU_MOE "$CPU_MOE" ;;
esac
case ${LLAMA_JINJA-} in
    '') ;;
    1 | true | on | yes | enabled) set -- "$@" --jinja ;;
    0 | false | off | no | disabled) set -- "$@" --no-jinja ;;
    *) bad_switch LLAMA_JINJA "$LLAMA_JINJA" ;;
esac
case ${LLAMA_METRICS-} in
    '') ;;
    1 | true | on | yes | enabled) set -- "$@" --metrics ;;
    0 | false | off | no | disabled) ;;
    *) bad_switch LLAMA_METRICS "$LLAMA_METRICS" ;;
esac

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

show "$@" >&2
driver
exec llama-server "$@"

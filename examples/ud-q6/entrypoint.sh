#!/bin/sh
# Made by composegen 0.1.0 from
#   ../../presets/ud-q6.toml
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
TAB=$(printf '\t')
LF='
'

say() {
    printf 'composegen: %s\n' "$1" >&2
}

fail() {
    say "$2"
    exit "$1"
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
    set -- --fail --silent --show-error --insecure --max-time 4 --output /dev/null \
        "$scheme://127.0.0.1:${PORT:-8080}${API_PREFIX-}/health"
    if [ -r "$KEY" ]; then
        # By way of standard input, where no list of processes shows the key.
        printf 'header = "X-Api-Key: %s"\n' "$(key)" | curl --config - "$@"
    else
        curl "$@"
    fi
}

# One word as a shell would have to read it.
quoted() {
    rest=$1
    text=
    while :; do
        case $rest in
            *\'*) text=$text${rest%%\'*}"'\\''" rest=${rest#*\'} ;;
            *) break ;;
        esac
    done
    printf "'%s'" "$text$rest"
}

# The command line on one line that can be pasted, secrets left out.
show() {
    line=llama-server
    secret=
    for word; do
        case $word in
            '' | *[!A-Za-z0-9_./:@%+=,-]*) shown=$(quoted "$word") ;;
            *) shown=$word ;;
        esac
        [ -z "$secret" ] || shown='****'
        secret=
        case $word in --api[-_]key | --hf[-_]token | -hft) secret=1 ;; esac
        line="$line $shown"
    done
    say "$line"
}

case ${1-} in
    health)
        # What Docker knows is 0 and 1.
        health || exit 1
        exit 0
        ;;
    '' | -*) ;;
    *) exec "$@" ;;
esac

# EXTRA_ARGS: blanks separate words; '...' is literal; in "..." a \" is a quote and a \\ a backslash; outside of quotes a
# backslash is an ordinary character, so that a pattern needs none doubled.
added=$#
rest=${EXTRA_ARGS-}
word=
open=
while [ -n "$rest" ]; do
    plain=${rest%%[\'\"\ "$TAB$LF"]*}
    if [ -n "$plain" ]; then
        word=$word$plain
        open=1
        rest=${rest#"$plain"}
        [ -n "$rest" ] || break
    fi
    case $rest in
        \'*)
            rest=${rest#?}
            open=1
            case $rest in *\'*) ;; *) fail 64 "EXTRA_ARGS has a ' that does not close" ;; esac
            word=$word${rest%%\'*}
            rest=${rest#*\'}
            ;;
        \"*)
            rest=${rest#?}
            open=1
            while :; do
                part=${rest%%[\"\\]*}
                [ "$part" != "$rest" ] || fail 64 'EXTRA_ARGS has a " that does not close'
                word=$word$part
                rest=${rest#"$part"}
                case $rest in
                    \"*) rest=${rest#?} && break ;;
                    '\"'*) word=$word\" rest=${rest#??} ;;
                    \\\\*) word=$word\\ rest=${rest#??} ;;
                    *) word=$word\\ rest=${rest#?} ;;
                esac
            done
            ;;
        *)
            rest=${rest#?}
            [ -z "$open" ] || set -- "$@" "$word"
            word=
            open=
            ;;
    esac
done
[ -z "$open" ] || set -- "$@" "$word"

# Arguments of the container stand behind EXTRA_ARGS: the last one given wins.
more=$#
while [ "$added" -gt 0 ]; do
    word=$1
    shift
    set -- "$@" "$word"
    added=$((added - 1))
done

# What is said there takes the place of what the strategy says.
own_model=
own_overrides=
for word; do
    case $word in
        -m | --model | -mu | --model[-_]url | -hf | -hfr | --hf[-_]repo | -dr | --docker[-_]repo | --models[-_]dir | --models[-_]preset)
            own_model=$word
            ;;
        -ot | --override[-_]tensor) own_overrides=$word ;;
    esac
done
if [ -n "$own_overrides" ] && [ -n "${OVERRIDE_TENSOR-}" ]; then
    say "$own_overrides in the arguments takes the place of OVERRIDE_TENSOR"
    OVERRIDE_TENSOR=
fi

if [ -n "$own_model" ]; then
    [ -z "${MODEL-}" ] || say "$own_model in the arguments takes the place of MODEL"
elif [ -z "${MODEL-}" ]; then
    fail 64 'MODEL is empty: no strategy is chosen; start with docker compose --env-file NAME.env up'
else
    case $MODEL in
        /*) model=$MODEL ;;
        *) model=/models/$MODEL ;;
    esac
    [ -e "$model" ] || fail 66 "no model at $model; /models is the directory that MODELS_DIR names on the host"
    set -- "$@" --model "$model"
fi
set -- "$@" --host "${LLAMA_HOST:-0.0.0.0}" --port "${PORT:-8080}"
if [ -e "$KEY" ]; then
    [ -r "$KEY" ] || fail 64 "cannot read $KEY; let uid $(id -u) read the file that API_KEY_FILE names on the host"
    [ -n "$(key)" ] || fail 64 "$KEY holds no key; write one on a line of the file that API_KEY_FILE names on the host"
    set -- "$@" --api-key-file "$KEY"
fi
[ -z "${CTX_SIZE-}" ] || set -- "$@" --ctx-size "$CTX_SIZE"
[ -z "${CACHE_TYPE_K-}" ] || set -- "$@" --cache-type-k "$CACHE_TYPE_K"
[ -z "${CACHE_TYPE_V-}" ] || set -- "$@" --cache-type-v "$CACHE_TYPE_V"
[ -z "${FLASH_ATTN-}" ] || set -- "$@" --flash-attn "$FLASH_ATTN"
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
[ -z "${LLAMA_TEMP-}" ] || set -- "$@" --temp "$LLAMA_TEMP"
[ -z "${TOP_K-}" ] || set -- "$@" --top-k "$TOP_K"
[ -z "${TOP_P-}" ] || set -- "$@" --top-p "$TOP_P"
[ -z "${MIN_P-}" ] || set -- "$@" --min-p "$MIN_P"
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

# The words given by hand go to the end.
while [ "$more" -gt 0 ]; do
    word=$1
    shift
    set -- "$@" "$word"
    more=$((more - 1))
done

stray=$(env | while IFS= read -r line; do
    case $line in LLAMA_ARG_*=*) printf ' %s' "${line%%=*}" ;; esac
done)
[ -z "$stray" ] || say "llama-server also reads these from the environment:$stray"

show "$@"
exec llama-server "$@"

//! A stand-in for llama-server on two GPUs. No GPU is here: what CUDA would say are lines in the formats of b11434's
//! source, said where a scripted memory is too small; what fits is served by the real server on the CPU. Everything
//! between preset and ledger is the command's own.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::{at, ledger};
use crate::engine::Engine;
use crate::proxy::Proxy;
use crate::strategy::{self, Said, Strategy};

/// In front of the image's own entrypoint. The comment names variables that it passes over, as the real one would read
/// them from this preset.
const ENTRYPOINT: &str = r#"#!/bin/sh
# ${PORT ${MODEL ${CTX_SIZE ${LLAMA_PARALLEL ${FIT ${OVERRIDE_TENSOR ${N_GPU_LAYERS ${TENSOR_SPLIT ${UBATCH_SIZE ${FLASH_ATTN ${CACHE_TYPE_K ${CACHE_TYPE_V
case ${1-} in
    health) exec /usr/local/bin/entrypoint.real health ;;
    llama-server)
        echo 'Available devices:'
        echo '  CUDA0: NVIDIA GeForce RTX 4090 (24564 MiB, 23671 MiB free)'
        echo '  CUDA1: NVIDIA GeForce RTX 5070 Ti (16303 MiB, 12761 MiB free)'
        exit 0
        ;;
esac
while [ $# -gt 0 ]; do
    case $1 in
        --override-tensor) placement=$2 ;;
        --tensor-split) split=$2 ;;
        --ctx-size) context=$2 ;;
    esac
    shift
done
echo "stand-in: -ts $split -ot $placement" >&2
if [ "$placement" = '@17+8@' ]; then
    cat >&2 <<'END'
0.05.000.000 E ggml_backend_cuda_buffer_type_alloc_buffer: allocating 22841.50 MiB on device 0: cudaMalloc failed: out of memory
0.05.000.001 E ggml_backend_buft_alloc_buffer_n_default: failed to allocate CUDA0 buffer of size 23951048704
0.05.000.002 E llama_model_load: error loading model: unable to allocate CUDA0 buffer
0.05.000.003 E srv  llama_server: exiting due to model loading error
END
    exit 1
fi
mkfifo /tmp/log
/usr/local/bin/entrypoint.real --ctx-size "$context" --verbosity 4 > /tmp/log 2>&1 &
server=$!
trap 'kill -TERM $server' TERM
while IFS= read -r line; do
    printf '%s\n' "$line" >&2
    case $placement--$line in
        '@16+8@'--*'launch_slot_'*)
            cat >&2 <<'END'
0.22.000.000 E CUDA error: out of memory
0.22.000.001 E   current device: 1, in function alloc at ggml/src/ggml-cuda/ggml-cuda.cu:570
END
            touch /tmp/aborted
            kill -KILL $server
            ;;
    esac
done < /tmp/log &
reader=$!
wait $server
# Once more, since a trap ends the first wait.
wait $server
wait $reader
[ ! -e /tmp/aborted ] || exit 134
cat >&2 <<'END'
0.41.100.000 I common_memory_breakdown_print: | memory breakdown [MiB]   | total   free     self   model   context   compute    unaccounted |
0.41.100.001 I common_memory_breakdown_print: |   - CUDA0 (RTX 4090)     | 24080 =  611 + (22510 = 21580 +      70 +     860) +         959 |
0.41.100.002 I common_memory_breakdown_print: |   - CUDA1 (RTX 5070 Ti)  | 15840 =  903 + (11301 = 10741 +      30 +     530) +        3636 |
END
"#;

const RIG: &str = r#"name = "RTX 4090 + RTX 5070 Ti"
[[gpu]]
name = "NVIDIA GeForce RTX 4090"
memory_mib = 24564
free_mib = @CUDA0@
compute_capability = "8.9"
[[gpu]]
name = "NVIDIA GeForce RTX 5070 Ti"
memory_mib = 16303
free_mib = 12761
compute_capability = "12.0"
[cpu]
isa = "x86-64-v3"
[ram]
total_mib = 64204
"#;

/// The seed's path for `Q5_K_M`: 17+8 does not load on CUDA0, 16+8 loads and then has no memory on CUDA1.
pub(super) fn layer_by_layer(engine: &Engine) {
    let strategy = Strategy::new(engine, "");
    let file = |name: &str, text: &str| fs_err::write(strategy.path().join(name), text).unwrap();
    let placement = |a: &str, b: &str| strategy.run(&["ot", a, b]).ends(0, "CUDA1").out;
    let context = tempfile::tempdir().unwrap();
    let script = ENTRYPOINT
        .replace("@17+8@", placement("17", "8").trim_end())
        .replace("@16+8@", placement("16", "8").trim_end());
    let path = context.path().join("entrypoint");
    fs_err::write(&path, script).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let from = strategy::image(engine).unwrap();
    let dockerfile = format!(
        "FROM {from}\nUSER root\nRUN mv /usr/local/bin/entrypoint /usr/local/bin/entrypoint.real\n\
         COPY entrypoint /usr/local/bin/entrypoint\nUSER 10001:10001\n"
    );
    fs_err::write(context.path().join("Dockerfile"), dockerfile).unwrap();
    let image = engine.image();
    engine.must_build(context.path(), &["--tag", &image.name]);

    file("rig.toml", &RIG.replace("@CUDA0@", "24171"));
    let header =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/headers/qcn-ud6-00001-of-00003.gguf");
    let preset = format!(
        "# My own.\nhardware = \"rig.toml\"\n[model]\nfile = \"{}\"\nheader = \"{header}\"\n\
         [context]\nctx_size = 4096\nflash_attn = \"on\"\n[placement]\nlayers = [1, 1] # to be found\n\
         [batching]\nparallel = 1\nubatch_size = 2048\n[server]\nport = {}\n[image]\nname = \"{}\"\n\
         [container]\nmodels_dir = \"{}\"\n",
        strategy::MODEL,
        strategy.port,
        image.name,
        strategy::models().display()
    );
    file("server.toml", &preset);
    let proxy = Proxy::with_gpus(engine, strategy.path());
    let tune = |more: &[&str]| {
        let mut command = strategy.command(&super::args(&strategy, more));
        Said::from(command.env("DOCKER_HOST", proxy.host()).output().unwrap())
    };
    let said = tune(&["--depth", "200", "--write"]).ends(0, "wrote the best plan into");
    let expected = [
        "server on CUDA0 and CUDA1",
        "  1  17+8 at 4K: the most that may fit, by the estimate",
        "     out of memory: CUDA0 has no memory for a buffer of weights of 22842 MiB while the model was loaded",
        "  2  16+8 at 4K: CUDA0 ran out of memory with 17+8 at 4K: one layer fewer on CUDA0",
        "     out of memory: CUDA1 has no memory for the compute buffer at a prompt, after the model was loaded",
        "  3  16+7 at 4K: CUDA1 ran out of memory with 16+8 at 4K: one layer fewer on CUDA1",
    ];
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.get(..expected.len()), Some(&expected[..]), "{said}");
    let ok = lines.get(expected.len()).copied().unwrap_or_default();
    assert!(ok.starts_with("     ok: 200 tokens went through, prompt "), "{said}");
    assert!(ok.ends_with("; free 611 + 903 MiB"), "{said}");
    let best = "best: 16+7 at 4K: one layer more on CUDA0 runs out of memory, as 17+8 at 4K did; \
                one layer more on CUDA1 runs out of memory, as 16+8 at 4K did";
    assert_eq!(lines.get(expected.len() + 1), Some(&best), "{said}");
    strategy.nothing_is_left();

    let text = fs_err::read_to_string(strategy.path().join("server.toml")).unwrap();
    assert!(
        text.starts_with("# My own.\n") && text.contains("layers = [16, 7] # to be found\n"),
        "{text}"
    );
    assert!(text.contains("tensor_split = [33, 16]\n"), "{text}");
    let runs = ledger(&strategy);
    let told: Vec<(&Value, &Value, &Value)> = runs
        .iter()
        .map(|run| (at(run, "/layers"), at(run, "/outcome"), at(run, "/device")))
        .collect();
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let rows = [
        (json("[17, 8]"), json("\"out-of-memory\""), json("\"CUDA0\"")),
        (json("[16, 8]"), json("\"out-of-memory\""), json("\"CUDA1\"")),
        (json("[16, 7]"), json("\"ok\""), Value::Null),
    ];
    assert_eq!(told, rows.iter().map(|(a, b, c)| (a, b, c)).collect::<Vec<_>>());
    let went = runs.last().unwrap();
    assert_eq!(at(went, "/trial/free_mib"), &json("[611, 903]"));
    assert_eq!(at(went, "/memory/vram_mib"), &json("[23469, 14937]"));

    // The preset says now what was found, and there is nothing left to find.
    let said = tune(&["--depth", "200"]).ends(0, "3 attempts are known");
    assert!(said.out.contains("best: 16+7") && !said.out.contains("  1  "), "{said}");
    strategy.nothing_is_left();
}

//! Lines as llama-server wrote them, and the class that each set stands for.

use super::{Buffer, Ending, Failure, Phase, Trouble};
use crate::exit::Exit;

fn of(code: i64, text: &str) -> Failure {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    Failure::of(&Ending { exit_code: Some(code), lines: &lines, ..Ending::default() })
}

/// Recorded: b11434, CPU, in a container of ours; times and repeated lines left out where they tell nothing.
#[test]
fn recorded_endings() {
    let file = |file: &str, trouble| Failure::ModelFile { file: file.to_owned(), trouble };
    let flag = |said: &str| Failure::Flag { said: said.to_owned() };
    let table = [
        (
            "0.00.106.330 I srv    load_model: loading model '/models/none.gguf'\n\
             0.00.108.104 E gguf_init_from_file: failed to open GGUF file '/models/none.gguf' (No such file or directory)\n\
             0.00.110.019 E llama_model_load: error loading model: llama_model_loader: failed to load model from /models/none.gguf\n\
             0.00.116.450 E srv  llama_server: exiting due to model loading error",
            file("/models/none.gguf", Trouble::Missing),
        ),
        (
            "0.00.024.604 E gguf_init_from_file: failed to open GGUF file '/models/s-00002-of-00003.gguf' (No such file or directory)\n\
             0.00.025.998 E llama_model_load: error loading model: llama_model_loader: failed to load GGUF split from /models/s-00002-of-00003.gguf",
            file("/models/s-00002-of-00003.gguf", Trouble::MissingPart),
        ),
        (
            "0.00.014.235 E llama_model_load: error loading model: illegal split file idx: 1 (file: /models/s-00002-of-00003.gguf), model must be loaded with the first split",
            file("/models/s-00002-of-00003.gguf", Trouble::NotFirstPart),
        ),
        (
            "0.00.024.151 E llama_model_load: error loading model: tensor 'blk.16.ffn_down.weight' data is not within the file bounds, model is corrupted or incomplete",
            file(
                "tensor 'blk.16.ffn_down.weight' data is not within the file bounds, model is corrupted or incomplete",
                Trouble::CutOff,
            ),
        ),
        (
            "0.00.013.640 E gguf_init_from_reader: invalid magic characters: 'nons', expected 'GGUF'\n\
             0.00.014.068 E llama_model_load: error loading model: llama_model_loader: failed to load model from /models/magic.gguf",
            file("invalid magic characters: 'nons', expected 'GGUF'", Trouble::NoGguf),
        ),
        (
            "0.00.035.557 E llama_model_load: error loading model: unknown model architecture: 'llamx'",
            Failure::UnknownArchitecture { name: "llamx".to_owned() },
        ),
        ("error: invalid argument: --no-such-flag", flag("invalid argument: --no-such-flag")),
        (
            "error while handling argument \"-ot\": unknown buffer type\n\nusage:\n-ot,   --override-tensor",
            flag("error while handling argument \"-ot\": unknown buffer type"),
        ),
        (
            "0.00.014.572 E srv         start: couldn't bind HTTP server socket, hostname: 1.2.3.4, port: 80\n\
             0.00.014.892 E srv  llama_server: exiting due to HTTP server error",
            Failure::Port { said: "hostname: 1.2.3.4, port: 80".to_owned() },
        ),
        (
            "0.42.173.751 E ggml_aligned_malloc: insufficient memory (attempted to allocate 8789062.50 MB)\n\
             0.42.174.278 E ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 9216000000000\n\
             0.42.867.595 E llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache",
            Failure::HostMemory { wanted_mib: Some(8_789_062.5), killed: false },
        ),
    ];
    for (text, failure) in table {
        assert_eq!(of(1, text), failure, "{text}");
    }
}

/// Not recorded here, where no GPU is: the formats stand in llama.cpp's source of b11434, filled in.
#[test]
fn gpu_memory_by_device_and_buffer() {
    let malloc = "0.05.000.000 E ggml_backend_cuda_buffer_type_alloc_buffer: allocating 14336.50 MiB on device 1: cudaMalloc failed: out of memory";
    for (line, buffer) in [
        (
            "E llama_model_load: error loading model: unable to allocate CUDA1 buffer",
            Buffer::Weights,
        ),
        (
            "E llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache",
            Buffer::Context,
        ),
        (
            "E llama_init_from_model: failed to initialize the context: failed to allocate compute pp buffers",
            Buffer::Compute,
        ),
        ("I srv anything", Buffer::Unnamed),
    ] {
        let (device, phase) = (Some("CUDA1".to_owned()), Phase::Load);
        let failure = Failure::GpuMemory { device, buffer, wanted_mib: Some(14336.5), phase };
        assert_eq!(of(1, &format!("{malloc}\n{line}")), failure);
        assert_eq!(failure.exit(), Exit::GpuMemory);
    }
    let late = of(
        134,
        "CUDA error: out of memory\n  current device: 0, in function alloc at ggml-cuda.cu:452\n  cuMemCreate(&handle)",
    );
    let (device, buffer) = (Some("CUDA0".to_owned()), Buffer::Compute);
    assert_eq!(late, Failure::GpuMemory { device, buffer, wanted_mib: None, phase: Phase::Prompt });
    let no =
        of(1, "E ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected");
    assert_eq!(no.exit(), Exit::NoGpu);
    let none = of(
        1,
        "composegen: llama-server -dev CUDA0\ncomposegen: no NVIDIA driver in the container: libcuda.so.1 is missing; it \
         comes\nerror while handling argument \"-ot\": unknown buffer type",
    );
    assert_eq!(none.exit(), Exit::NoGpu);
    assert!(none.sentence().ends_with("libcuda.so.1 is missing"), "{}", none.sentence());
}

#[test]
fn exit_codes_and_engines_words_where_the_log_is_silent() {
    let ending = Ending { exit_code: Some(137), oom_killed: true, ..Ending::default() };
    assert_eq!(Failure::of(&ending).exit(), Exit::HostMemory);
    let ending = Ending { exit_code: Some(137), ..Ending::default() };
    assert_eq!(Failure::of(&ending), Failure::Stopped { signal: 9 });
    assert_eq!(of(132, ""), Failure::Instruction);
    assert_eq!(of(3, "").sentence(), "llama-server ended with exit code 3");
    let said = of(3, "a\n0.00.1.2 E srv x: it hurts\n0.0.0.0 E srv y: exiting due to pain");
    assert_eq!(said.sentence(), "llama-server ended with exit code 3: srv x: it hurts");
    // Recorded: Engine 20.10.24 and 28.5.2.
    for (engine, exit) in [
        (
            "driver failed programming external connectivity on endpoint x-llama-1 (0f): Bind for 127.0.0.1:8080 failed: port is already allocated",
            Exit::Port,
        ),
        ("could not select device driver \"nvidia\" with capabilities: [[gpu]]", Exit::NoGpu),
        (
            "invalid mount config for type \"bind\": bind source path does not exist: /srv/models",
            Exit::ModelFile,
        ),
    ] {
        let failure = Failure::of(&Ending { engine, ..Ending::default() });
        assert_eq!(failure.exit(), exit, "{engine}");
    }
}

/// With `restart: on-failure` a log has several starts.
#[test]
fn the_last_start_counts() {
    let failure = of(
        1,
        "composegen: llama-server --model /models/x\nerror: invalid argument: --a\n\
         composegen: llama-server --model /models/x\n0.0.0.0 E unknown model architecture: 'b'",
    );
    assert_eq!(failure, Failure::UnknownArchitecture { name: "b".to_owned() });
}

//! Every finding has a name. The table below is also `docs/codes.md`.

use std::fmt;

/// Whether a finding stops a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Error,
    Warning,
}

macro_rules! codes {
    ($($variant:ident $severity:ident $name:literal $explain:literal)*) => {
        /// The name of a kind of finding, stable across releases.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $explain] $variant,)* }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// In kebab case, as it is printed and looked up.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// What the finding means, in a sentence or two.
            pub const fn explain(self) -> &'static str {
                match self { $(Self::$variant => $explain,)* }
            }
        }
    };
}

codes! {
    Syntax Error "syntax"
        "The file is not TOML."
    UnknownKey Error "unknown-key"
        "The table has no such key. The nearest known one is offered."
    WrongType Error "wrong-type"
        "The value has another type than the key takes, or is not among its words."
    OutOfRange Error "out-of-range"
        "The value lies outside of what llama.cpp accepts or what makes sense."
    MissingKey Error "missing-key"
        "A value without which nothing can be built is nowhere set: not in the file, not in what it extends."
    MissingFile Error "missing-file"
        "A file that the preset names cannot be read."
    ExtendsCycle Error "extends-cycle"
        "Presets extend each other in a circle."
    UnsafeName Error "unsafe-name"
        "The preset's file name is no safe file name for the .env file made from it: letters, digits, dot, dash and underscore are."
    Unrepresentable Error "unrepresentable"
        "The value holds a character that the file it is written to cannot carry, such as NUL or a line break."
    RemovedFlag Error "removed-flag"
        "llama.cpp no longer has the flag. Its successor is named."
    UnknownFlag Warning "unknown-flag"
        "The build of llama-server that composegen knows has no such flag; a newer one may."
    BadArgument Error "bad-argument"
        "llama-server would not start with these `extra_args`."
    TypedFlag Error "typed-flag"
        "The flag in `extra_args`, or the variable in `container.environment`, has a key of its own; use that, so that it is checked and planned with."
    OverrideGrammar Error "override-grammar"
        "The entry is no tensor override: one `pattern=buffer` each, and llama.cpp splits at every `,` and at the first `=`, so that a pattern can hold neither."
    OverrideRegex Error "override-regex"
        "The pattern is no regular expression. llama.cpp would find out only while loading the model."
    UnknownBuffer Error "unknown-buffer"
        "llama.cpp knows no such buffer: CPU, and the devices of the hardware in order (CUDA0, CUDA1, ...)."
    UnknownDevice Error "unknown-device"
        "The hardware has no such device."
    QuantizedVCache Error "quantized-v-cache"
        "A quantized V cache needs flash attention; llama-server refuses to start without it."
    CacheKernel Error "cache-kernel"
        "There is no CUDA flash-attention kernel for the cache type, and none can be compiled."
    FitConflict Error "fit-conflict"
        "`fit = \"on\"` gives up as soon as a placement is given, after it may already have shrunk the context."
    SplitModeConflict Error "split-mode-conflict"
        "With `split_mode` row or tensor a per-device override would replace the split of that tensor; tensor also refuses a quantized cache and `fit`."
    CudaTooOld Error "cuda-too-old"
        "The CUDA version cannot compile for the GPU: `sm_120` needs 12.8, `sm_121` needs 12.9."
    CudaTooNew Error "cuda-too-new"
        "The CUDA version is newer than the driver runs: 12.x needs driver 525 (570 on Blackwell), 13.x needs 580."
    YarnWithoutScale Error "yarn-without-scale"
        "YaRN without a scale factor changes nothing: the factor stays 1."
    NotFirstPart Error "not-first-part"
        "A model split into several files is loaded by naming its first part; llama.cpp finds the others beside it."
    PlacementConflict Error "placement-conflict"
        "Two ways of placing the same weights exclude each other."
    Unplanned Error "unplanned"
        "`placement.auto` wants a planned placement; there is neither a header to plan from nor a locked one."
    NoPlacement Error "no-placement"
        "Planning was tried, and no placement fits the machine: the context, its cache and the buffers need more than the GPUs have."
    StalePlacement Warning "stale-placement"
        "The locked placement was planned for other values than the preset has now, and there is no header here to plan from again."
    SlotsWithoutContext Error "slots-without-context"
        "Each slot gets the context divided by the number of slots, and that is less than a request needs."
    BatchOrder Error "batch-order"
        "A physical batch cannot be larger than the logical batch it is a part of."
    BeyondRam Error "beyond-ram"
        "The load mode holds all weights of the CPU in memory, and they are more than the machine has."
    SourceConflict Error "source-conflict"
        "The image is built from one source: a branch, a tag, a commit or a local directory."
    BadReference Error "bad-reference"
        "The image, repository, commit or version is not written as its reader expects it."
    ImageMismatch Error "image-mismatch"
        "The presets need different images, and an output directory holds one Dockerfile."
    ContainerMismatch Error "container-mismatch"
        "The presets need different containers, and an output directory holds one docker-compose.yml."
    ReplicaConflict Error "replica-conflict"
        "Replicas are the same server several times behind one address: each needs GPUs that no other has, and all need the same ones."
    DuplicateName Error "duplicate-name"
        "Two presets would write the same .env file, or two hosts of a cluster would have the same name."
    BeyondTarget Error "beyond-target"
        "The target cannot express what the preset asks for: another value of the key, or another target, can."
    ExposedWorker Error "exposed-worker"
        "An RPC worker takes work from whoever connects, without a key; what the preset asks for would open its port beyond a private network."
    MixedBuilds Error "mixed-builds"
        "llama-server and its workers must be the same build, and nothing says which build the nodes run."
    HealthUnreachable Error "health-unreachable"
        "The health check could not reach the server the way it is configured."
    LessonKvQ4 Warning "lesson-kv-q4"
        "A `q4_0` KV cache made the model correct itself in the measurements this project started from. They were taken before llama.cpp rotated activations; measure again before relying on either."
    LessonQuant4 Warning "lesson-4-bit"
        "4-bit weights took five times the tokens for the same coding task, because the router picks the wrong experts."
    LessonJinja Warning "lesson-jinja"
        "Without the Jinja template neither the chat format nor tool calls work."
    LessonSlots Warning "lesson-slots"
        "More than one slot costs memory for nothing where one person uses the server."
    LessonUnusedVram Warning "lesson-unused-vram"
        "Weights stay in system memory while a GPU has room for them; memory there is about twenty times slower."
    DeprecatedSplit Warning "deprecated-split"
        "`split_mode = \"row\"` is deprecated in llama.cpp."
    MemoryHeavy Warning "memory-heavy"
        "The machine's memory is nearly used up by what the strategy keeps in it."
    FewLayers Warning "few-layers"
        "`n_gpu_layers` is lower than the model's blocks plus one, so whole layers, with their KV cache, stay on the CPU."
    ContextBeyondModel Warning "context-beyond-model"
        "The context is longer than the model was trained for."
    OverrideUnscoped Warning "override-unscoped"
        "The pattern also matches other blocks than it seems to: `blk.1` matches blk.10 to blk.19 too."
    ExposedPort Warning "exposed-port"
        "The server is published beyond this machine without an API key."
    EndlessRestart Warning "endless-restart"
        "A server that cannot start, for lack of memory say, would be started again for ever."
    IgnoredByTarget Warning "ignored-by-target"
        "The target has no counterpart of the key, so that it changes nothing there."
    UnpinnedImage Warning "unpinned-image"
        "Nodes pull the image by a name that can mean another image tomorrow, or on another node."
    IneffectiveKey Warning "ineffective-key"
        "llama.cpp ignores the key in this combination."
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

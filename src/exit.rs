//! What the shell is told. The table is also in the documentation.

macro_rules! exits {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal,)+) => {
        /// The exit code of a run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Exit { $($(#[doc = $doc])+ $variant = $code,)+ }

        impl Exit {
            /// Every code with its meaning, in order.
            pub const TABLE: &[(u8, &str)] = &[$(($code, concat!($($doc),+)),)+];
        }
    };
}

exits! {
    /// Done.
    Done = 0,
    /// A preset or another input was rejected; the findings are on standard error.
    Rejected = 1,
    /// The command line is wrong.
    Usage = 2,
    /// `check`: what is on disk is not what would be generated.
    OutOfDate = 3,
    /// The engine cannot be reached or refused.
    Engine = 4,
    /// Out of memory, with nothing left to give back.
    OutOfMemory = 5,
    /// A file was edited by hand and is not overwritten without `--force`.
    Edited = 6,
    /// A file could not be read or written.
    File = 7,
    /// Nothing could be found out from outside: no network, no such branch, no GPU that answers.
    Unresolved = 8,
    /// `ledger --fail-below`: a speed has fallen below the bound.
    Regression = 9,
    /// A GPU had no memory for llama-server's buffers.
    GpuMemory = 10,
    /// The machine or the container's limit had no memory for llama-server.
    HostMemory = 11,
    /// A model file, or a part of one, is missing, cut off or no GGUF.
    ModelFile = 12,
    /// The image's llama.cpp does not know the model's architecture.
    Architecture = 13,
    /// llama-server refused a flag or a value.
    Flag = 14,
    /// The port is taken or cannot be opened.
    Port = 15,
    /// The container gets no GPU.
    NoGpu = 16,
    /// The image was compiled for another CPU.
    Instruction = 17,
    /// llama-server ended for another reason; its last words are on standard error.
    Ended = 18,
    /// llama-server was not healthy in time.
    Unhealthy = 19,
    /// The image is not there, or cannot be built here.
    Image = 20,
    /// Building the image failed; the compiler's output is on standard error.
    BuildFailed = 21,
    /// `doctor` found something that is missing.
    Unfit = 22,
    /// `bench`, `eval`, `client --check`: a server cannot be reached, refused, or answered with something else.
    NoAnswer = 23,
    /// `logs`, `restart`: nothing runs there.
    NotRunning = 24,
    /// `run`: the program in the image ended with another code than 0, which is on standard error.
    Program = 25,
    /// Interrupted by Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

//! Makes a model file of a header alone, to measure speeds with where nobody has the weights: as long as the real one, but
//! nearly all of it a hole of zeros.
//!
//! `hollow HEADER.gguf OUT.gguf`: normalizations are one, token embeddings and routers are random, everything else is
//! zero. So each token's state is its embedding in every block, and the routers send it to other experts than the token
//! before; no kernel of llama.cpp takes another time for weights that are zero. What it answers means nothing.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use composegen::gguf::{self, DType, Header, Role, Tensor};

/// What a tensor is filled with.
enum Filling {
    Ones,
    Random,
    Nothing,
}

impl Filling {
    fn of(tensor: &Tensor) -> Self {
        let f32 = DType::by_name("F32") == Some(tensor.dtype);
        match tensor.role {
            Role::Router => Self::Random,
            _ if tensor.name == "token_embd.weight" => Self::Random,
            _ if f32 && tensor.name.ends_with("norm.weight") => Self::Ones,
            _ => Self::Nothing,
        }
    }
}

/// Numbers that look random, the same in every run.
struct Noise(u64);

impl Noise {
    /// Four bytes that are a finite number below one in every type: no half or single in them has a large exponent.
    fn next(&mut self) -> [u8; 4] {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The upper half is the better one of such a generator.
        let bits = u32::try_from(self.0 >> 32).unwrap_or_default();
        (bits & 0xbbbb_bbbb).to_le_bytes()
    }
}

fn fill(out: &mut BufWriter<File>, header: &Header) -> std::io::Result<()> {
    let mut noise = Noise(1);
    for tensor in &header.tensors {
        let filling = Filling::of(tensor);
        if matches!(filling, Filling::Nothing) {
            continue;
        }
        out.seek(SeekFrom::Start(header.data_start + tensor.offset))?;
        for _ in 0..tensor.bytes.0 / 4 {
            match filling {
                Filling::Ones => out.write_all(&1.0_f32.to_le_bytes())?,
                _ => out.write_all(&noise.next())?,
            }
        }
    }
    out.flush()
}

fn make(from: &Utf8Path, to: &Utf8Path) -> Result<(), Box<dyn std::error::Error>> {
    let header = gguf::read(&mut BufReader::new(File::open(from)?))?;
    // A header's file may be a hole itself: only the header is copied.
    let bytes = File::open(from)?;
    let mut file = File::create_new(to)?;
    std::io::copy(&mut std::io::Read::take(bytes, header.data_start), &mut file)?;
    file.set_len(header.expected_length)?;
    fill(&mut BufWriter::new(file), &header)?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a program for the terminal")]
fn main() -> ExitCode {
    let arguments: Vec<Utf8PathBuf> = std::env::args().skip(1).map(Utf8PathBuf::from).collect();
    let [from, to] = arguments.as_slice() else {
        eprintln!("usage: hollow HEADER.gguf OUT.gguf");
        return ExitCode::from(2);
    };
    match make(from, to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot make {to} of {from}: {error}");
            ExitCode::FAILURE
        }
    }
}

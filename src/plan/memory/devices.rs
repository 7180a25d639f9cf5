//! Which GPUs take part, in which order, and which block goes to which of them.

use super::EstimateError;
use super::graph::Place;
use super::request::{GpuLayers, Request, SplitMode};
use crate::hardware::Gpu;

/// What llama.cpp calls the devices in `-dev`, where workers' devices count over all workers: `RPC0`, `RPC1`, `CUDA0`.
pub fn names(gpus: &[Gpu]) -> Vec<String> {
    let (mut remote, mut local) = (0_u32, 0_u32);
    let name = |gpu: &Gpu| {
        let (kind, count) =
            if gpu.remote.is_some() { ("RPC", &mut remote) } else { ("CUDA", &mut local) };
        let name = format!("{kind}{count}");
        *count += 1;
        name
    };
    gpus.iter().map(name).collect()
}

/// What it calls their buffers in `-ot`, where a worker's devices count from zero: `RPC0[spare:50052]`, `CUDA0`.
pub fn buffers(gpus: &[Gpu]) -> Vec<String> {
    let name = |(gpu, name): (&Gpu, String)| match &gpu.remote {
        Some(remote) => format!("RPC{}[{}]", remote.index, remote.endpoint),
        None => name,
    };
    gpus.iter().zip(names(gpus)).map(name).collect()
}

/// The same where every name is a device and the main GPU is there; llama-server ends at others.
pub(super) fn named(gpus: &[Gpu], request: &Request) -> Result<Vec<usize>, EstimateError> {
    let known = names(gpus);
    let wanted = request.devices.iter().flatten();
    if let Some(name) = wanted.clone().find(|name| !known.contains(name)) {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(EstimateError::Device { name: name.clone(), known });
    }
    let count = if request.devices.is_some() { wanted.count() } else { gpus.len() };
    // Without any device there is none to choose.
    if request.split_mode == SplitMode::None && count > 0 && request.main_gpu as usize >= count {
        return Err(EstimateError::MainGpu { index: request.main_gpu, count });
    }
    Ok(used(gpus, request))
}

/// The GPUs that llama-server uses, as indices into the host's list.
pub fn used(gpus: &[Gpu], request: &Request) -> Vec<usize> {
    let all: Vec<usize> = match &request.devices {
        None => (0..gpus.len()).collect(),
        Some(wanted) => {
            let names = names(gpus);
            wanted.iter().filter_map(|name| names.iter().position(|known| known == name)).collect()
        }
    };
    if request.split_mode == SplitMode::None {
        return all.get(request.main_gpu as usize).copied().into_iter().collect();
    }
    all
}

/// Where each block, and behind them the output, is computed.
///
/// The arithmetic is llama.cpp's, in single precision: a block belongs to the first device whose share of
/// the whole ends behind the block's start.
pub(super) fn assign(blocks: usize, shares: &[f32], request: &Request) -> Vec<Place> {
    let host = Place(u8::try_from(shares.len()).unwrap_or(u8::MAX));
    let all = blocks + 1;
    let count = match request.gpu_layers {
        GpuLayers::All => all,
        GpuLayers::Count(count) => all.min(count as usize),
    };
    let start = all - count;
    let mut sum = 0.0_f32;
    let ends: Vec<f32> = shares
        .iter()
        .map(|share| {
            sum += share;
            sum
        })
        .collect();
    (0..all)
        .map(|il| {
            let Some(place) = il.checked_sub(start) else { return host };
            let part = place as f32 / count as f32;
            let device = ends.iter().position(|end| end / sum > part);
            device.map_or(host, |device| Place(u8::try_from(device).unwrap_or(u8::MAX)))
        })
        .collect()
}

/// The shares of the devices: `-ts`, or their free memory.
pub(super) fn shares(gpus: &[Gpu], used: &[usize], request: &Request) -> Vec<f32> {
    let given = |i: usize| request.tensor_split.get(i).copied().unwrap_or(0.0);
    if (0..used.len()).any(|i| given(i) != 0.0) {
        return (0..used.len()).map(given).collect();
    }
    used.iter().map(|i| gpus.get(*i).map_or(0.0, |gpu| gpu.free.0 as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Place, assign, buffers, names};
    use crate::plan::memory::request::{GpuLayers, Request};

    fn counts(blocks: usize, shares: &[f32], gpu_layers: GpuLayers) -> Vec<usize> {
        let places = assign(blocks, shares, &Request { gpu_layers, ..Request::default() });
        let count = |place| places.iter().filter(|p| **p == Place(place)).count();
        (0..=u8::try_from(shares.len()).unwrap()).map(count).collect()
    }

    #[test]
    fn workers_devices_are_named_twice() {
        let text = "[[host]]\nname = \"a\"\n[[host.gpu]]\nmemory_mib = 8192\ncompute_capability = \"8.9\"\n\
             [[host]]\nname = \"b\"\n[host.ram]\ntotal_mib = 8192\n\
             [[host]]\nname = \"c\"\n[[host.gpu]]\nmemory_mib = 8192\ncompute_capability = \"8.9\"\n\
             [[host.gpu]]\nmemory_mib = 8192\ncompute_capability = \"8.9\"\n\
             [[link]]\nbetween = [\"a\", \"b\"]\ngbit = 1\nrtt_ms = 1\n\
             [[link]]\nbetween = [\"a\", \"c\"]\ngbit = 1\nrtt_ms = 1\n";
        let mut findings = Vec::new();
        let file = crate::diagnostic::FileId(0);
        let described = crate::cluster::parse::parse(file, "x", text, &mut findings).unwrap();
        let cluster = described.settle(|_| None).unwrap();
        let gpus = cluster.view(&cluster.endpoints("llama"), true).gpus;
        assert_eq!(names(&gpus), ["RPC0", "RPC1", "RPC2", "CUDA0"]);
        let first = ["RPC0[llama-b:50052]", "RPC0[llama-c:50052]", "RPC1[llama-c:50052]"];
        assert_eq!(buffers(&gpus), [&first[..], &["CUDA0"]].concat());
    }

    #[test]
    fn what_is_no_device_is_refused() {
        let gpu = |name: &str| crate::hardware::known(name).unwrap().gpu();
        let gpus = [gpu("RTX 4090"), gpu("RTX 3090")];
        let ask = |words: &[&str]| {
            super::named(&gpus, &Request::from_args(words).unwrap()).map_err(|e| e.to_string())
        };
        assert_eq!(ask(&["-dev", "CUDA1"]), Ok(vec![1]));
        assert_eq!(ask(&["-dev", "none", "-sm", "none", "-mg", "1"]), Ok(vec![]));
        assert_eq!(ask(&["-sm", "none", "-mg", "1"]), Ok(vec![1]));
        let error = ask(&["-dev", "CUDA0,CUDA7"]).unwrap_err();
        assert!(error.contains("\"CUDA7\": `-dev` can name CUDA0, CUDA1"), "{error}");
        for words in
            [&["-sm", "none", "-mg", "9"][..], &["-sm", "none", "-dev", "CUDA1", "-mg", "1"]]
        {
            let error = ask(words).unwrap_err();
            assert!(error.contains("among the") && error.contains("`-sm none`"), "{error}");
        }
    }

    #[test]
    fn integer_shares_that_add_up_are_layer_counts() {
        assert_eq!(counts(48, &[32.0, 17.0], GpuLayers::All), [32, 17, 0]);
        assert_eq!(counts(36, &[20.0, 17.0], GpuLayers::All), [20, 17, 0]);
        assert_eq!(counts(94, &[9.0, 2.0, 7.0], GpuLayers::Count(99)), [48, 11, 36, 0]);
    }

    #[test]
    fn the_first_blocks_stay_on_the_host() {
        assert_eq!(counts(36, &[20.0, 10.0], GpuLayers::Count(30)), [20, 10, 7]);
        assert_eq!(counts(48, &[1.0], GpuLayers::Count(0)), [0, 49]);
        assert_eq!(counts(48, &[], GpuLayers::All), [49]);
    }
}

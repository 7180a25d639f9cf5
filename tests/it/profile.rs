//! The seed's build: what ran in February 2026 fits with its profile, and what ran out of memory does not.

use std::sync::Arc;

use composegen::gguf::{self, DType, Model};
use composegen::hardware::Gpu;
use composegen::plan::memory::{EstimateError, Request, estimate};
use composegen::plan::pattern::override_string;
use composegen::plan::placement::{Granularity, Task, place};
use composegen::plan::speed::System;
use composegen::profile::Profile;
use composegen::units::Bytes;

use crate::repository::root;

fn header(name: &str) -> Model {
    gguf::open(&root().join("tests/it/headers").join(name)).unwrap()
}

fn ud6() -> Model {
    header("qcn-ud6-00001-of-00003.gguf")
}

/// The same model in a uniform type: `more` for the output and, as llama.cpp's `_M` mixtures have it, for the down
/// projections of the first and last eighth and of every third block between.
fn uniform(base: DType, more: DType) -> Model {
    let mut model = ud6();
    let blocks = model.block_count;
    for tensor in &mut model.tensors {
        if tensor.dtype == DType::F32 {
            continue;
        }
        let layer = tensor.layer.unwrap_or(0);
        let eighth = blocks / 8;
        let wide = layer < eighth || layer >= 7 * eighth || (layer - eighth) % 3 == 2;
        let better =
            tensor.name == "output.weight" || (tensor.base() == "ffn_down_exps.weight" && wide);
        tensor.dtype = if better { more } else { base };
        let layout = tensor.dtype.layout().unwrap();
        let elements: u64 = tensor.dims.iter().product();
        tensor.bytes = Bytes(elements / layout.block_len * layout.block_bytes);
    }
    model
}

fn by_name(name: &str) -> DType {
    DType::by_name(name).unwrap()
}

fn q4_k_m() -> Model {
    uniform(by_name("Q4_K"), by_name("Q6_K"))
}

fn q5_k_m() -> Model {
    uniform(by_name("Q5_K"), by_name("Q6_K"))
}

fn q6_k() -> Model {
    uniform(by_name("Q6_K"), by_name("Q6_K"))
}

fn gpu(total: u64, free: u64, capability: &str, gbs: f64) -> Gpu {
    Gpu {
        name: String::new(),
        memory: Bytes::from_mib(total),
        free: Bytes::from_mib(free),
        compute_capability: capability.parse().unwrap(),
        bandwidth_gbs: Some(gbs),
        pci: None,
        uuid: None,
        remote: None,
    }
}

fn cards() -> [Gpu; 2] {
    [gpu(24564, 23671, "8.9", 1008.0), gpu(16303, 12761, "12.0", 896.0)]
}

fn seed() -> Arc<Profile> {
    Profile::named("seed-2026-02").unwrap()
}

fn command(context: u64, cache: &str) -> Request {
    let flags = format!(
        "-c {context} -ngl 99 -sm layer -np 1 -b 2048 -ub 2048 -fa on -ctk {cache} -ctv {cache}"
    );
    let words: Vec<&str> = flags.split(' ').collect();
    Request { profile: Some(seed()), ..Request::from_args(&words).unwrap() }
}

const K64: u64 = 65_536;
const K256: u64 = 262_144;

#[test]
fn what_ran_fits_and_what_failed_fails_on_the_same_card() {
    let (q4, q5, q6, ud6) = (q4_k_m(), q5_k_m(), q6_k(), ud6());
    for (name, model, context, cache, layers, failed) in [
        ("1", &q5, K64, "q8_0", [18, 8], None),
        ("2", &q5, K256, "q8_0", [15, 7], None),
        ("2", &q5, K256, "q8_0", [17, 8], Some("CUDA0")),
        ("2", &q5, K256, "q8_0", [16, 8], Some("CUDA1")),
        ("4", &q6, K256, "q8_0", [12, 6], None),
        ("4", &q6, K256, "q8_0", [13, 6], Some("CUDA0")),
        ("5", &ud6, K256, "q8_0", [13, 6], None),
        ("5", &ud6, K256, "q8_0", [11, 5], None),
        ("5b", &ud6, K256, "q4_0", [14, 6], None),
        ("Q4_K_M", &q4, K64, "q8_0", [20, 10], None),
    ] {
        let mut request = command(context, cache);
        let rules = override_string(&layers, &["CUDA0".to_owned(), "CUDA1".to_owned()]);
        let rules = Request::from_args(&["-ot", rules.as_str()]).unwrap();
        request.overrides = rules.overrides;
        let found = estimate(model, &cards(), &request).unwrap();
        let over = found.devices.iter().find(|device| device.total() > device.free);
        let what = format!("{name} {layers:?}: {:?}", found.devices);
        assert_eq!(over.map(|device| device.name.as_str()), failed, "{what}");
    }
}

/// Weights that llama-server reported then, against shapes quantized here.
#[test]
fn the_models_of_this_test_weigh_what_was_measured() {
    for (model, layers, measured) in
        [(q6_k(), [12, 6], [15947.0, 8508.0]), (q5_k_m(), [15, 7], [17184.0, 8442.0])]
    {
        let mut request = command(K256, "q8_0");
        let rules = override_string(&layers, &["CUDA0".to_owned(), "CUDA1".to_owned()]);
        request.overrides = Request::from_args(&["-ot", rules.as_str()]).unwrap().overrides;
        let found = estimate(&model, &cards(), &request).unwrap();
        for (device, measured) in found.devices.iter().zip(measured) {
            let off = device.model.mib() / measured - 1.0;
            assert!(off.abs() < 0.006, "{} {} {measured}", device.name, device.model.mib());
        }
    }
}

#[test]
fn an_addition_grows_with_the_batch_and_only_where_something_is_computed() {
    let model = ud6();
    let compute = |ubatch: u64, devices: Option<Vec<String>>, profile| {
        let mut request = command(K64, "q8_0");
        (request.ubatch_size, request.devices, request.profile) = (ubatch, devices, profile);
        request.overrides = Request::from_args(&["-cmoe"]).unwrap().overrides;
        let found = estimate(&model, &cards(), &request).unwrap();
        found.devices.iter().map(|device| device.compute).collect::<Vec<_>>()
    };
    // A batch is never longer than `-b`, here 2048.
    for (ubatch, added) in [
        (2048, [1248.0, 929.0]),
        (1024, [624.0, 464.5]),
        (512, [312.0, 232.25]),
        (4096, [1248.0, 929.0]),
    ] {
        let [without, with] = [None, Some(seed())].map(|profile| compute(ubatch, None, profile));
        for (i, added) in added.into_iter().enumerate() {
            let found = with[i].saturating_sub(without[i]).mib();
            assert!((found - added).abs() < 0.01, "{ubatch} on {i}: {found}");
        }
    }
    let one = vec!["CUDA1".to_owned()];
    let [without, with] =
        [None, Some(seed())].map(|profile| compute(2048, Some(one.clone()), profile));
    assert_eq!(with[0].saturating_sub(without[0]), Bytes::from_mib(1248), "the first in use");
}

#[test]
fn a_model_that_nobody_measured_is_refused() {
    let model = header("gemma3-27b.gguf");
    let request = Request { profile: Some(seed()), ..Request::default() };
    let error = estimate(&model, &cards(), &request).unwrap_err();
    assert!(matches!(&error, EstimateError::Profile { .. }));
    assert_eq!(
        error.to_string(),
        "profile \"seed-2026-02\" has no figures for gemma3: it was measured with qwen3next, gpt-oss"
    );
}

/// The placements that were found by hand, from the header alone.
#[test]
fn plans_what_was_found_by_hand_within_a_layer_per_card() {
    for (name, model, context, layers) in [
        ("UD-Q6_K_XL", ud6(), K256, [13, 6]),
        ("Q5_K_M", q5_k_m(), K256, [15, 7]),
        ("Q6_K", q6_k(), K256, [12, 6]),
        ("Q5_K_M, 64K", q5_k_m(), K64, [18, 8]),
    ] {
        let gpus = cards();
        let request = command(context, "q8_0");
        let margin = [Bytes::from_mib(256)];
        let task = Task {
            model: &model,
            gpus: &gpus,
            system: System { ram_gbs: Some(50.0), ..System::default() },
            ram: None,
            request: &request,
            margin: &margin,
            granularity: Granularity::Layer,
            layers: &[],
        };
        let plan = place(&task).unwrap();
        assert!(plan.fits, "{name}");
        let found: Vec<u32> = plan.slices.iter().map(|slice| slice.resident).collect();
        let near = found.iter().zip(layers).all(|(found, by_hand)| found.abs_diff(by_hand) <= 1);
        assert!(near, "{name}: {found:?} instead of {layers:?}");
    }
}

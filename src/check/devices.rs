//! Devices that a placement names against the GPUs that the machine has.

use super::{Subject, count};
use crate::diagnostic::{Code, Diagnostic};
use crate::plan::memory::devices::names;
use crate::preset::value;
use crate::table::Field;

pub(super) fn check(subject: &mut Subject<'_>) {
    let Some(host) = subject.host else { return };
    if !subject.has_devices() {
        return;
    }
    let preset = subject.preset;
    let p = &preset.placement;
    let gpus = host.gpus.len();
    let workers = value(&p.rpc).map_or(0, Vec::len);
    let names = names(&host.gpus);
    for field in [&p.device, &preset.speculative.spec_draft_device] {
        let Some(set) = field else { continue };
        for (i, device) in set.value.iter().enumerate() {
            let remote = workers > 0 && device.starts_with("RPC");
            if device != "none" && !remote && !names.contains(device) {
                let message = format!("`{}` has no device `{device}`", host.name);
                let finding = Diagnostic::new(Code::UnknownDevice, message).at(set.item(i));
                subject.push(finding.help(have(&names)));
            }
        }
    }
    if let Some(main) = count(&p.main_gpu)
        && main >= gpus
        && gpus > 0
    {
        let message = format!("`{}` has no GPU {main}", host.name);
        subject.say(Code::UnknownDevice, &p.main_gpu, message, &have(&names));
    }
    let used = value(&p.device).map_or(gpus + workers, Vec::len);
    longer(subject, "layers", value(&p.layers).map(Vec::len), used, &p.layers);
    let pinned = value(&p.pinned_layers).map(Vec::len);
    longer(subject, "pinned_layers", pinned, used, &p.pinned_layers);
    longer(subject, "reserve", value(&p.reserve).map(Vec::len), used, &p.reserve);
    longer(subject, "tensor_split", value(&p.tensor_split).map(Vec::len), used, &p.tensor_split);
    longer(subject, "fit_target", value(&p.fit_target).map(Vec::len), used, &p.fit_target);
}

fn longer<T>(
    subject: &mut Subject<'_>,
    name: &str,
    entries: Option<usize>,
    devices: usize,
    field: &Field<T>,
) {
    if let Some(entries) = entries
        && entries > devices
    {
        subject.say(
            Code::UnknownDevice,
            field,
            format!("`{name}` has {entries} entries for {devices} devices"),
            "give one entry per device; what is too much would have no effect",
        );
    }
}

fn have(names: &[String]) -> String {
    if names.is_empty() {
        "the hardware describes no GPU; add a `[[gpu]]` to it or use `backend = \"cpu\"`".to_owned()
    } else {
        format!("it has {}", names.join(" and "))
    }
}

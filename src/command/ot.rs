//! `composegen ot`: the override string for whole layers per device.

use std::io::Write as _;

use super::Failure;
use crate::cli::Ot;
use crate::plan::pattern::override_string;
use crate::strategy::devices;
use crate::terminal::Terminal;

pub(super) fn run(args: &Ot, terminal: &mut Terminal) -> Result<(), Failure> {
    let names =
        if args.device.is_empty() { devices(None, args.layers.len()) } else { args.device.clone() };
    if names.len() < args.layers.len() {
        return Err(Failure::Usage {
            message: format!(
                "{} counts of layers for {} devices; name each device in --device",
                args.layers.len(),
                names.len()
            ),
        });
    }
    writeln!(terminal.out, "{}", override_string(&args.layers, &names))?;
    Ok(())
}

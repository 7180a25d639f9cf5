//! `composegen schema`: what editors complete and check with.

use std::io::Write as _;

use super::Failure;
use crate::cli::{Schema, SchemaOf};
use crate::terminal::Terminal;
use crate::{cluster, hardware, preset};

pub(super) fn run(args: &Schema, terminal: &mut Terminal) -> Result<(), Failure> {
    let text = match args.of {
        SchemaOf::Preset => preset::schema::text(),
        SchemaOf::Hardware => hardware::schema::text(),
        SchemaOf::Cluster => cluster::schema::text(),
    };
    write!(terminal.out, "{text}")?;
    Ok(())
}

//! Puts the constants into the hardware file and leaves everything else in it as it was.

use camino::Utf8Path;
use toml_edit::{DocumentMut, Item, Table, value};

use crate::command::plan::put;
use crate::command::{Failure, load};
use crate::hardware::Speed;
use crate::store;

pub(super) fn into(path: &Utf8Path, speed: &Speed, origin: &str) -> Result<(), Failure> {
    let text = load(path).map_err(|error| Failure::File(error.to_string()))?;
    let text =
        edited(&text, speed, origin).map_err(|error| Failure::File(format!("{path}: {error}")))?;
    Ok(store::single(path, &text, true)?)
}

fn edited(text: &str, speed: &Speed, origin: &str) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let table = document.entry("speed").or_insert(Item::Table(Table::new()));
    let table =
        table.as_table_mut().ok_or("`speed` is written in one line; make it a `[speed]` table")?;
    table.decor_mut().set_prefix(format!("\n{origin}"));
    for (key, number) in speed.keys() {
        put(table, key, value(number));
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::edited;
    use crate::diagnostic::FileId;
    use crate::hardware::{Speed, parse};

    const SPEED: Speed = Speed {
        gpu_efficiency: 0.7,
        cpu_efficiency: 0.5,
        block_us: 60.0,
        recurrent_us: 100.5,
        visit_us: 0.0,
        error: 0.12,
    };

    #[test]
    fn only_the_table_changes_and_reads_back() {
        let before = "# mine\nname = \"box\" # so\n\n[[gpu]]\nmemory_mib = 24564\ncompute_capability = \"8.9\"\n";
        let once = edited(before, &SPEED, "# from 3 runs\n").unwrap();
        assert!(once.starts_with(before) && once.contains("\n# from 3 runs\n[speed]\n"), "{once}");
        let twice = edited(&once, &Speed { block_us: 61.0, ..SPEED }, "# from 4 runs\n").unwrap();
        assert_eq!(
            twice,
            once.replace("block_us = 60.0", "block_us = 61.0").replace("3 runs", "4 runs")
        );
        let mut findings = Vec::new();
        let host = parse::parse(FileId(0), "box", &once, &mut findings);
        assert_eq!(host.and_then(|host| host.speed), Some(SPEED), "{findings:?}");
    }
}

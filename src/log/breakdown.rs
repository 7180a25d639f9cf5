//! The table of memory that llama-server prints when it ends: what each card had free while all was still allocated.

use super::{between, text};

/// One card, in MiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `CUDA0`
    pub device: String,
    pub total: u64,
    pub free: u64,
}

/// The rows of cards in the last table among the lines; those of host memory have no total and are passed over.
pub fn read(lines: &[String]) -> Vec<Row> {
    let texts: Vec<&str> = lines.iter().map(|line| text(line)).collect();
    let head = texts.iter().rposition(|line| line.contains("| memory breakdown [MiB]"));
    let head = head.map(|head| head + 1);
    texts.iter().skip(head.unwrap_or(texts.len())).filter_map(|line| row(line)).collect()
}

/// `...: |   - CUDA0 (RTX 4090)   | 24080 = 1456 + (21234 = 17176 + 2226 + 1832) + 1390 |`
fn row(line: &str) -> Option<Row> {
    let (_, rest) = line.split_once("|   - ")?;
    let (name, figures) = rest.split_once(" (")?;
    // The card's own name may hold anything but the bar.
    let (_, figures) = figures.split_once('|')?;
    let total = figures.split('=').next()?.trim().parse().ok()?;
    let free = between(figures, "=", "+")?.trim().parse().ok()?;
    Some(Row { device: name.trim().to_owned(), total, free })
}

#[cfg(test)]
mod tests {
    use super::{Row, read};

    /// Filled into the format of b11434's source, where no GPU is; the row of the host was recorded.
    const PRINTED: &str = "\
0.41.000.000 I srv  operator(): cleaning up before exit...
0.41.100.000 I common_memory_breakdown_print: | memory breakdown [MiB]      | total   free     self   model   context   compute    unaccounted |
0.41.100.001 I common_memory_breakdown_print: |   - CUDA0 (RTX 4090)        | 24080 = 1456 + (21234 = 17176 +    2226 +    1832) +        1390 |
0.41.100.002 I common_memory_breakdown_print: |   - CUDA1 (RTX 5070 Ti (x)) | 15840 =  783 + (13900 = 10111 +    2113 +    1676) +       -1157 |
0.41.100.003 I common_memory_breakdown_print: |   - Host                    |                   264 =    92 +     157 +      14                |";

    #[test]
    fn cards_with_what_is_free() {
        let lines: Vec<String> = PRINTED.lines().map(str::to_owned).collect();
        let row = |device: &str, total, free| Row { device: device.to_owned(), total, free };
        assert_eq!(read(&lines), [row("CUDA0", 24080, 1456), row("CUDA1", 15840, 783)]);
        assert_eq!(read(&["anything".to_owned()]), []);
        // Of two starts in one log the last counts.
        let twice = [lines.clone(), lines].concat();
        assert_eq!(read(&twice).len(), 2);
    }
}

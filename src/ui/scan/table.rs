//! The table: a row for each system and each locked volume, remarks indented below it.

use super::lines;
use crate::probe::lastboot;
use crate::probe::scan::Found;
use crate::ui::{escape_bytes, table as columns};

const HEAD: [&str; 5] = ["ID", "SYSTEM", "HOST", "ROOT ON", "LAST BOOT"];
/// A name from a hostile disk must not push the rest off the screen.
const WIDEST: usize = 60;

struct Row {
    cells: [String; 5],
    below: Vec<String>,
}

/// The whole table, with a newline at its end; empty when there is nothing to show.
#[must_use]
pub fn table(found: &Found) -> String {
    let rows: Vec<Row> = found
        .systems
        .iter()
        .map(|system| Row {
            cells: [
                cell(&system.id),
                cell(&lines::system_name(system)),
                cell(system.facts.hostname.as_deref().unwrap_or("?")),
                cell(&lines::place(&found.inventory, system)),
                system
                    .last_boot
                    .as_ref()
                    .map_or_else(|| "?".to_string(), |boot| lastboot::show(boot.when)),
            ],
            below: lines::remarks(found, system),
        })
        .chain(found.locked.iter().map(|locked| Row {
            cells: [
                cell(&locked.id),
                format!("locked, {}", cell(&locked.what)),
                "?".to_string(),
                cell(&found.inventory.volumes[locked.volume].name),
                "?".to_string(),
            ],
            below: lines::how_to_unlock(locked),
        }))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut cells = vec![HEAD.map(str::to_string).to_vec()];
    cells.extend(rows.iter().map(|row| row.cells.to_vec()));
    let lines = columns(&cells);
    let below = std::iter::once(&[] as &[String]).chain(rows.iter().map(|row| &row.below[..]));
    let mut out = String::new();
    for (line, below) in lines.lines().zip(below) {
        out.push_str(line);
        out.push('\n');
        for remark in below {
            out.push_str("  ");
            out.push_str(remark);
            out.push('\n');
        }
    }
    out
}

fn cell(text: &str) -> String {
    let safe = escape_bytes(text.as_bytes());
    if safe.chars().count() <= WIDEST {
        return safe;
    }
    let mut cut: String = safe.chars().take(WIDEST - 3).collect();
    cut.push_str("...");
    cut
}

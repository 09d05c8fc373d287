//! The table: a row for each system and each locked volume, remarks indented below it.

use super::lines;
use crate::probe::lastboot;
use crate::probe::scan::Found;
use crate::ui::escape_bytes;

const HEAD: [&str; 5] = ["ID", "SYSTEM", "HOST", "ROOT ON", "LAST BOOT"];
/// A name from a hostile disk must not push the rest off the screen.
const WIDEST: usize = 40;

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
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = line(&HEAD.map(str::to_string), &widths);
    for row in rows {
        out.push_str(&line(&row.cells, &widths));
        for remark in row.below {
            out.push_str("  ");
            out.push_str(&remark);
            out.push('\n');
        }
    }
    out
}

fn line(cells: &[String; 5], widths: &[usize; 5]) -> String {
    let mut out = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        out.push_str(cell);
        let pad = width.saturating_sub(cell.chars().count()) + 2;
        out.push_str(&" ".repeat(pad));
    }
    let mut out = out.trim_end().to_string();
    out.push('\n');
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

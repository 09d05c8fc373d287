//! What is open, in a few lines.

use super::{Access, MountState, OpenMount, Opened};

/// How wide a line may be.
const WIDTH: usize = 78;

/// "web03, Debian 12.9, open READ-ONLY", then what is mounted where.
pub(in crate::cmd) fn lines(opened: &Opened) -> Vec<String> {
    let os = opened
        .system
        .as_ref()
        .map(|system| format!(", {}", system.facts.os.short()));
    let access = match opened.access {
        Access::ReadOnly => "READ-ONLY",
        Access::ReadWrite => "read-write",
    };
    let adopted = if opened.adopted {
        ", as somebody mounted it"
    } else {
        ""
    };
    let mut lines = vec![format!(
        "{}{}: {access} at {}{adopted}",
        opened.name,
        os.unwrap_or_default(),
        opened.root
    )];
    let mut row = String::from(" ");
    for text in opened.mounts.iter().map(one) {
        if row.len() > 1 && row.len() + text.len() + 5 > WIDTH {
            lines.push(std::mem::replace(&mut row, String::from(" ")));
        }
        row.push_str(if row.len() > 1 { "     " } else { " " });
        row.push_str(&text);
    }
    if row.len() > 1 {
        lines.push(row);
    }
    lines
}

fn one(mount: &OpenMount) -> String {
    let point = mount.point.as_path().display();
    match &mount.state {
        MountState::Mounted { .. } => format!("{point}  {} {}", mount.device, mount.fs_type),
        MountState::Missing(_) => format!("{point}  MISSING"),
        MountState::Skipped(_) => format!("{point}  not mounted"),
    }
}

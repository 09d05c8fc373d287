//! What stands above the menu (screens.md, screen 3): what is open, how, and what is in the way.
//! Everything that comes from a disk is escaped here.

use super::Session;
use super::report::Looked;
use super::warnings::Warning;
use crate::cmd::open::{MountState, OpenMount, Opened};
use crate::probe::network;
use crate::root::Host;
use crate::ui::escape_bytes;

/// How wide a line may be.
const WIDTH: usize = 78;

/// The whole head.
pub(super) fn head(session: &Session<'_>, looked: Option<&Looked>) -> Vec<String> {
    let opened = &session.opened;
    let mut lines = vec![title(opened, session.writable)];
    lines.extend(mounts(&opened.mounts));
    let count = counted(looked, session.warnings.len());
    let network = network::default_interface(&Host);
    lines.push(format!(
        "{count}. Network: {}. Log: {}",
        safe(network.as_deref().unwrap_or("none")),
        session.log.path().display()
    ));
    for error in looked.iter().flat_map(|looked| &looked.first) {
        lines.extend(wrapped("ERROR ", &safe(error)));
    }
    lines.extend(warnings(&opened.mounts, &session.warnings));
    lines
}

/// "2 errors, 1 warning": of the doctor's quick look, and what is in the way.
fn counted(looked: Option<&Looked>, in_the_way: usize) -> String {
    let count = |number: usize, what: &str| {
        let end = if number == 1 { "" } else { "s" };
        format!("{number} {what}{end}")
    };
    let errors = looked.map_or(0, |looked| looked.errors);
    let warnings = looked.map_or(0, |looked| looked.warnings) + in_the_way;
    match (errors, warnings) {
        (0, 0) => String::from("Nothing wrong at a quick look"),
        (0, warnings) => count(warnings, "warning"),
        (errors, 0) => count(errors, "error"),
        (errors, warnings) => {
            format!("{}, {}", count(errors, "error"), count(warnings, "warning"))
        }
    }
}

/// "web03, Debian 12.9, open READ-ONLY. Nothing changed yet."
fn title(opened: &Opened, writable: bool) -> String {
    let name = safe(&opened.name);
    let what = match &opened.system {
        Some(system) => format!("{name}, {}", safe(&system.facts.os.short())),
        None => format!("{name}, no installed system"),
    };
    let place = if opened.adopted {
        format!(", in {}", safe(&opened.root.to_string()))
    } else {
        String::new()
    };
    if writable {
        format!("{what}{place}, open READ-WRITE.")
    } else {
        format!("{what}{place}, open READ-ONLY. Nothing changed yet.")
    }
}

/// "  /  sda2 ext4     /boot  sda4 ext4     /data  MISSING"
fn mounts(mounts: &[OpenMount]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for mount in mounts {
        let point = safe(&mount.point.to_string());
        let cell = match &mount.state {
            MountState::Mounted { .. } => {
                format!("{point}  {} {}", safe(&mount.device), safe(&mount.fs_type))
            }
            MountState::Missing(_) => format!("{point}  MISSING"),
            MountState::Skipped(why) => format!("{point}  left out ({})", safe(why)),
        };
        match lines.last_mut() {
            Some(line) if line.chars().count() + 5 + cell.chars().count() <= WIDTH => {
                line.push_str("     ");
                line.push_str(&cell);
            }
            _ => lines.push(format!("  {cell}")),
        }
    }
    lines
}

/// A line for each, and one for its way out.
pub(super) fn warnings(mounts: &[OpenMount], warnings: &[Warning]) -> Vec<String> {
    let mut lines = Vec::new();
    for warning in warnings {
        lines.extend(wrapped("WARN  ", &safe(&warning.text)));
        if !warning.way.is_empty() {
            lines.extend(wrapped("way:  ", &safe(&warning.way)));
        }
    }
    for mount in mounts {
        // What the kernel refused is a warning of its own already.
        let told = |why: &String| warnings.iter().any(|it| it.text.ends_with(why.as_str()));
        if let MountState::Missing(why) = &mount.state
            && !told(why)
        {
            let text = format!("{} is not mounted: {}", mount.point, why);
            lines.extend(wrapped("WARN  ", &safe(&text)));
        }
    }
    lines
}

/// Broken at blanks, indented below the first line's mark.
fn wrapped(mark: &str, text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let indent = format!("  {}", " ".repeat(mark.len()));
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{indent}{word}")),
            None => lines.push(format!("  {mark}{word}")),
        }
    }
    lines
}

fn safe(text: &str) -> String {
    escape_bytes(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RootPath;

    fn mount(point: &str, device: &str, state: MountState) -> OpenMount {
        OpenMount {
            point: RootPath::new(point),
            device: device.into(),
            fs_type: "ext4".into(),
            state,
        }
    }

    #[test]
    fn mounts_share_a_line_as_far_as_it_goes() {
        let here = || MountState::Mounted { read_only: true };
        let list = [
            mount("/", "sda2", here()),
            mount("/boot", "sda4", here()),
            mount("/data", "", MountState::Missing("no device".into())),
            mount("/srv/\x1b[2J", "b", MountState::Skipped("noauto".into())),
        ];
        assert_eq!(
            mounts(&list),
            [
                "  /  sda2 ext4     /boot  sda4 ext4     /data  MISSING",
                "  /srv/\\x1b[2J  left out (noauto)",
            ]
        );
    }

    #[test]
    fn errors_and_warnings_are_counted() {
        let looked = |errors, warnings| Looked {
            errors,
            warnings,
            first: Vec::new(),
        };
        for (looked, in_the_way, expected) in [
            (None, 0, "Nothing wrong at a quick look"),
            (None, 1, "1 warning"),
            (Some(looked(0, 1)), 1, "2 warnings"),
            (Some(looked(1, 0)), 0, "1 error"),
            (Some(looked(2, 0)), 1, "2 errors, 1 warning"),
        ] {
            assert_eq!(counted(looked.as_ref(), in_the_way), expected);
        }
    }

    #[test]
    fn a_warning_is_wrapped_and_has_its_way_out() {
        let missing = MountState::Missing("no device".into());
        let warning = Warning {
            text: "word ".repeat(20).trim().into(),
            way: "do this".into(),
        };
        let lines = warnings(&[mount("/data", "", missing)], &[warning]);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(lines[1].starts_with("        word"));
        assert_eq!(lines[2], "  way:  do this");
        assert_eq!(lines[3], "  WARN  /data is not mounted: no device");
    }
}

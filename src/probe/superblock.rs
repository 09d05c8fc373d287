//! What is on a device: `blkid -p`, asked with a deadline, never udev's cache.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::tool::{self, Tool, ToolError};

/// How long a device may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What blkid found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Superblock {
    /// `TYPE`: `ext4`, `crypto_LUKS`, `LVM2_member`, `swsuspend`; empty when there is none.
    pub kind: String,
    /// `USAGE`: `filesystem`, `crypto`, `raid`, `other`.
    pub usage: String,
    /// `UUID`.
    pub uuid: String,
    /// `UUID_SUB`: of one device of several.
    pub uuid_sub: String,
    /// `LABEL`.
    pub label: String,
    /// `VERSION`: of LUKS, of an md superblock.
    pub version: String,
    /// `PTTYPE`: `gpt`, `dos`.
    pub table: String,
    /// `PART_ENTRY_TYPE`: a GUID, or `0x83`.
    pub part_type: String,
    /// `PART_ENTRY_UUID`.
    pub part_uuid: String,
    /// `PART_ENTRY_NAME`.
    pub part_label: String,
    /// Several signatures contradict each other; blkid names none.
    pub ambivalent: bool,
}

/// Why a device was not looked at.
#[derive(Debug)]
pub enum Unanswered {
    /// It did not answer in time.
    Deadline,
    /// blkid could not read it; the text says why.
    Unreadable(String),
}

/// Asks about every device at once; the answers come in their order.
///
/// # Errors
/// blkid is not installed.
pub fn probe_all(paths: &[PathBuf]) -> Result<Vec<Result<Superblock, Unanswered>>, ToolError> {
    let tools: Vec<Tool> = paths.iter().map(|path| blkid(path)).collect();
    let mut found = Vec::new();
    for answer in tool::run_all(&tools) {
        found.push(match answer {
            Err(ToolError::Deadline { .. }) => Err(Unanswered::Deadline),
            Err(ToolError::Start { source, .. }) => Err(Unanswered::Unreadable(source.to_string())),
            Err(missing @ (ToolError::Missing { .. } | ToolError::Failed { .. })) => {
                return Err(missing);
            }
            // 2: nothing was found. 8: several signatures contradict each other.
            Ok(output) => match output.status {
                0 | 2 => Ok(parse(&output.stdout)),
                8 => Ok(Superblock {
                    ambivalent: true,
                    ..parse(&output.stdout)
                }),
                _ => Err(Unanswered::Unreadable(output.stderr)),
            },
        });
    }
    Ok(found)
}

fn blkid(path: &Path) -> Tool {
    Tool::new("blkid", "util-linux")
        .args(["-p", "-o", "export", "--"])
        .args([path])
        .deadline(PATIENCE)
}

/// Reads `blkid -o export`: `KEY=value`, the value with a backslash before what a shell would
/// read otherwise.
#[must_use]
pub fn parse(text: &[u8]) -> Superblock {
    let text = String::from_utf8_lossy(text);
    let mut found = Superblock::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let into = match key {
            "TYPE" => &mut found.kind,
            "USAGE" => &mut found.usage,
            "UUID" => &mut found.uuid,
            "UUID_SUB" => &mut found.uuid_sub,
            "LABEL" => &mut found.label,
            "VERSION" => &mut found.version,
            "PTTYPE" => &mut found.table,
            "PART_ENTRY_TYPE" => &mut found.part_type,
            "PART_ENTRY_UUID" => &mut found.part_uuid,
            "PART_ENTRY_NAME" => &mut found.part_label,
            _ => continue,
        };
        *into = unescape(value);
    }
    found
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => out.extend(letters.next()),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_blkid_is_read() {
        let text = b"DEVNAME=/dev/sda2\nLABEL=my\\ root\nUUID=308f\nVERSION=1.0\nTYPE=ext4\n\
            USAGE=filesystem\nPART_ENTRY_TYPE=0x83\nPART_ENTRY_NAME=a=b\nnonsense\n";
        let found = parse(text);
        assert_eq!(
            (found.kind.as_str(), found.label.as_str()),
            ("ext4", "my root")
        );
        assert_eq!(
            (found.part_type.as_str(), found.part_label.as_str()),
            ("0x83", "a=b")
        );
        assert_eq!(parse(b""), Superblock::default());
    }
}

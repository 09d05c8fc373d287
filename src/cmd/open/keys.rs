//! Keys of encrypted volumes: from files, from the target's own crypttab, those that opened
//! another volume before, and at last from whoever sits at the terminal.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::error::Failure;
use crate::exec::ExecError;
use crate::exec::luks::Key;
use crate::exec::storage::Keys;
use crate::plan::storage::Crypt;
use crate::ui::Ui;

/// How often a passphrase is asked for.
const TRIES: usize = 3;
/// The most that cryptsetup takes from a pipe here.
const MOST_KEY: usize = 64 * 1024;

/// All keys that there are.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// From `--key-file`: for one device, or for all.
    files: Vec<(Option<String>, Key)>,
    /// From inside of the target, by UUID.
    inside: Vec<(String, Vec<u8>)>,
    /// What opened a volume, with its UUID: kept in memory until newroot ends.
    fitted: Vec<(String, Key)>,
    /// Asked while a volume is being opened.
    waiting: VecDeque<Key>,
    asked: usize,
}

impl Ring {
    /// Reads `--key-file`.
    ///
    /// # Errors
    /// Standard input is too long, or asked for twice; a signal came while it was read.
    pub(super) fn new(files: &[OsString], ui: &Ui) -> anyhow::Result<Self> {
        let mut ring = Self::default();
        let mut stdin = false;
        for typed in files {
            let (device, file) = split(typed);
            let key = if file == Path::new("-") {
                if std::mem::replace(&mut stdin, true) {
                    let what = "cannot take two keys from standard input";
                    return Err(Failure::new(what, "--key-file - was given twice").into());
                }
                Key::Passphrase(from_stdin(ui)?)
            } else {
                Key::File(std::path::absolute(&file)?)
            };
            ring.files.push((device, key));
        }
        Ok(ring)
    }

    /// Takes what was found inside of the target.
    pub(super) fn take_inside(&mut self, keys: Vec<(String, Vec<u8>)>) {
        for (uuid, bytes) in keys {
            if !self.inside.iter().any(|(known, _)| *known == uuid) {
                self.inside.push((uuid, bytes));
            }
        }
    }

    /// The keys to try for one volume before anybody is asked: its own first.
    fn all_for(&self, crypt: &Crypt) -> VecDeque<Key> {
        let of = |uuid: &str| uuid == crypt.uuid;
        let known = self
            .fitted
            .iter()
            .filter(|(uuid, _)| of(uuid))
            .map(|(_, key)| key);
        let named = self
            .files
            .iter()
            .filter(|(device, _)| device.as_ref().is_some_and(|device| names(device, crypt)));
        let mut keys: VecDeque<Key> = known.cloned().collect();
        keys.extend(named.map(|(_, key)| key.clone()));
        if keys.is_empty() {
            let inside = self.inside.iter().filter(|(uuid, _)| of(uuid));
            keys.extend(inside.map(|(_, bytes)| Key::Passphrase(bytes.clone())));
            let for_all = self.files.iter().filter(|(device, _)| device.is_none());
            keys.extend(for_all.map(|(_, key)| key.clone()));
            keys.extend(self.fitted.iter().map(|(_, key)| key.clone()));
        }
        keys
    }
}

/// A ring, and somebody to ask.
pub(super) struct Asking<'r> {
    pub(super) ring: &'r mut Ring,
    pub(super) ui: &'r Ui,
}

impl Keys for Asking<'_> {
    fn next(&mut self, crypt: &Crypt, refused: usize) -> Result<Option<Key>, ExecError> {
        if refused == 0 {
            self.ring.waiting = self.ring.all_for(crypt);
            self.ring.asked = 0;
        }
        if let Some(key) = self.ring.waiting.pop_front() {
            return Ok(Some(key));
        }
        if self.ring.asked > 0 {
            self.ui.note(
                "the passphrase does not fit; is the keyboard layout right? (loadkeys us, \
                loadkeys de ...)",
            );
        }
        if self.ring.asked == TRIES {
            return Ok(None);
        }
        self.ring.asked += 1;
        let prompt = format!(
            "Passphrase of {} ({}), empty to leave it locked",
            crypt.id, crypt.shown
        );
        let typed = self
            .ui
            .secret(&prompt)
            .map_err(|error| ExecError::Other(error.to_string()))?;
        let bytes = typed.map(String::into_bytes).unwrap_or_default();
        Ok((!bytes.is_empty()).then_some(Key::Passphrase(bytes)))
    }

    fn fits(&mut self, crypt: &Crypt, key: &Key) {
        let fitted = &mut self.ring.fitted;
        if !fitted.iter().any(|(uuid, _)| *uuid == crypt.uuid) {
            fitted.push((crypt.uuid.clone(), key.clone()));
        }
    }
}

/// `DEV=FILE`, or `FILE`. `UUID=…=FILE` has its `=` inside of the device.
fn split(typed: &OsString) -> (Option<String>, PathBuf) {
    let bytes = typed.as_bytes();
    let from = if bytes.starts_with(b"UUID=") { 5 } else { 0 };
    let at = bytes[from..].iter().position(|byte| *byte == b'=');
    match at.map(|at| at + from) {
        // A path with a slash before its `=` is a device only below /dev.
        Some(at) if !bytes[..at].contains(&b'/') || bytes.starts_with(b"/dev/") => {
            let device = String::from_utf8_lossy(&bytes[..at]).into_owned();
            let file = OsString::from_vec(bytes[at + 1..].to_vec());
            (Some(device), PathBuf::from(file))
        }
        _ => (None, PathBuf::from(typed)),
    }
}

/// Whether `device`, as typed, is this volume.
fn names(device: &str, crypt: &Crypt) -> bool {
    let uuid = device.strip_prefix("UUID=").unwrap_or(device);
    device == crypt.id
        || device == crypt.shown
        || uuid.eq_ignore_ascii_case(&crypt.uuid)
        || Path::new(device) == crypt.device
        || device.strip_prefix("/dev/") == Some(&crypt.shown)
}

/// `--key-file -`
///
/// # Errors
/// It is too long, or cannot be read; a signal came first.
pub(in crate::cmd) fn from_stdin(ui: &Ui) -> anyhow::Result<Vec<u8>> {
    let bytes = ui.input(MOST_KEY)?;
    if bytes.len() > MOST_KEY {
        let what = "cannot take the key from standard input";
        return Err(Failure::new(what, "it is longer than 64 KiB").into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crypt() -> Crypt {
        Crypt {
            device: "/dev/sda5".into(),
            shown: "sda5".into(),
            uuid: "91bc-1".into(),
            id: "luks-91bc".into(),
            read_only: true,
            discards: false,
        }
    }

    #[test]
    fn a_key_file_may_be_for_one_device() {
        let table = [
            ("/root/key", None, "/root/key"),
            ("-", None, "-"),
            ("key", None, "key"),
            ("sda5=/root/key", Some("sda5"), "/root/key"),
            ("/dev/sda5=key", Some("/dev/sda5"), "key"),
            ("UUID=91bc-1=-", Some("UUID=91bc-1"), "-"),
            ("/root/a=b", None, "/root/a=b"),
            ("sda5=a=b", Some("sda5"), "a=b"),
        ];
        for (typed, device, file) in table {
            let (got, path) = split(&typed.into());
            assert_eq!((got.as_deref(), path), (device, file.into()), "{typed}");
            if let Some(device) = device {
                assert!(names(device, &crypt()), "{typed}");
            }
        }
        assert!(!names("sda6", &crypt()) && !names("UUID=91bd", &crypt()));
    }

    #[test]
    fn its_own_key_comes_first_and_others_are_tried() {
        let file = |path: &str| Key::File(path.into());
        let mut ring = Ring {
            files: vec![(None, file("/all")), (Some("sdb1".into()), file("/other"))],
            ..Ring::default()
        };
        ring.take_inside(vec![("91bc-1".into(), b"in".to_vec())]);
        ring.fitted
            .push(("else".into(), Key::Passphrase(b"x".to_vec())));
        let shown = |ring: &Ring| format!("{:?}", ring.all_for(&crypt()));
        assert_eq!(
            shown(&ring),
            "[Passphrase(…), File(\"/all\"), Passphrase(…)]"
        );
        ring.files.push((Some("luks-91bc".into()), file("/own")));
        assert_eq!(shown(&ring), "[File(\"/own\")]");
    }
}

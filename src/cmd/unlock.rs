//! `scan --unlock` and `doctor --unlock`: encrypted volumes are opened read-only, looked into, and locked again,
//! whatever happens in between, a signal included.

use std::io;
use std::path::{Path, PathBuf};

use crate::cmd::open::{from_stdin, stop_on};
use crate::cmd::target;
use crate::error::{Exit, Failure};
use crate::exec::ExecError;
use crate::exec::luks::{self, Access, Key, LuksError, Unlocked};
use crate::probe::scan::{Found, Locked, Scan};
use crate::session::{Live, New, Place};
use crate::sys::signal::{HUP, Held, INT, TERM};
use crate::ui::Ui;

/// How often a passphrase is asked for.
const TRIES: usize = 3;

/// The volumes to open, and for whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unlock<'u> {
    /// The verb, for the session's record and for hints.
    pub(super) verb: &'static str,
    /// As they were typed.
    pub(super) ids: &'u [String],
    /// `-` is standard input; nothing asks for a passphrase.
    pub(super) key_file: Option<&'u Path>,
}

/// Opens the volumes named, looks again, lets `look` read through the looks, closes them all, and
/// locks the volumes. A signal that comes meanwhile is obeyed when that is done.
///
/// # Errors
/// [`ExecError::Interrupted`] after a signal, for [`obey`].
pub(super) fn look_inside<T>(
    mut scan: Scan,
    unlock: Unlock<'_>,
    ui: &Ui,
    look: impl FnOnce(&Scan) -> T,
) -> anyhow::Result<(Found, T)> {
    let key = unlock.key_file.map(|path| read_key(path, ui)).transpose()?;
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let place = Place::open(runtime.as_deref())?;
    let signals = Held::new(&[INT, TERM, HUP])?;
    let ui = &ui.clone().minding(signals.fd().try_clone_to_owned()?);
    let mut live = Live::create(
        &place,
        New {
            kind: unlock.verb,
            root: PathBuf::from("/"),
            command: Vec::new(),
        },
    )?;
    let mut open = Vec::new();
    let done = open_all(
        &mut scan,
        &mut live,
        unlock,
        key.as_ref(),
        (&mut open, &signals),
        ui,
    );
    let looked = done.map(|()| look(&scan));
    let found = scan.finish().map_err(|left| target::left_open(&left));
    let mut left = Vec::new();
    while let Some(unlocked) = open.pop() {
        let name = unlocked.name.clone();
        if let Err(error) = luks::lock(&mut live, unlocked) {
            left.push(format!("{name} is still open: {error}"));
        }
    }
    live.finish()?;
    // A cleanup that failed hides no error, and an error hides no cleanup that failed.
    for line in &left {
        ui.warn(line);
    }
    let looked = stop_on(&signals).map_err(Into::into).and(looked);
    signals.release()?;
    if looked.is_err() && !left.is_empty() {
        ui.note("hint: close the rest: newroot cleanup");
    }
    let looked = looked?;
    let found = found?;
    if left.is_empty() {
        return Ok((found, looked));
    }
    let what = format!("the {} could not lock again what it opened", unlock.verb);
    Err(Failure::new(what, "")
        .hint("try it again", "newroot cleanup")
        .into())
}

/// A signal that ended the look is no failure to tell: it is what the caller's shell sees.
pub(super) fn obey(done: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
    done.or_else(|error| match error.downcast_ref::<ExecError>() {
        Some(ExecError::Interrupted(signal)) => {
            Ok(Exit::signalled(u8::try_from(*signal).unwrap_or(0)))
        }
        _ => Err(error),
    })
}

/// What would be done, as shell commands.
pub(super) fn preview(scan: &Scan, unlock: Unlock<'_>) -> anyhow::Result<String> {
    let key = unlock.key_file.map_or_else(
        || Key::Passphrase(Vec::new()),
        |path| Key::File(path.to_path_buf()),
    );
    let mut text = String::new();
    for id in unlock.ids {
        let locked = find(scan, id)?;
        let device = &scan.inventory.volumes[locked.volume].path;
        let open = luks::open_command(device, &locked.id, &key, Access::ReadOnly).shell();
        let close = crate::model::shell_word(locked.id.as_bytes());
        text.push_str(&format!("{open}\ncryptsetup close {close}\n"));
    }
    Ok(text)
}

fn open_all(
    scan: &mut Scan,
    live: &mut Live,
    unlock: Unlock<'_>,
    key: Option<&Key>,
    (open, signals): (&mut Vec<Unlocked>, &Held),
    ui: &Ui,
) -> anyhow::Result<()> {
    for id in unlock.ids {
        stop_on(signals)?;
        let locked = find(scan, id)?;
        let device = scan.inventory.volumes[locked.volume].path.clone();
        scan.close_looks()
            .map_err(|left| target::left_open(&left))?;
        let name = format!("newroot-{}-{}", live.id(), locked.id);
        let ask = || ask(&locked, unlock.verb, ui);
        let unlocked = try_keys(live, &locked, (&device, &name), key, &ask, ui)?;
        open.push(unlocked);
        stop_on(signals)?;
        scan.opened(&locked, &name)
            .map_err(|error| target::scan_failure(&error))?;
    }
    Ok(stop_on(signals)?)
}

/// The locked volume with this id, or with the only one that begins so.
///
/// # Errors
/// None, or several; or one that is no LUKS.
pub(super) fn find(scan: &Scan, id: &str) -> Result<Locked, Failure> {
    let mut fits = scan
        .locked
        .iter()
        .filter(|locked| locked.id.starts_with(id));
    let cannot = |why: &str| {
        Failure::new(format!("cannot unlock {id}"), why).hint("see what is locked", "newroot scan")
    };
    let first = fits
        .next()
        .ok_or_else(|| cannot("no locked volume has this id"))?;
    if fits.next().is_some() && first.id != id {
        return Err(cannot("several locked volumes begin like that"));
    }
    if first.what == "BitLocker" {
        return Err(cannot(
            "newroot opens LUKS volumes only, this one is BitLocker",
        ));
    }
    Ok(first.clone())
}

fn try_keys(
    live: &mut Live,
    locked: &Locked,
    (device, name): (&Path, &str),
    key: Option<&Key>,
    ask: &dyn Fn() -> anyhow::Result<Vec<u8>>,
    ui: &Ui,
) -> anyhow::Result<Unlocked> {
    for attempt in 1..=TRIES {
        let typed;
        let key = if let Some(key) = key {
            key
        } else {
            typed = Key::Passphrase(ask()?);
            &typed
        };
        match luks::unlock(live, device, name.to_string(), key, Access::ReadOnly) {
            Ok(unlocked) => return Ok(unlocked),
            Err(LuksError::Refused) if attempt < TRIES && matches!(key, Key::Passphrase(_)) => {
                ui.note("the passphrase does not fit; mind the keyboard layout");
            }
            Err(error) => return Err(cannot_open(locked, error).into()),
        }
    }
    Err(cannot_open(locked, LuksError::Refused).into())
}

fn cannot_open(locked: &Locked, error: LuksError) -> Failure {
    let failure = Failure::new(format!("cannot unlock {}", locked.id), error.to_string());
    match &error {
        LuksError::Refused => failure.hint("change the keyboard layout", "loadkeys de"),
        LuksError::Failed(text) if text.contains("device-mapper") => {
            failure.hint("load the driver", "modprobe dm_crypt")
        }
        _ => failure,
    }
    .caused_by(error)
}

fn ask(locked: &Locked, verb: &str, ui: &Ui) -> anyhow::Result<Vec<u8>> {
    let prompt = format!("Passphrase of {}", locked.id);
    loop {
        match ui.secret(&prompt) {
            Ok(Some(typed)) if typed.is_empty() => {}
            Ok(Some(typed)) => return Ok(typed.into_bytes()),
            Ok(None) => {
                let what = format!("cannot ask for the passphrase of {}", locked.id);
                let command = format!("newroot {verb} --unlock {} --key-file FILE", locked.id);
                return Err(Failure::new(what, "this is no terminal")
                    .hint("give it in a file", command)
                    .into());
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let what = format!("cannot unlock {}", locked.id);
                return Err(Failure::new(what, "no passphrase was typed").into());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn read_key(path: &Path, ui: &Ui) -> anyhow::Result<Key> {
    Ok(if path == Path::new("-") {
        Key::Passphrase(from_stdin(ui)?)
    } else {
        Key::File(std::path::absolute(path)?)
    })
}

//! What a person types. clap types only: no I/O, no decisions.
//!
//! The verb is looked up before clap's tree is built, so that `newroot closure` pays for the
//! arguments of `closure` and not for those of every other verb, nor for handing them down.

pub mod closure;
pub mod completions;
pub mod doctor;
pub mod enter;
pub mod export;
pub mod features;
pub mod jail;
pub mod mount;
pub mod open;
pub mod profile;
pub mod rescue;
pub mod scan;
pub mod sessions;
pub mod setup;

use std::ffi::{OsStr, OsString};
use std::mem::ManuallyDrop;

use clap::builder::Resettable;
use clap::{ArgMatches, Args, Command, FromArgMatches};

/// One parsed command line.
#[derive(Debug)]
pub struct Invocation {
    /// What is accepted before and after every verb.
    pub globals: Globals,
    /// The verb with its own arguments.
    pub verb: Verb,
}

/// Options that mean the same everywhere (design section 4).
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Everywhere")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Globals {
    /// Print what would be done as shell commands, and do nothing
    #[arg(short = 'n', long, global = true)]
    pub dry_run: bool,
    /// Print each operation as it is done, and system calls in errors
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print errors and warnings only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Answer every question that is safe to answer
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// ASCII only, no bars: for serial consoles and logs (or set NEWROOT_PLAIN)
    #[arg(long, global = true)]
    pub plain: bool,
    /// Colour the output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

/// `--color`.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Even into a pipe.
    Always,
    /// Not even on a terminal.
    Never,
}

/// A verb and its arguments.
#[derive(Debug)]
pub enum Verb {
    /// No verb at all: the first screen, where there is a terminal
    Menu,
    /// `closure`, alias `ldd`
    Closure(closure::ClosureArgs),
    /// `jail build|add|try|check|update|show|remove`
    Jail(jail::JailArgs),
    /// `enter`, alias `chroot`
    Enter(enter::EnterArgs),
    /// `doctor`
    Doctor(doctor::DoctorArgs),
    /// `scan`
    Scan(scan::ScanArgs),
    /// `features`
    Features(features::FeaturesArgs),
    /// `rescue`
    Rescue(rescue::RescueArgs),
    /// `mount`
    Mount(mount::MountArgs),
    /// `umount`
    Umount(mount::UmountArgs),
    /// `ps`
    Ps(sessions::PsArgs),
    /// `exec`
    Exec(sessions::ExecArgs),
    /// `stop`
    Stop(sessions::StopArgs),
    /// `cleanup`
    Cleanup(sessions::CleanupArgs),
    /// `profile list|show`
    Profile(profile::ProfileArgs),
    /// `setup apparmor`
    Setup(setup::SetupArgs),
    /// `completions`
    Completions(completions::CompletionsArgs),
}

/// One row of the table of verbs.
struct Entry {
    name: &'static str,
    alias: Option<&'static str>,
    augment: fn(Command) -> Command,
    parse: fn(&mut ArgMatches) -> Result<Verb, clap::Error>,
}

macro_rules! entry {
    ($name:literal, $alias:expr, $args:ty, $verb:path) => {
        Entry {
            name: $name,
            alias: $alias,
            augment: |command| <$args>::augment_args(command),
            parse: |matches| <$args>::from_arg_matches_mut(matches).map($verb),
        }
    };
}

const VERBS: &[Entry] = &[
    entry!("closure", Some("ldd"), closure::ClosureArgs, Verb::Closure),
    entry!("jail", None, jail::JailArgs, Verb::Jail),
    entry!("enter", Some("chroot"), enter::EnterArgs, Verb::Enter),
    entry!("scan", None, scan::ScanArgs, Verb::Scan),
    entry!("features", None, features::FeaturesArgs, Verb::Features),
    entry!("rescue", None, rescue::RescueArgs, Verb::Rescue),
    entry!("mount", None, mount::MountArgs, Verb::Mount),
    entry!("umount", None, mount::UmountArgs, Verb::Umount),
    entry!("doctor", None, doctor::DoctorArgs, Verb::Doctor),
    entry!("ps", None, sessions::PsArgs, Verb::Ps),
    entry!("exec", None, sessions::ExecArgs, Verb::Exec),
    entry!("stop", None, sessions::StopArgs, Verb::Stop),
    entry!("cleanup", None, sessions::CleanupArgs, Verb::Cleanup),
    entry!("profile", None, profile::ProfileArgs, Verb::Profile),
    entry!("setup", None, setup::SetupArgs, Verb::Setup),
    entry!(
        "completions",
        None,
        completions::CompletionsArgs,
        Verb::Completions
    ),
];

/// The whole tree, for help, completions and the tests that compare it with the man pages.
#[must_use]
pub fn command() -> Command {
    VERBS.iter().fold(base(), |command, entry| {
        command.subcommand(subcommand(entry))
    })
}

/// Parses `argv`, the program's name first.
///
/// # Errors
/// clap's error: wrong usage, or the text of `--help` and `--version`.
pub fn parse(argv: &[OsString]) -> Result<Invocation, clap::Error> {
    if let [program, word, rest @ ..] = argv
        && let Some(entry) = entry_of(word)
    {
        let words = std::iter::once(program).chain(rest);
        // Neither is taken apart at the end: a program that runs once has no use for the memory.
        let mut command = ManuallyDrop::new(alone(entry));
        let mut matches = ManuallyDrop::new(command.try_get_matches_from_mut(words)?);
        return Ok(Invocation {
            globals: Globals::from_arg_matches_mut(&mut matches)?,
            verb: (entry.parse)(&mut matches)?,
        });
    }
    let mut command = match verb_word(argv).and_then(entry_of) {
        Some(entry) => base().subcommand(subcommand(entry)),
        None => command(),
    };
    let mut matches = command.try_get_matches_from_mut(argv)?;
    let Some((name, mut arguments)) = matches.remove_subcommand() else {
        return Ok(Invocation {
            globals: Globals::from_arg_matches_mut(&mut matches)?,
            verb: Verb::Menu,
        });
    };
    let Some(entry) = entry_of(OsStr::new(&name)) else {
        return Err(clap::Error::new(clap::error::ErrorKind::InvalidSubcommand));
    };
    Ok(Invocation {
        globals: Globals::from_arg_matches_mut(&mut arguments)?,
        verb: (entry.parse)(&mut arguments)?,
    })
}

/// The help, as an error: a verb is missing, and nobody is there to be asked.
#[must_use]
pub fn without_verb() -> clap::Error {
    let command = command()
        .subcommand_required(true)
        .arg_required_else_help(true);
    match command.try_get_matches_from(["newroot"]) {
        Err(error) => error,
        // Not with the two settings above.
        Ok(_) => clap::Error::new(clap::error::ErrorKind::MissingSubcommand),
    }
}

/// The first word that is no option: the verb, if it is one.
fn verb_word(argv: &[OsString]) -> Option<&OsStr> {
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        if word == "--color" {
            // The one option before the verb that takes a word of its own.
            words.next();
        } else if !word.as_encoded_bytes().starts_with(b"-") {
            return Some(word);
        }
    }
    None
}

fn entry_of(word: &OsStr) -> Option<&'static Entry> {
    let word = word.to_str()?;
    VERBS
        .iter()
        .find(|entry| entry.name == word || entry.alias == Some(word))
}

/// Whether `verb` exists: hints name only what can be typed.
#[must_use]
pub fn knows(verb: &str) -> bool {
    entry_of(OsStr::new(verb)).is_some()
}

fn base() -> Command {
    let command = Globals::augment_args(Command::new("newroot"));
    // The options' own description would be the program's otherwise.
    command
        .version(env!("CARGO_PKG_VERSION"))
        .about("Everything that happens behind another root directory")
        .after_help("See newroot(8) and newroot-VERB(8).")
        .infer_subcommands(false)
}

/// One verb as a program of its own, which reads and explains itself as it does in the tree.
fn alone(entry: &Entry) -> Command {
    let own = (entry.augment)(Command::new(entry.name));
    // The description of the options that every verb has would be the verb's otherwise.
    let (about, long) = (own.get_about().cloned(), own.get_long_about().cloned());
    Globals::augment_args(own)
        .about(Resettable::from(about))
        .long_about(Resettable::from(long))
        .bin_name(format!("newroot {}", entry.name))
}

fn subcommand(entry: &Entry) -> Command {
    let command = (entry.augment)(Command::new(entry.name));
    match entry.alias {
        Some(alias) => command.visible_alias(alias),
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn globals_are_taken_before_and_after_the_verb() {
        for line in [["newroot", "-n", "ps"], ["newroot", "ps", "-n"]] {
            let argv: Vec<OsString> = line.iter().map(OsString::from).collect();
            assert!(parse(&argv).unwrap().globals.dry_run);
        }
    }

    #[test]
    fn a_verb_alone_speaks_as_it_does_in_the_tree() {
        let said = |line: &[&str]| {
            let argv: Vec<OsString> = line.iter().map(OsString::from).collect();
            parse(&argv).map(|_| ()).map_err(|error| error.to_string())
        };
        for entry in VERBS {
            for rest in [&["--help"][..], &["-h"], &["--nosuch"], &["-q", "-v"], &[]] {
                let first = [&["newroot", entry.name], rest].concat();
                let later = [&["newroot", "--plain", entry.name], rest].concat();
                assert_eq!(said(&first), said(&later), "{first:?}");
            }
        }
    }

    #[test]
    fn the_verb_is_the_first_word_that_is_no_option() {
        let word = |line: &[&str]| {
            let argv: Vec<OsString> = line.iter().map(OsString::from).collect();
            verb_word(&argv).map(OsStr::to_os_string)
        };
        assert_eq!(word(&["newroot", "--color", "jail", "ps"]).unwrap(), "ps");
        assert_eq!(word(&["newroot", "nosuch", "jail"]).unwrap(), "nosuch");
        assert_eq!(word(&["newroot", "-n"]), None);
    }
}

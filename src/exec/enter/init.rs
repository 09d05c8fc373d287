//! I: process 1 of the session's PID namespace. It mounts, pivots, starts the program, and reaps.
//!
//! It ends when the program has, or when the supervisor is gone; either way the kernel then kills
//! whatever is left in the namespace.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::leave::OldRoot;
use super::message::{Birth, Order, Report, hear, tell};
use super::mounting::{Deed, Mounting};
use super::payload::{Prepared, exec_here};
use super::{Entry, GRACE, InitRoot, Target, apart};
use crate::model::Ended;
use crate::plan::{Command, Op, Place, ProcessOp, Step};
use crate::sys::process::{Change, Side};
use crate::sys::signal::{CHLD, CONT, HUP, Held, INT, TERM};
use crate::sys::wire::{Wire, wait_readable};
use crate::sys::{self, SysError, SysResult};

/// What the supervisor gives to the init.
pub(super) struct Inherited<'a> {
    /// To the supervisor.
    pub(super) wire: Wire,
    /// The controlling terminal, where there is one.
    pub(super) terminal: Option<&'a OwnedFd>,
    /// It is the program's own, of which nobody has made it the controlling one yet.
    pub(super) own_terminal: bool,
    /// Whether the program gets it.
    pub(super) foreground: bool,
    /// The signals as they were before the supervisor held them back.
    pub(super) signals: &'a Held,
}

/// Runs the whole life of the init. The status is for strace only: S hears everything by wire.
pub(super) fn live(entry: Entry, inherited: &Inherited<'_>) -> u8 {
    if sys::process::die_with_parent().is_err() {
        return 125;
    }
    let wire = &inherited.wire;
    let umask = rustix::process::umask(rustix::fs::Mode::empty());
    if entry.init == InitRoot::Host {
        return live_outside(entry, inherited, umask);
    }
    let mut mounting = Mounting::new(entry.root, entry.lent);
    let old = OldRoot::read();
    for (place, step) in entry.steps.iter().enumerate() {
        if step.place != Place::Payload {
            continue;
        }
        if let Op::Process(ProcessOp::Execute { command, .. }) = &step.op {
            drop(mounting);
            let program = Program {
                command,
                on_the_way: None,
                ignores_hangup: false,
            };
            return start(program, inherited, umask, place, true);
        }
        match perform(step, &mut mounting, &old) {
            Ok(deed) => {
                if let Some(note) = deed.note {
                    tell(wire, &Report::Note(note));
                }
                tell(
                    wire,
                    &Report::Done {
                        step: place,
                        device: deed.device,
                    },
                );
            }
            Err(error) => return fail(wire, place, &error),
        }
    }
    0
}

/// What there is to start.
struct Program<'e> {
    command: &'e Command,
    /// What it mounts by itself before it becomes the program.
    on_the_way: Option<(Mounting, &'e [Step])>,
    ignores_hangup: bool,
}

/// The init of a rescue: it mounts nothing.
fn live_outside(entry: Entry, inherited: &Inherited<'_>, umask: rustix::fs::Mode) -> u8 {
    let is_last =
        |(_, step): &(usize, &Step)| matches!(&step.op, Op::Process(ProcessOp::Execute { .. }));
    let last = entry.steps.iter().enumerate().find(is_last);
    let Some((place, Op::Process(ProcessOp::Execute { command, .. }))) =
        last.map(|(place, step)| (place, &step.op))
    else {
        return 0;
    };
    let program = Program {
        command,
        on_the_way: Some((Mounting::new(entry.root, entry.lent), &entry.steps)),
        ignores_hangup: !entry.ends_on_hangup,
    };
    start(program, inherited, umask, place, true)
}

/// The life of a visitor: joins a session, starts the program in it, and waits for it from
/// outside its PID namespace.
pub(super) fn visit(target: &Target, command: &Command, inherited: &Inherited<'_>) -> u8 {
    let umask = rustix::process::umask(rustix::fs::Mode::empty());
    let joined = sys::process::die_with_parent().and_then(|()| target.join());
    match joined {
        Ok(()) => {
            let program = Program {
                command,
                on_the_way: None,
                ignores_hangup: false,
            };
            start(program, inherited, umask, 0, false)
        }
        Err(error) => fail(&inherited.wire, 0, &error),
    }
}

fn fail(wire: &Wire, step: usize, error: &SysError) -> u8 {
    tell(
        wire,
        &Report::Failed {
            step,
            text: error.to_string(),
            errno: error.errno.raw_os_error(),
        },
    );
    125
}

pub(super) fn perform(step: &Step, mounting: &mut Mounting, old: &OldRoot) -> SysResult<Deed> {
    match &step.op {
        Op::File(op) => mounting.perform_file(op),
        Op::Mount(op) => mounting.perform(op),
        Op::Process(ProcessOp::NewRoot { mode, .. }) => {
            old.leave(mounting, *mode)?;
            Ok(Deed::default())
        }
        Op::Process(_) | Op::Storage(_) => Ok(Deed::default()),
    }
}

fn start(
    program: Program<'_>,
    inherited: &Inherited<'_>,
    umask: rustix::fs::Mode,
    step: usize,
    is_init: bool,
) -> u8 {
    if was_told_to_end(&inherited.wire) {
        return 125;
    }
    let terminal = inherited.terminal.filter(|_| inherited.own_terminal);
    if let Some(Err(error)) = terminal.map(sys::pty::take) {
        return fail(&inherited.wire, step, &error);
    }
    match fork_program(program, inherited, umask) {
        Ok(Ok(born)) => {
            tell(&inherited.wire, &Report::Done { step, device: None });
            tell(&inherited.wire, &Report::Started);
            match Keeper::new(born, inherited, is_init) {
                Ok(keeper) => keeper.keep(),
                Err(error) => fail(&inherited.wire, step, &error),
            }
        }
        Ok(Err(report)) => {
            tell(&inherited.wire, &report);
            125
        }
        Err(error) => fail(&inherited.wire, step, &error),
    }
}

/// An order to end that came before there was anything to end: then nothing is started. Other
/// signals are for a program, and there was none.
fn was_told_to_end(wire: &Wire) -> bool {
    while let [true] = wait_readable([wire.fd()], Some(Duration::ZERO)) {
        match hear(wire) {
            Ok(Some(Order::Signal(TERM | INT | HUP))) | Ok(None) | Err(_) => return true,
            Ok(Some(Order::Signal(_) | Order::Continue { .. })) => {}
        }
    }
    false
}

/// A program that runs.
struct Born {
    /// Its number in this PID namespace.
    pid: i32,
    /// Where it can leave a word.
    mailbox: Option<OwnedFd>,
}

/// Forks and waits until the program is executed, which closes the pipe. What went wrong before
/// that is what the supervisor has to hear.
fn fork_program(
    program: Program<'_>,
    inherited: &Inherited<'_>,
    umask: rustix::fs::Mode,
) -> SysResult<Result<Born, Report>> {
    let prepared = Prepared::new(program.command)?;
    let (theirs, ours) = Wire::pair()?;
    match sys::process::fork()? {
        Side::Child => {
            drop(ours);
            let trouble = become_program(program, &prepared, inherited, umask, &theirs);
            tell(&theirs, &trouble);
            sys::process::exit_now(127)
        }
        Side::Parent(pid) => {
            drop(theirs);
            let mut mailbox = None;
            while let Some(birth) = hear(&ours)? {
                match birth {
                    Birth::Seen { process, namespace } => {
                        tell(&inherited.wire, &Report::Payload { process, namespace });
                        mailbox = Some(process.pid);
                    }
                    Birth::Failed { step, text, errno } => {
                        return Ok(Err(Report::Failed { step, text, errno }));
                    }
                    Birth::Cannot(trouble) => return Ok(Err(Report::Cannot(trouble))),
                }
            }
            let mailbox = mailbox.and_then(apart::mailbox);
            Ok(Ok(Born { pid, mailbox }))
        }
    }
}

/// In the child. Comes back only with what went wrong.
fn become_program(
    program: Program<'_>,
    prepared: &Prepared,
    inherited: &Inherited<'_>,
    umask: rustix::fs::Mode,
    parent: &Wire,
) -> Birth {
    if let Some((root, steps)) = program.on_the_way
        && let Err((step, error)) = apart::go(root, steps, parent, &inherited.wire)
    {
        return Birth::Failed {
            step,
            text: error.to_string(),
            errno: error.errno.raw_os_error(),
        };
    }
    if program.ignores_hangup {
        sys::signal::ignore(HUP);
    }
    let terminal = inherited.terminal.filter(|_| inherited.foreground);
    Birth::Cannot(exec_here(prepared, terminal, inherited.signals, umask))
}

/// The init while the program runs.
struct Keeper<'a> {
    program: i32,
    mailbox: Option<OwnedFd>,
    inherited: &'a Inherited<'a>,
    children: Held,
    /// Process 1 of the session; a visitor leaves the others alone.
    is_init: bool,
}

impl<'a> Keeper<'a> {
    fn new(born: Born, inherited: &'a Inherited<'a>, is_init: bool) -> SysResult<Self> {
        Ok(Self {
            program: born.pid,
            mailbox: born.mailbox,
            inherited,
            children: Held::new(&[CHLD])?,
            is_init,
        })
    }

    fn keep(mut self) -> u8 {
        let wire = &self.inherited.wire;
        let mut ended = self.reap();
        while ended.is_none() {
            let [child, order] = wait_readable([self.children.fd(), wire.fd()], None);
            if child {
                while self.children.next().is_some() {}
                ended = self.reap();
            }
            if order {
                match hear(wire) {
                    Ok(Some(order)) => self.obey(order),
                    // The supervisor is gone.
                    Ok(None) | Err(_) => return 125,
                }
            }
        }
        // At once: who is told to stop from here on may not be left to wait for the rest.
        if let Some(ended) = ended {
            tell(wire, &Report::Ended(ended));
        }
        if self.is_init {
            self.end_the_rest();
        }
        if let Some(wish) = self.mailbox.take().and_then(apart::wish) {
            tell(wire, &Report::Wish(wish));
        }
        0
    }

    /// Reaps whatever ended; the program's own end is returned.
    fn reap(&self) -> Option<Ended> {
        let mut ended = None;
        while let Ok(Some((pid, change))) = sys::process::poll_child(None) {
            if pid != self.program {
                continue;
            }
            match change {
                Change::Ended(how) => ended = Some(how),
                Change::Stopped(signal) => tell(&self.inherited.wire, &Report::Stopped(signal)),
                Change::Continued => {}
            }
        }
        ended
    }

    fn obey(&self, order: Order) {
        match order {
            Order::Signal(signal) => self.signal(signal),
            Order::Continue { foreground } => {
                if let (true, Some(terminal)) = (foreground, self.inherited.terminal) {
                    sys::tty::give_to(terminal, Some(self.program)).ok();
                }
                self.signal(CONT);
            }
        }
    }

    fn signal(&self, signal: i32) {
        // The group is the program's own as soon as it is executed; it may have left it.
        if sys::signal::send(-self.program, signal).is_err() {
            sys::signal::send(self.program, signal).ok();
        }
    }

    /// Daemons that the program left: asked to end, then the kernel kills them with process 1.
    fn end_the_rest(&self) {
        if sys::process::poll_child(None) == Err(Errno::CHILD) {
            return;
        }
        sys::signal::send(-1, TERM).ok();
        sys::signal::send(-1, CONT).ok();
        let until = Instant::now() + GRACE;
        loop {
            while let Ok(Some(_)) = sys::process::poll_child(None) {}
            let left = until.saturating_duration_since(Instant::now());
            if sys::process::poll_child(None) == Err(Errno::CHILD) || left == Duration::ZERO {
                return;
            }
            let wire = &self.inherited.wire;
            let [child, order] = wait_readable([self.children.fd(), wire.fd()], Some(left));
            if child {
                while self.children.next().is_some() {}
            }
            // Whom it was for is gone. Without a supervisor nobody waits.
            if order && !matches!(hear::<Order>(wire), Ok(Some(_))) {
                return;
            }
        }
    }
}

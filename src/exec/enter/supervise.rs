//! S: makes the namespaces' init, passes signals on, minds the terminal, and looks at the end
//! whether everything is gone.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::message::{Order, Report, hear, tell};
use super::{Confirmed, EnterError, Entry, InitRoot, Namespaces, Outcome, Target, Wish, init};
use crate::exec::relay::Relay;
use crate::exec::terminal::Terminal;
use crate::exec::{Events, Traces, find_holders};
use crate::model::Ended;
use crate::plan::{Command, Place, Step};
use crate::session::{Item, Live, Output, Process};
use crate::sys::process::Side;
use crate::sys::signal::{
    CONT, HUP, Held, INT, KILL, QUIT, TERM, TSTP, TTIN, TTOU, USR1, USR2, WINCH,
};
use crate::sys::wire::{Wire, wait_readable};
use crate::sys::{self, SysResult};

/// How long a program may take to end after it was told to.
const ENDING: Duration = Duration::from_secs(3);
/// How long what it left may take.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// How long a process outside that is just ending is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// Enters, and comes back when the program has ended and everything it was in is gone or found to
/// be held. The caller has one thread.
///
/// # Errors
/// Why the program did not run; what was mounted is gone with its namespace then, too.
pub fn run(
    entry: Entry,
    _namespaces: Namespaces,
    live: &mut Live,
    events: &mut dyn Events,
) -> Result<Outcome, EnterError> {
    let steps = entry.steps.clone();
    for step in steps.iter().filter(|step| step.place == Place::Session) {
        events.begins(step);
        events.done(step);
    }
    let init = entry.init;
    let survives = init == InitRoot::Host && !entry.ends_on_hangup;
    let mut watch = Watch::start(
        entry.ends_on_hangup,
        survives.then(|| live.output()),
        steps,
        sys::process::fork_init,
        |inherited| init::live(entry, inherited),
    )?;
    let namespace = sys::ns::inode(watch.init, "mnt").ok();
    watch.traces.mount_namespaces.extend(namespace);
    // A second mount of sysfs or efivarfs is the same filesystem: not the session's alone.
    let known = super::mounting::mount_table().unwrap_or_default();
    let recorded = watch.record(live);
    let ended = watch.until_the_end(recorded, Some(live), events);
    let wish = watch
        .gone
        .filter(|_| init == InitRoot::Host)
        .and_then(rebooted);
    let wish = wish.map(|wish| (wish, Confirmed::No));
    let (ended, told) = match ended {
        Err(EnterError::InitLost(gone)) if wish.is_some() => (gone, None),
        ended => ended?,
    };
    watch.wish = watch.wish.or(wish);
    let is_known = |device: &u64| known.iter().any(|line| line.device == *device);
    watch.traces.devices.retain(|device| !is_known(device));
    let holders = watch.look_for_holders(live)?;
    Ok(Outcome {
        ended,
        told,
        holders,
        wish: watch.wish,
    })
}

/// reboot(2) in a PID namespace ends its init with one of these signals.
fn rebooted(gone: Ended) -> Option<Wish> {
    match gone {
        Ended::Signaled(signal) if i32::from(signal) == HUP => Some(Wish::Reboot),
        Ended::Signaled(signal) if i32::from(signal) == INT => Some(Wish::PowerOff),
        _ => None,
    }
}

/// Runs a command in a session that is there already.
///
/// # Errors
/// Why it did not run.
pub fn join(
    target: Target,
    command: Command,
    ends_on_hangup: bool,
    events: &mut dyn Events,
) -> Result<Outcome, EnterError> {
    let mut watch = Watch::start(
        ends_on_hangup,
        None,
        Vec::new(),
        sys::process::fork,
        |inherited| init::visit(&target, &command, inherited),
    )?;
    let (ended, told) = watch.until_the_end(Ok(()), None, events)?;
    Ok(Outcome {
        ended,
        told,
        holders: Vec::new(),
        wish: None,
    })
}

/// A terminal of the program's own, where it needs one. Where none can be had, the user's has to do.
fn join_terminals(terminal: &Terminal, output: Option<Output>) -> Option<(Relay, OwnedFd)> {
    if !terminal.needs_relay(output.is_some()) {
        return None;
    }
    Relay::new(output).unwrap_or_else(|error| {
        tracing::warn!(%error, "the program has no terminal of its own");
        None
    })
}

/// What the supervisor keeps an eye on.
struct Watch {
    init: i32,
    wire: Wire,
    signals: Held,
    terminal: Terminal,
    /// Where the program has a terminal of its own.
    relay: Option<Relay>,
    steps: Vec<Step>,
    hangup_counts: bool,
    traces: Traces,
    wish: Option<(Wish, Confirmed)>,
    told: Option<i32>,
    deadline: Option<Instant>,
    started: bool,
    /// How the init ended.
    gone: Option<Ended>,
}

impl Watch {
    /// Makes the process that will start the program, and begins to watch it.
    fn start(
        ends_on_hangup: bool,
        output: Option<Output>,
        steps: Vec<Step>,
        fork: impl FnOnce() -> SysResult<Side>,
        life: impl FnOnce(&init::Inherited<'_>) -> u8,
    ) -> Result<Self, EnterError> {
        let hangup_counts = ends_on_hangup && !sys::signal::is_ignored(HUP);
        let signals = Held::new(&[
            TERM, INT, HUP, QUIT, USR1, USR2, WINCH, TSTP, CONT, TTIN, TTOU,
        ])?;
        let mut terminal = Terminal::open();
        let relay = join_terminals(&terminal, output);
        let (mut relay, own) = relay.map_or((None, None), |(relay, own)| (Some(relay), Some(own)));
        let foreground = own.is_some() || terminal.lend();
        let (ours, theirs) = Wire::pair()?;
        match fork()? {
            Side::Child => {
                drop((ours, relay));
                let inherited = init::Inherited {
                    wire: theirs,
                    terminal: own.as_ref().or_else(|| terminal.device()),
                    own_terminal: own.is_some(),
                    foreground,
                    signals: &signals,
                };
                sys::process::exit_now(life(&inherited))
            }
            Side::Parent(init) => {
                if let Some(relay) = &mut relay {
                    relay.take();
                }
                Ok(Self {
                    init,
                    wire: ours,
                    signals,
                    terminal,
                    relay,
                    steps,
                    hangup_counts,
                    traces: Traces::default(),
                    wish: None,
                    told: None,
                    deadline: None,
                    started: false,
                    gone: None,
                })
            }
        }
    }

    /// Watches until the child is reaped and the terminal is back. With an error before that it
    /// is killed: it must not outlive this process.
    fn until_the_end(
        &mut self,
        before: Result<(), EnterError>,
        live: Option<&mut Live>,
        events: &mut dyn Events,
    ) -> Result<(Ended, Option<i32>), EnterError> {
        let result = before.and_then(|()| self.watch(live, events));
        if result.is_err() {
            sys::signal::send(self.init, KILL).ok();
        }
        self.gone = sys::process::wait_for(self.init).ok();
        if let Some(relay) = self.relay.take() {
            relay.finish();
        }
        self.terminal.take_back();
        match (result?, self.told) {
            (Some(ended), told) => Ok((ended, told)),
            (None, Some(signal)) if !self.started => Err(EnterError::Told(signal)),
            // It did not end in time, and was killed.
            (None, Some(signal)) => {
                let kill = Ended::Signaled(u8::try_from(KILL).unwrap_or(9));
                Ok((kill, Some(signal)))
            }
            (None, None) => Err(EnterError::InitLost(
                self.gone.unwrap_or(Ended::Exited(125)),
            )),
        }
    }

    fn record(&self, live: &mut Live) -> Result<(), EnterError> {
        live.set_init(Process::of(self.init)?)?;
        Ok(())
    }

    /// Until the init has ended. The program's end, if it was told.
    fn watch(
        &mut self,
        mut live: Option<&mut Live>,
        events: &mut dyn Events,
    ) -> Result<Option<Ended>, EnterError> {
        let mut ended = None;
        loop {
            let left = self
                .deadline
                .map(|at| at.saturating_duration_since(Instant::now()));
            let signals = self.signals.fd();
            let others = [signals.as_fd(), self.wire.fd()];
            let ([signal, report], gone) = match &mut self.relay {
                Some(relay) => relay.wait(others, left),
                None => (wait_readable(others, left), None),
            };
            if let Some(path) = gone {
                let shown = path.display();
                events.noted(&format!("the terminal went away; the output is in {shown}"));
                if let Some(live) = live.as_deref_mut() {
                    live.set_output(path)?;
                }
            }
            if signal {
                while let Some(number) = self.signals.next() {
                    self.pass_on(number);
                }
            }
            if report {
                match hear(&self.wire)? {
                    Some(Report::Ended(how)) => ended = Some(how),
                    Some(Report::Payload { process, namespace }) => {
                        self.traces.mount_namespaces.push(namespace);
                        if let Some(live) = live.as_deref_mut() {
                            live.set_payload(process)?;
                        }
                    }
                    Some(report) => self.take(report, events)?,
                    None => return Ok(ended),
                }
            }
            if self.deadline.is_some_and(|at| at <= Instant::now()) {
                self.deadline = None;
                sys::signal::send(self.init, KILL)?;
            }
        }
    }

    fn take(&mut self, report: Report, events: &mut dyn Events) -> Result<(), EnterError> {
        match report {
            Report::Done { step, device } => {
                self.traces.devices.extend(device);
                if let Some(step) = self.steps.get(step) {
                    events.begins(step);
                    events.done(step);
                }
            }
            Report::Note(text) => events.noted(&text),
            Report::Failed { step, text, errno } => {
                return Err(EnterError::Step { step, text, errno });
            }
            Report::Cannot(trouble) => return Err(EnterError::Program(trouble)),
            Report::Started => self.started = true,
            Report::Stopped(signal) => self.stopped(signal),
            Report::Wish(wish) => self.wish = Some((wish, Confirmed::Yes)),
            Report::Payload { .. } | Report::Ended(_) => {}
        }
        Ok(())
    }

    /// The program was stopped: so is the job that newroot is, as far as the caller's shell sees.
    fn stopped(&mut self, signal: i32) {
        if let Some(relay) = &mut self.relay {
            if relay.can_stop() {
                relay.give_back();
                Terminal::stop_job(TSTP);
                relay.take();
            }
            return self.go_on(true);
        }
        let asked = [TTIN, TTOU].contains(&signal);
        if asked && self.terminal.lend_again(signal) {
            return self.go_on(true);
        }
        self.terminal.take_back();
        let own = if [TSTP, TTIN, TTOU].contains(&signal) {
            signal
        } else {
            TSTP
        };
        Terminal::stop_job(own);
        let foreground = self.terminal.lend_again(signal);
        self.go_on(foreground);
    }

    fn go_on(&self, foreground: bool) {
        tell(&self.wire, &Order::Continue { foreground });
    }

    fn pass_on(&mut self, signal: i32) {
        match signal {
            TERM | INT => self.end(signal),
            HUP if self.hangup_counts => self.end(signal),
            HUP | CONT | TTIN | TTOU => {}
            WINCH if self.relay.is_some() => self.relay.iter().for_each(Relay::resize),
            // A terminal tells the group that has it by itself.
            WINCH if self.terminal.is_lent() => {}
            other => tell(&self.wire, &Order::Signal(other)),
        }
    }

    /// The session shall end: asked once, then the init is killed, and everything with it.
    fn end(&mut self, signal: i32) {
        if self.told.is_some() {
            self.deadline = Some(Instant::now());
            return;
        }
        // Whether the program runs by now is known to the init: it starts none after this order.
        self.told = Some(signal);
        self.deadline = Some(Instant::now() + ENDING);
        tell(&self.wire, &Order::Signal(signal));
        if self.hangup_counts && signal != HUP {
            // An interactive shell ignores SIGTERM.
            tell(&self.wire, &Order::Signal(HUP));
        }
        tell(&self.wire, &Order::Signal(CONT));
    }

    /// The PID namespace is empty: the init was reaped. Its mounts go with the last reference.
    fn look_for_holders(&self, live: &mut Live) -> Result<Vec<crate::exec::Holder>, EnterError> {
        let until = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(5);
        loop {
            let holders = find_holders(&self.traces);
            if holders.is_empty() {
                return Ok(holders);
            }
            if Instant::now() >= until {
                for mount in &self.traces.mount_namespaces {
                    live.plan(Item::Namespace {
                        mount: *mount,
                        devices: self.traces.devices.clone(),
                    })?;
                }
                return Ok(holders);
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
    }
}

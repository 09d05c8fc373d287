//! Closes a target again, and opens it read-write.

use super::work::Work;
use super::{Access, Closed, Opened};
use crate::cmd::alone;
use crate::cmd::enter::Shown;
use crate::error::Failure;
use crate::exec::storage::Parts;
use crate::plan::open::Tried;
use crate::session::Live;
use crate::sys::signal::{HUP, Held, INT, TERM};
use crate::ui::Ui;

/// What became of going read-write.
pub(super) enum Reopened {
    /// It is.
    Open(Box<Opened>),
    /// It is open read-only again.
    Still(Box<Opened>, anyhow::Error),
    /// It could not even be opened again.
    Closed(anyhow::Error),
}

impl Work {
    /// Closes everything and opens it again read-write; read-only when that cannot be.
    pub(super) fn reopen(mut self, live: &mut Live, ui: &Ui) -> Reopened {
        let (name, visible) = (self.name.clone(), self.visible.clone());
        let mut again = match Self::new(None, name, &self.choices, visible, ui) {
            Ok(again) => again,
            Err(error) => return Reopened::Closed(error),
        };
        again.typed.clone_from(&self.typed);
        again.ring = std::mem::take(&mut self.ring);
        again.windows = std::mem::take(&mut self.windows);
        let closed = self.close(live, ui);
        if closed.incomplete {
            let what = format!("cannot close {} to open it read-write", again.typed);
            let failure = Failure::new(what, "somebody uses it");
            let failure = closed.holders.iter().fold(failure, |failure, holder| {
                failure.detail(crate::cmd::enter::describe(holder))
            });
            return Reopened::Closed(failure.into());
        }
        match again.go(Access::ReadWrite, live, ui) {
            Ok(ready) => Reopened::Open(Box::new(again.opened(Access::ReadWrite, ready))),
            Err(why) => {
                let _told = again.take_back(live, ui);
                match again.go(Access::ReadOnly, live, ui) {
                    Ok(ready) => {
                        let opened = again.opened(Access::ReadOnly, ready);
                        Reopened::Still(Box::new(opened), why)
                    }
                    Err(_) => {
                        let _told = again.take_back(live, ui);
                        Reopened::Closed(why)
                    }
                }
            }
        }
    }

    /// Takes everything back and begins anew.
    fn take_back(&mut self, live: &mut Live, ui: &Ui) -> Closed {
        let undo = std::mem::take(&mut self.undo);
        let count = undo.len();
        // A look through our own mounts would keep their devices busy.
        let _alone = (count > 0).then(|| alone::wait(ui));
        let mounts = self.parts.count_mounts();
        let done = self.with_storage(live, ui, |storage, _| undo.finish(storage, &mut Shown(ui)));
        let mut closed = Closed {
            lines: Vec::new(),
            holders: std::mem::take(&mut self.parts.holders),
            incomplete: false,
        };
        let freed = std::mem::take(&mut self.parts.freed);
        closed.lines.extend(std::mem::take(&mut self.parts.taken));
        match done {
            Ok(()) if count > 0 => closed.lines.push(closing(mounts, &freed)),
            Ok(()) => {}
            Err(failures) => {
                for failure in &failures {
                    closed.lines.push(failure.error.to_string());
                    ui.warn(&failure.error.to_string());
                }
                closed.incomplete = true;
            }
        }
        self.parts = Parts::default();
        self.tried = Tried::default();
        closed
    }

    pub(super) fn close(mut self, live: &mut Live, ui: &Ui) -> Closed {
        let signals = Held::new(&[INT, TERM, HUP]);
        let closed = self.take_back(live, ui);
        if let Ok(signals) = signals {
            signals.release().ok();
        }
        closed
    }

    pub(super) fn keep(self) {
        self.undo.keep();
    }
}

/// "3 mounts gone, sda2, sda4 are free (checked)"
fn closing(mounts: usize, freed: &[String]) -> String {
    let gone = match mounts {
        1 => "1 mount gone".to_string(),
        count => format!("{count} mounts gone"),
    };
    match freed {
        [] => gone,
        [one] => format!("{gone}, {one} is free (checked)"),
        all => format!("{gone}, {} are free (checked)", all.join(", ")),
    }
}

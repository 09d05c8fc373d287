//! A bar with bytes and files, on a terminal only. It is drawn when something is done: a ticker
//! would be a thread (design rule 9).

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Ui;
use crate::exec::Events;
use crate::plan::Step;

/// Shows steps as they are done: a bar, lines with `-v`, or nothing.
#[derive(Debug)]
pub struct Progress {
    ui: Ui,
    bar: Option<ProgressBar>,
    steps: u64,
    done: u64,
}

impl Ui {
    /// A progress display for `steps` steps that copy `bytes` bytes.
    #[must_use]
    pub fn progress(&self, steps: u64, bytes: u64) -> Progress {
        let bar = (self.wants_progress() && bytes > 0).then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(10);
            let bar = ProgressBar::with_draw_target(Some(bytes), target);
            let template = "  [{bar:32}] {bytes} of {total_bytes}, {msg}";
            // The template is a constant; a wrong one would show the default bar.
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("=> "));
            bar
        });
        Progress {
            ui: self.clone(),
            bar,
            steps,
            done: 0,
        }
    }
}

impl Progress {
    /// Takes the bar off the screen.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Events for Progress {
    fn begins(&mut self, step: &Step) {
        if self.ui.verbose() {
            self.ui.detail(&step.to_string());
        }
    }

    fn done(&mut self, step: &Step) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} of {} steps", self.done, self.steps));
            bar.inc(step.op.bytes());
        }
    }

    fn undone(&mut self, step: &Step) {
        self.ui.detail(&format!("taken back: {step}"));
    }
}

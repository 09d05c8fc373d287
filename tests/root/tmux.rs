//! A terminal with a person at it: a tmux server of our own, keys in, screen out.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A session of 80x24 that runs `bash --norc`; the server ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Tmux {
    socket: String,
}

impl Tmux {
    /// Starts the server. The prompt is `outer$ `.
    pub(crate) fn start() -> Self {
        let socket = format!("newroot-trial-{}", std::process::id());
        let tmux = Self { socket };
        let shell = "env PS1='outer$ ' TERM=screen HISTFILE= bash --norc --noprofile";
        let size = ["-x", "80", "-y", "24"];
        tmux.call(
            &[
                &["-f", "/dev/null", "new-session", "-d"],
                &size[..],
                &[shell],
            ]
            .concat(),
        );
        tmux.wait_for("outer$");
        tmux
    }

    /// Types text as it is, then presses Enter.
    pub(crate) fn line(&self, text: &str) {
        self.text(text);
        self.keys(&["Enter"]);
    }

    /// Types text as it is; a newline in it is Enter.
    pub(crate) fn text(&self, text: &str) {
        self.call(&["send-keys", "-l", text]);
    }

    /// Presses keys by tmux's names: `C-z`, `Enter` …
    pub(crate) fn keys(&self, keys: &[&str]) {
        self.call(&[&["send-keys"], keys].concat());
    }

    /// Changes the window's size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.call(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    /// The screen, without trailing empty lines.
    pub(crate) fn screen(&self) -> String {
        let output = self.call(&["capture-pane", "-p"]);
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_string()
    }

    /// Waits until the screen holds this text and returns the screen.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// Waits until the last line of the screen starts with this (a prompt).
    #[track_caller]
    pub(crate) fn wait_for_last_line(&self, start: &str) -> String {
        self.wait_until(start, |screen| {
            screen
                .lines()
                .last()
                .is_some_and(|line| line.starts_with(start))
        })
    }

    #[track_caller]
    fn wait_until(&self, what: &str, found: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let screen = self.screen();
            if found(&screen) {
                return screen;
            }
            assert!(
                Instant::now() < deadline,
                "no {what:?} on the screen:\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn call(&self, arguments: &[&str]) -> Output {
        let output = Command::new("tmux")
            .args(["-L", &self.socket])
            .args(arguments)
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {error}");
        output
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let kill = ["-L", &self.socket, "kill-server"];
        Command::new("tmux").args(kill).output().ok();
    }
}

//! A running machine with a root shell: scripts in, status and output out.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::{self, Bench};
use crate::expect::Console;
use crate::qemu::{Machine, Qemu};

/// A line of the terminal holds 4095 bytes; a script that long belongs into a file.
const LONGEST: usize = 3500;

/// What a script said and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: i32,
    pub(crate) text: String,
}

/// A machine that is on. It goes off with `off`, or the hard way on drop.
#[derive(Debug)]
pub(crate) struct Vm {
    console: Console,
    qemu: Qemu,
    bench: Bench,
    kernel_log: PathBuf,
    commands: u32,
}

impl Vm {
    pub(crate) fn boot(machine: &Machine, bench: &Bench) -> Result<Vm> {
        let case = bench
            .scratch
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let kernel_log = bench::log(&case, "kernel");
        let (qemu, line) = machine.start(&kernel_log)?;
        let console = Console::new(line, &bench::log(&case, "console"))?;
        let mut vm = Vm {
            console,
            qemu,
            bench: bench.clone(),
            kernel_log,
            commands: 0,
        };
        vm.log_in()?;
        Ok(vm)
    }

    /// Both live systems say this when the root shell is there, then a quiet shell is made of it:
    /// no echo, no prompt, no line editing.
    fn log_in(&mut self) -> Result<()> {
        self.wait_for("@live-system-is-up@", 240)?;
        self.console
            .send("stty -echo cols 200; set +o emacs 2>/dev/null; PS1= PS2=\n")?;
        ensure!(self.sh("true")?.status == 0, "the shell does not answer");
        Ok(())
    }

    /// Runs a script of one or more lines; whatever its status.
    pub(crate) fn sh(&mut self, script: &str) -> Result<Output> {
        self.begin(script)?;
        self.end(120)
    }

    /// Runs a script that must succeed; what it said.
    pub(crate) fn ok(&mut self, script: &str) -> Result<String> {
        let output = self.sh(script)?;
        if output.status != 0 {
            bail!("exit {} from\n{script}\n{}", output.status, output.text);
        }
        Ok(output.text)
    }

    /// Runs a script that must end with this status; what it said.
    pub(crate) fn fails(&mut self, status: i32, script: &str) -> Result<String> {
        let output = self.sh(script)?;
        if output.status != status {
            bail!(
                "exit {}, not {status}, from\n{script}\n{}",
                output.status,
                output.text
            );
        }
        Ok(output.text)
    }

    /// Starts a script and does not wait: for one that asks. `answer` it, then `end`.
    pub(crate) fn begin(&mut self, script: &str) -> Result<()> {
        ensure!(script.len() < LONGEST, "a script of {} bytes", script.len());
        self.commands += 1;
        let quoted = script.replace('\'', r"'\''");
        // One command for the shell, read whole before it runs: the script cannot eat the echo.
        self.console.send(&format!(
            "eval '{quoted}'; echo \"@{}\"=$?@\n",
            self.commands
        ))
    }

    /// Waits for a question and answers it.
    pub(crate) fn answer(&mut self, question: &str, answer: &str) -> Result<String> {
        let before = self.wait_for(question, 60)?;
        // Who asks for a passphrase throws away what is typed before it has switched the echo off,
        // which is after the question: nobody types that fast.
        sleep(self.bench.seconds(1));
        self.console.send(&format!("{answer}\n"))?;
        Ok(before)
    }

    /// Waits for the end of what `begin` started.
    pub(crate) fn end(&mut self, seconds: u32) -> Result<Output> {
        let text = self.wait_for(&format!("@{}=", self.commands), seconds)?;
        let status = self.wait_for("@", 10)?;
        self.wait_for("\n", 10)?;
        let status = status.trim().parse().context("the shell's status")?;
        Ok(Output { status, text })
    }

    /// Waits for a text on the console; what came before it.
    pub(crate) fn wait_for(&mut self, text: &str, seconds: u32) -> Result<String> {
        let limit = self.bench.seconds(seconds);
        self.console
            .wait(text, limit)
            .map_err(|error| match self.kernel_tail() {
                Some(tail) => error.context(format!("the kernel said last\n{tail}")),
                None => error,
            })
    }

    fn kernel_tail(&self) -> Option<String> {
        let text = fs::read(&self.kernel_log).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.len().saturating_sub(15);
        Some(
            lines[first..]
                .iter()
                .map(|line| format!("  K {line}\n"))
                .collect(),
        )
    }

    /// Switches it off in order, disks written; that it goes off is part of the test.
    pub(crate) fn off(mut self) -> Result<()> {
        self.console.send("sync; umount -a -t ext4,xfs,btrfs,vfat 2>/dev/null; sync; echo o >/proc/sysrq-trigger\n")?;
        self.console.wait_closed(self.bench.seconds(60))?;
        ensure!(self.qemu.wait()?, "qemu ended badly");
        Ok(())
    }
}

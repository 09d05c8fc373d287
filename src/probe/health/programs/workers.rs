//! The pieces of work, shared out to forked workers (design rule 9: no threads).
//!
//! The queue is a pipe filled beforehand; each worker answers with one JSON record in a pipe of
//! its own. A worker that dies takes only its own pieces with it, and they are
//! named as not looked at.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

use super::file;
use super::fold::Programs;
use super::places::{Piece, Places};
use crate::elf::{Engine, Options};
use crate::model::{Kind, RootPath};
use crate::root::Tree;
use crate::sys::worker::{self, Worker};
use crate::sys::{SysError, SysResult, errno_of};

/// More workers than this only wait for the disk.
const MOST_WORKERS: usize = 8;
/// Below this many pieces a fork costs more than it saves.
const WORTH_IT: usize = 8;
/// No record of a worker is longer: causes and names are bounded.
const LONGEST: u64 = 16 << 20;
/// Deeper trees are made to trap us.
const DEEPEST: usize = 16;
/// Names below one piece.
const MOST_NAMES: usize = 100_000;

/// Looks at every piece.
pub(super) fn run(tree: &dyn Tree, places: &Places) -> Programs {
    let count =
        std::thread::available_parallelism().map_or(1, |count| count.get().min(MOST_WORKERS));
    let mut all = Programs::default();
    let shared = if count > 1 && places.pieces.len() > WORTH_IT {
        share(tree, places, count)
    } else {
        None
    };
    match shared {
        Some(found) => all = found,
        // No fork, no pipe: it takes longer, that is all.
        None => alone(tree, places, &mut all),
    }
    all.settle();
    all
}

fn alone(tree: &dyn Tree, places: &Places, found: &mut Programs) {
    let mut engine = engine(tree);
    for piece in &places.pieces {
        look(&mut engine, places, piece, found);
    }
}

fn engine(tree: &dyn Tree) -> Engine<'_> {
    let options = Options {
        versions: true,
        ..Options::default()
    };
    Engine::with_options(tree, options)
}

/// `None` when not even one worker could be started.
fn share(tree: &dyn Tree, places: &Places, count: usize) -> Option<Programs> {
    let queue = queue(places).ok()?;
    let mut running: Vec<(Worker, OwnedFd)> = Vec::new();
    for _ in 0..count {
        let Ok((answer, ours)) = worker::pipe() else {
            break;
        };
        let Ok(started) = worker::start(|| work(tree, places, &queue, ours)) else {
            break;
        };
        running.push((started, answer));
    }
    if running.is_empty() {
        return None;
    }
    let mut all = Programs::default();
    for (worker, answer) in running {
        let mut text = Vec::new();
        let read = File::from(answer).take(LONGEST).read_to_end(&mut text);
        let ended = worker.wait();
        let found = serde_json::from_slice::<Programs>(&text).ok();
        match (read, ended, found) {
            (Ok(_), Ok(_), Some(found)) => all.merge(found),
            _ => all
                .lost
                .push("some programs: a worker process ended early".into()),
        }
    }
    Some(all)
}

/// A pipe with the number of each piece: [`super::places::MOST_PIECES`] of them fit into it
/// before anybody reads.
fn queue(places: &Places) -> SysResult<File> {
    let (queue, fill) = worker::pipe()?;
    let count = u32::try_from(places.pieces.len()).unwrap_or(u32::MAX);
    let bytes: Vec<u8> = (0..count).flat_map(u32::to_ne_bytes).collect();
    // A pipe that takes less leaves pieces out, and the caller sees that they are missing.
    File::from(fill)
        .write_all(&bytes)
        .map_err(|error| SysError::new("write", format_args!("pipe"), errno_of(&error)))?;
    Ok(File::from(queue))
}

/// What a worker does: takes pieces until there are none, then says what it found.
fn work(tree: &dyn Tree, places: &Places, mut queue: &File, answer: OwnedFd) {
    let mut engine = engine(tree);
    let mut found = Programs::default();
    let mut index = [0; 4];
    // read(2) of 4 bytes of a pipe that holds whole numbers gives all of them or, at its end, none.
    while queue.read(&mut index).is_ok_and(|count| count == 4) {
        let index = u32::from_ne_bytes(index) as usize;
        if let Some(piece) = places.pieces.get(index) {
            look(&mut engine, places, piece, &mut found);
        }
    }
    if let Ok(text) = serde_json::to_vec(&found) {
        // Nobody listens any more when the parent is gone.
        File::from(answer).write_all(&text).ok();
    }
}

fn look(engine: &mut Engine<'_>, places: &Places, piece: &Piece, found: &mut Programs) {
    let Some(directory) = places.directories.get(piece.directory) else {
        return;
    };
    let names = directory
        .names
        .get(piece.from..piece.to)
        .unwrap_or_default();
    let mut left = MOST_NAMES;
    let depth = if directory.deep { DEEPEST } else { 0 };
    for name in names {
        let path = directory.path.join(name);
        visit(
            engine,
            places,
            &directory.path,
            &path,
            depth,
            &mut left,
            found,
        );
    }
    if left == 0 {
        found
            .lost
            .push(format!("most of what is below {}", directory.path));
    }
}

fn visit(
    engine: &mut Engine<'_>,
    places: &Places,
    directory: &RootPath,
    path: &RootPath,
    depth: usize,
    left: &mut usize,
    found: &mut Programs,
) {
    if *left == 0 {
        return;
    }
    *left -= 1;
    let tree = engine.tree();
    let meta = match tree.lstat(path) {
        Ok(meta) => meta,
        Err(error) => return found.unread(path.as_bytes(), &error),
    };
    match meta.kind {
        Kind::File => file::look(engine, places, directory, path, &meta, found),
        Kind::Directory if depth > 0 && !places.is_own_work(path) => match tree.list(path) {
            Ok(names) => {
                for name in names {
                    let below = path.join(name);
                    visit(engine, places, path, &below, depth - 1, left, found);
                }
            }
            Err(error) => found.unread(path.as_bytes(), &error),
        },
        _ => {}
    }
}

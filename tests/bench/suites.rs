//! What is compared with what, and by how much newroot must win.

use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Bench;
use crate::debian;
use crate::files;
use crate::measure::{Contender, Result, alternate};
use crate::table::{Limit, Row};

const MEMORY: Limit = Limit::Memory(64 * 1024);
/// `closure` exits 1 where a program of this machine lacks a library; that is no failure here.
const FINDINGS: RangeInclusive<u64> = 0..=1;
/// Peers fail over single files that they cannot handle (libtree counts them); they did the work.
const ANYHOW: RangeInclusive<u64> = 0..=125;

/// A contender, or why there is none.
type Peer = std::result::Result<Contender, String>;

/// The closure of every dynamic program of /usr/bin, in one process.
pub(crate) fn closure(bench: &Bench) -> Vec<Row> {
    let programs = files::dynamic_programs();
    let all = files::closure(&bench.newroot, &programs);
    eprintln!("closure: {} programs, {} files", programs.len(), all.len());
    let list = bench.scratch.join("list");
    files::write_list(&all, &list);
    let ours = Contender::new("newroot", command(&bench.newroot, &CLOSURE, &programs));
    let floor = Contender::new("open+pread", [bench.probe.as_path(), &list]);
    let peers = [
        (Limit::AtMost(3.0), Ok(floor)),
        (Limit::Faster(2.5), libtree(&programs)),
        (
            Limit::Faster(100.0),
            peer("lddtree", "lddtree", &["-l", "--skip-missing"], &programs),
        ),
    ];
    compare(bench, "closure", ours.accepts(FINDINGS), peers.into(), 21)
}

/// One small program: what starting newroot costs.
pub(crate) fn small(bench: &Bench) -> Vec<Row> {
    let program = [PathBuf::from("/usr/bin/true")];
    let argv = command(&bench.newroot, &CLOSURE, &program);
    let ours = Contender::new("newroot", argv).repeated(20);
    let floor = Contender::new("empty static program", [&bench.empty]).repeated(20);
    let limit = Limit::Above(Duration::from_micros(300));
    compare(bench, "one program", ours, vec![(limit, Ok(floor))], 51)
}

/// A whole Debian, looked at by the doctor; warm after the first round.
pub(crate) fn doctor(bench: &Bench) -> Vec<Row> {
    let debian = debian::disk().with_file_name("tree.made");
    let words = [OsStr::new("doctor")];
    let argv = command(&bench.newroot, &words, &[debian]);
    let floor = Contender::new("empty static program", [&bench.empty]);
    let limit = Limit::Above(Duration::from_secs(1));
    let mut rows = compare(
        bench,
        "doctor",
        Contender::new("newroot", argv),
        vec![(limit, Ok(floor))],
        21,
    );
    if let Some(row) = rows.last_mut() {
        row.limit = Limit::Memory(128 * 1024);
    }
    rows
}

/// A jail of every dynamic program of /usr/bin, hashing included.
pub(crate) fn jail(bench: &Bench) -> Vec<Row> {
    let programs = files::dynamic_programs();
    let all = files::closure(&bench.newroot, &programs);
    let made = |name: &str| bench.scratch.join(name);
    let dir = made("jail");
    let build = [
        OsStr::new("-q"),
        "jail".as_ref(),
        "build".as_ref(),
        dir.as_ref(),
    ];
    let ours = Contender::new("newroot", command(&bench.newroot, &build, &programs))
        .makes(&dir, programs.len());
    let peers = vec![
        (Limit::AtMost(1.0), Ok(copy(&made("cp"), &all))),
        (Limit::Faster(3.0), dracut(&made("dracut"), &programs)),
        (Limit::Faster(3.0), jailkit(&made("jailkit"), &programs)),
        (Limit::Faster(3.0), lddtree(&made("lddtree"), &programs)),
    ];
    compare(bench, "jail build", ours, peers, 21)
}

/// Measures ours and every peer that is there in turn; a row for each, one for memory.
fn compare(
    bench: &Bench,
    what: &'static str,
    ours: Contender,
    peers: Vec<(Limit, Peer)>,
    rounds: usize,
) -> Vec<Row> {
    let (limits, peers): (Vec<_>, Vec<_>) = peers.into_iter().unzip();
    let mut contenders = vec![ours];
    let places: Vec<std::result::Result<usize, String>> = peers
        .into_iter()
        .map(|peer| {
            contenders.push(peer?);
            Ok(contenders.len() - 1)
        })
        .collect();
    let results = alternate(&bench.timed, &contenders, rounds);
    let ours = results[0];
    let row = |limit: Limit, other: std::result::Result<Result, String>| Row {
        what,
        other,
        ours,
        limit,
    };
    let rows = limits.into_iter().zip(places);
    let mut rows: Vec<Row> = rows
        .map(|(limit, place)| row(limit, place.map(|place| results[place])))
        .collect();
    rows.push(row(
        MEMORY,
        Ok(Result {
            name: "peak memory",
            time: None,
            ..ours
        }),
    ));
    rows
}

const CLOSURE: [&str; 3] = ["closure", "--format", "paths"];

fn command<A: AsRef<OsStr>>(program: &Path, words: &[A], files: &[PathBuf]) -> Vec<OsString> {
    let words = words.iter().map(|word| word.as_ref().to_owned());
    let files = files.iter().map(|file| file.clone().into_os_string());
    std::iter::once(program.into())
        .chain(words)
        .chain(files)
        .collect()
}

fn peer<A: AsRef<OsStr>>(
    name: &'static str,
    program: &str,
    words: &[A],
    files: &[PathBuf],
) -> Peer {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path
        .split(':')
        .chain(["/usr/sbin", "/usr/lib/dracut"])
        .map(|directory| Path::new(directory).join(program))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("no {name} here"))?;
    Ok(Contender::new(name, command(&found, words, files)).accepts(ANYHOW))
}

fn libtree(programs: &[PathBuf]) -> Peer {
    match std::env::var("LIBTREE") {
        Ok(path) => peer("libtree", &path, &["-p"], programs),
        Err(_) => peer("libtree", "libtree", &["-p"], programs)
            .map_err(|why| format!("{why}: no Debian package; build it and set LIBTREE")),
    }
}

/// Relative names: cp --parents looks for the directories of absolute ones in the wrong place.
fn copy(into: &Path, files: &[PathBuf]) -> Contender {
    let script = OsStr::new("cd / && exec cp --parents -p \"$@\" \"$0\"");
    let words = [OsStr::new("-c"), script, into.as_os_str()];
    let relative: Vec<PathBuf> = files
        .iter()
        .map(|file| file.strip_prefix("/").unwrap_or(file).to_owned())
        .collect();
    let argv = command(Path::new("/bin/sh"), &words, &relative);
    Contender::new("cp", argv).fills(into, files.len())
}

fn dracut(into: &Path, programs: &[PathBuf]) -> Peer {
    let words = [
        OsStr::new("-l"),
        "-D".as_ref(),
        into.as_ref(),
        "-a".as_ref(),
    ];
    let peer = peer("dracut-install", "dracut-install", &words, programs)?;
    Ok(peer.fills(into, programs.len()))
}

fn lddtree(into: &Path, programs: &[PathBuf]) -> Peer {
    let words = [
        OsStr::new("--skip-missing"),
        "--copy-to-tree".as_ref(),
        into.as_ref(),
    ];
    let peer = peer("lddtree --copy-to-tree", "lddtree", &words, programs)?;
    Ok(peer.makes(into, programs.len()))
}

/// jk_cp refuses a jail below a directory that others may write: it sees it in /mnt.
fn jailkit(into: &Path, programs: &[PathBuf]) -> Peer {
    let mut peer = peer::<&str>("jk_cp", "jk_cp", &[], programs)?;
    let script = "mount --bind \"$0\" /mnt && j=$1 && shift && exec \"$j\" -j /mnt -o \"$@\"";
    let words = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        script,
    ];
    let words = words.iter().map(OsString::from).chain([into.into()]);
    peer.argv = words.chain(peer.argv).collect();
    Ok(peer.fills(into, programs.len()))
}

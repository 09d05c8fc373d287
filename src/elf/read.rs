//! Bounded reading from an open file: nothing is allocated by a size that the file merely claims.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::sync::Arc;

use crate::root::TreeFile;

/// What one look at a file reads first; the headers of nearly every file fit.
const PAGE: usize = 4096;
/// Strings that lie this close together are read at once.
const WINDOW: u64 = 12 << 10;
/// What is read beyond the last string's start; nearly every name is shorter.
const TAIL: u64 = 256;
/// No name or search path is longer (PATH_MAX is 4096; a search path holds several).
const MAX_STRING: u64 = 64 << 10;
/// How much a single read grows by when a size is large: a sparse file of 4 GiB that claims
/// that size costs what is really there.
const STEP: usize = 1 << 20;

/// Reads into `buffer` until it is full or the file ends; an error ends the file.
pub(super) fn fill(file: &TreeFile, buffer: &mut [u8], offset: u64) -> usize {
    let mut filled = 0_usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let Some(at) = offset.checked_add(filled as u64) else {
            break;
        };
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    filled
}

/// What is used for one file after the other.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The first page of the last file, as much of it as there is.
    pub(super) page: Vec<u8>,
    /// The part of its string table with the wanted strings.
    pub(super) window: Vec<u8>,
}

impl Scratch {
    /// Goes on to another file.
    pub(super) fn begin(&mut self, file: &TreeFile) {
        self.page.resize(PAGE, 0);
        let length = fill(file, &mut self.page, 0);
        self.page.truncate(length);
    }
}

/// Exactly `size` bytes, or nothing.
pub(super) fn read_range(file: &TreeFile, offset: u64, size: usize) -> Option<Vec<u8>> {
    let bytes = read_up_to(file, offset, size);
    (bytes.len() == size).then_some(bytes)
}

/// Up to `size` bytes; fewer where the file ends.
pub(super) fn read_up_to(file: &TreeFile, offset: u64, size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < size {
        let have = bytes.len();
        let want = size.saturating_sub(have).min(STEP);
        bytes.resize(have.saturating_add(want), 0);
        let Some(at) = offset.checked_add(have as u64) else {
            bytes.truncate(have);
            break;
        };
        let got = fill(file, bytes.get_mut(have..).unwrap_or_default(), at);
        bytes.truncate(have.saturating_add(got));
        if got < want {
            break;
        }
    }
    bytes
}

/// A string table, read in one window where its wanted strings lie close together, else string
/// by string (libLLVM's needed names are 3 MB apart).
pub(super) struct Strings<'a> {
    file: &'a TreeFile,
    offset: u64,
    size: u64,
    start: u64,
    filled: usize,
    window: &'a mut Vec<u8>,
}

impl<'a> Strings<'a> {
    /// `size` is what the segment has, not what DT_STRSZ claims: loaders do not look at that.
    pub(super) fn new(file: &'a TreeFile, offset: u64, size: u64, window: &'a mut Vec<u8>) -> Self {
        Self {
            file,
            offset,
            size,
            start: 0,
            filled: 0,
            window,
        }
    }

    /// Reads the window that holds all of `wanted`, if it is small enough.
    pub(super) fn prepare(&mut self, wanted: impl Iterator<Item = u64>) {
        let mut low = u64::MAX;
        let mut high = 0;
        for at in wanted.filter(|at| *at < self.size) {
            low = low.min(at);
            high = high.max(at);
        }
        let Some(span) = high.checked_sub(low).filter(|span| *span <= WINDOW) else {
            return;
        };
        let rest = self.size.saturating_sub(low);
        let want = usize::try_from(span.saturating_add(TAIL).min(rest)).unwrap_or(0);
        // It only ever grows: clearing it for each of a thousand files would cost.
        if self.window.len() < want {
            self.window.resize(want, 0);
        }
        let at = self.offset.saturating_add(low);
        let window = self.window.get_mut(..want).unwrap_or_default();
        self.filled = fill(self.file, window, at);
        self.start = low;
    }

    /// The string at `at`, without its NUL; `None` when it is outside or has no end.
    pub(super) fn get(&self, at: u64) -> Option<Arc<[u8]>> {
        let inside = at
            .checked_sub(self.start)
            .and_then(|inside| usize::try_from(inside).ok())
            .and_then(|inside| self.window.get(inside..self.filled))
            .and_then(until_nul);
        if let Some(found) = inside {
            return Some(Arc::from(found));
        }
        self.read_one(at)
    }

    fn read_one(&self, at: u64) -> Option<Arc<[u8]>> {
        let rest = self.size.checked_sub(at).filter(|rest| *rest > 0)?;
        let offset = self.offset.checked_add(at)?;
        for limit in [TAIL, 4096, MAX_STRING] {
            let want = usize::try_from(limit.min(rest)).ok()?;
            let bytes = read_up_to(self.file, offset, want);
            if let Some(found) = until_nul(&bytes) {
                return Some(Arc::from(found));
            }
            if limit >= rest {
                break;
            }
        }
        None
    }
}

fn until_nul(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    bytes.get(..end)
}

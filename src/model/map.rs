//! Maps for what is looked up tens of thousands of times: paths, names, files.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

/// A map whose hash is as good as SipHash for anything but an attack from outside that can watch
/// the clock, in a fraction of the time. Its seed is another one in each process.
pub type Map<K, V> = HashMap<K, V, RandomState>;

/// The same for a set.
pub type Set<K> = HashSet<K, RandomState>;

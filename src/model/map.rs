//! Maps for what is looked up tens of thousands of times: paths, names, files.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

/// A map whose hash takes a fraction of SipHash's time. Its seed comes from addresses, which the
/// kernel makes others in each process: nobody can choose names that collide beforehand.
pub type Map<K, V> = HashMap<K, V, RandomState>;

/// The same for a set.
pub type Set<K> = HashSet<K, RandomState>;

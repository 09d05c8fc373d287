//! Joining, stopping and cleaning up after sessions.

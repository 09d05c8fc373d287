//! External programs: argv logged, environment cleared, the tail of stderr in the error, and the
//! package to install when the program is not there.

mod feed;

pub use feed::{FeedError, ToolError, feed};

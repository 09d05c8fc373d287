//! `newroot features`.

use clap::Args;

/// Say what this system and its kernel can and cannot do, and which package brings it
///
/// Nothing is changed by looking: no module is loaded, nothing is mounted.
#[derive(Args, Debug)]
pub struct FeaturesArgs {
    /// For programs
    #[arg(long)]
    pub json: bool,
}

//! The CPU that a program is asked about.

/// The CPU that the program is asked about. Found by `probe`, used by `elf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// x86-64 microarchitecture level, 1 to 4; 1 is also "some other CPU".
    pub x86_level: u8,
    /// What glibc calls the platform (`$PLATFORM` and, up to glibc 2.36, a subdirectory):
    /// `haswell` or `xeon_phi` on Intel's CPUs, else `None` for the kernel's own name.
    pub x86_platform: Option<&'static str>,
    /// glibc up to 2.36: the `avx512_1` subdirectory counts.
    pub x86_avx512_1: bool,
}

impl Default for Cpu {
    /// The baseline of every architecture: what a jail for any machine is built for.
    fn default() -> Self {
        Self {
            x86_level: 1,
            x86_platform: None,
            x86_avx512_1: false,
        }
    }
}

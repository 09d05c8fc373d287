//! The one CPU instruction that the standard library does not wrap.

/// The CPU's vendor, `GenuineIntel` or `AuthenticAMD`.
#[cfg(target_arch = "x86_64")]
#[must_use]
#[expect(
    unsafe_code,
    unused_unsafe,
    reason = "__cpuid has been safe since Rust 1.9x, and is not in the oldest Rust we take"
)]
pub fn vendor() -> [u8; 12] {
    // SAFETY: every x86-64 CPU has the cpuid instruction, and leaf 0 always exists.
    let leaf = unsafe { std::arch::x86_64::__cpuid(0) };
    let mut name = [0; 12];
    for (part, register) in name.chunks_exact_mut(4).zip([leaf.ebx, leaf.edx, leaf.ecx]) {
        part.copy_from_slice(&register.to_le_bytes());
    }
    name
}

//! The CPU as glibc's loader sees it: which glibc-hwcaps sub-directories count.

use crate::model::Cpu;

/// This machine's CPU.
#[must_use]
#[cfg(target_arch = "x86_64")]
pub fn cpu() -> Cpu {
    let intel = crate::sys::cpu::vendor() == *b"GenuineIntel";
    Cpu {
        x86_level: level(),
        x86_platform: platform(intel),
        x86_avx512_1: intel && avx512_1(),
    }
}

/// This machine's CPU; glibc has no sub-directories for it.
#[must_use]
#[cfg(not(target_arch = "x86_64"))]
pub fn cpu() -> Cpu {
    Cpu::default()
}

/// The x86-64 psABI's levels. LAHF and SCE are not asked: every CPU with the others has them.
#[cfg(target_arch = "x86_64")]
fn level() -> u8 {
    use std::arch::is_x86_feature_detected as has;
    let two = has!("cmpxchg16b")
        && has!("popcnt")
        && has!("sse3")
        && has!("ssse3")
        && has!("sse4.1")
        && has!("sse4.2");
    let three = two
        && has!("avx")
        && has!("avx2")
        && has!("bmi1")
        && has!("bmi2")
        && has!("f16c")
        && has!("fma")
        && has!("lzcnt")
        && has!("movbe");
    let four = three
        && has!("avx512f")
        && has!("avx512bw")
        && has!("avx512cd")
        && has!("avx512dq")
        && has!("avx512vl");
    match (two, three, four) {
        (_, _, true) => 4,
        (_, true, _) => 3,
        (true, ..) => 2,
        _ => 1,
    }
}

/// `GLRO(dl_platform)`, which glibc sets on Intel's CPUs only (sysdeps/x86/cpu-features.c).
#[cfg(target_arch = "x86_64")]
fn platform(intel: bool) -> Option<&'static str> {
    use std::arch::is_x86_feature_detected as has;
    let haswell = has!("avx2")
        && has!("bmi1")
        && has!("bmi2")
        && has!("lzcnt")
        && has!("movbe")
        && has!("popcnt");
    (intel && haswell).then_some("haswell")
}

#[cfg(target_arch = "x86_64")]
fn avx512_1() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("avx512cd") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl")
}

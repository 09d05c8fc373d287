//! Kernels and initramfs images, whole and cut off.

use super::*;
use crate::root::Mem;

fn member(name: &str, data: &[u8]) -> Vec<u8> {
    let mut out = format!("070701{}", "00000000".repeat(6));
    out.push_str(&format!("{:08x}", data.len()));
    out.push_str(&"00000000".repeat(4));
    out.push_str(&format!("{:08x}{:08x}", name.len() + 1, 0));
    let mut out = out.into_bytes();
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn image(bytes: Vec<u8>) -> Image {
    initramfs(&Mem::new().with_file("/i", bytes), &RootPath::new("/i"))
}

#[test]
fn an_early_archive_is_passed_and_the_rest_followed_to_its_end() {
    let mut bytes = member("kernel/x86/microcode", b"abc");
    bytes.extend(member("TRAILER!!!", b""));
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    // A zstd frame: single segment, one raw block of 4 bytes, the last.
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 4, 0x21, 0, 0][..], b"data"].concat();
    let whole = [bytes.clone(), frame.clone()].concat();
    assert_eq!(image(whole.clone()), Image::Whole("zstd"));
    for cut in 1..frame.len() - 4 {
        let shorter = whole[..whole.len() - cut].to_vec();
        assert!(matches!(image(shorter), Image::Bad(_)), "{cut} bytes less");
    }
    assert!(
        matches!(image(bytes), Image::Bad(_)),
        "microcode is no initramfs"
    );
}

#[test]
fn gzip_is_unpacked_and_noise_is_refused() {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&[7; 100_000]).unwrap();
    let bytes = encoder.finish().unwrap();
    assert_eq!(image(bytes.clone()), Image::Whole("gzip"));
    assert!(matches!(
        image(bytes[..bytes.len() - 9].to_vec()),
        Image::Bad(_)
    ));
    assert!(matches!(image(b"hello, world".to_vec()), Image::Bad(_)));
    assert!(matches!(image(vec![0; 9000]), Image::Bad(_)));
}

#[test]
fn kernels_are_known_by_their_first_bytes() {
    let mut bz = vec![1; 0x210];
    bz[0x202..0x206].copy_from_slice(b"HdrS");
    bz[0x1f1] = 1;
    bz[0x1f4..0x1f8].copy_from_slice(&100_u32.to_le_bytes());
    let check = |bytes: Vec<u8>| kernel(&Mem::new().with_file("/k", bytes), &RootPath::new("/k"));
    assert!(check(bz.clone()).unwrap_err().contains("cut off"));
    bz.resize(1024 + 1600, 1);
    assert_eq!(check(bz), Ok(()));
    assert_eq!(check(b"MZ and so on".to_vec()), Ok(()));
    assert!(check(b"text".to_vec()).is_err());
}

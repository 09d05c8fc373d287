//! Volume groups, read from the metadata on a physical volume (LVM2's text format), without
//! device-mapper and without activating anything.
//!
//! What can be seen this way is a logical volume that lies in one piece: most root volumes do.
//! The others are named; `rescue` activates them.

mod text;

use text::{Section, Value};

use super::partitions::{Medium, le32, le64};

const SECTOR: u64 = 512;
/// More metadata than a group of thousands of volumes has.
const MOST_TEXT: u64 = 8 << 20;

/// A volume group as one of its physical volumes describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its UUID: two groups may have one name.
    pub id: String,
    /// Counts up with every change.
    pub seqno: u64,
    /// UUIDs of its physical volumes, without dashes.
    pub members: Vec<String>,
    /// Its visible logical volumes.
    pub volumes: Vec<Logical>,
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logical {
    /// Its name.
    pub name: String,
    /// Where it lies, when it lies in one piece.
    pub piece: Option<Piece>,
    /// How it is laid out, for people: "linear in 3 pieces", "thin".
    pub layout: String,
}

/// A part of a physical volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// UUID of the physical volume, without dashes.
    pub member: String,
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub size: u64,
}

/// Reads the physical volume on `medium`: its own UUID, and the group it belongs to (`None` for
/// one that holds no metadata, or belongs to no group).
pub fn read(medium: &(impl Medium + ?Sized)) -> Option<(String, Option<Group>)> {
    let (id, areas) = header(medium)?;
    let group = areas
        .into_iter()
        .filter_map(|at| metadata(medium, at))
        .filter_map(|bytes| group(&text::parse(&bytes)?))
        .max_by_key(|group| group.seqno);
    Some((id, group))
}

/// The UUID of a physical volume and where its metadata areas begin.
fn header(medium: &(impl Medium + ?Sized)) -> Option<(String, Vec<u64>)> {
    for sector in 0..4 {
        let label = medium.bytes(sector * SECTOR, 512)?;
        if !label.starts_with(b"LABELONE") || label[24..32] != *b"LVM2 001" {
            continue;
        }
        let at = usize::try_from(le32(&label, 20)).ok()?;
        let header = label.get(at..)?;
        let id = String::from_utf8_lossy(header.get(..32)?).into_owned();
        // Two lists of (offset, size), each ended by zeros: data areas, metadata areas.
        let mut areas = Vec::new();
        let mut list = 0;
        for pair in header.get(40..)?.chunks_exact(16) {
            match (le64(pair, 0), list) {
                (0, 0) => list = 1,
                (0, _) => return Some((id, areas)),
                (_, 0) => {}
                (offset, _) => areas.push(offset),
            }
        }
    }
    None
}

/// The text of the newest metadata in the ring at `area`.
fn metadata(medium: &(impl Medium + ?Sized), area: u64) -> Option<Vec<u8>> {
    let header = medium.bytes(area, 512)?;
    if header[4..20] != *b" LVM2 x[5A%r0N*>" {
        return None;
    }
    let (start, ring) = (le64(&header, 24), le64(&header, 32));
    let (offset, size) = (le64(&header, 40), le64(&header, 48));
    if size == 0 || size > MOST_TEXT || offset < SECTOR || offset >= ring {
        return None;
    }
    // What does not fit before the end of the ring goes on behind the header.
    let first = size.min(ring - offset);
    let mut text = medium.bytes(start.checked_add(offset)?, usize::try_from(first).ok()?)?;
    if first < size {
        let rest = usize::try_from(size - first).ok()?;
        text.extend(medium.bytes(start.checked_add(SECTOR)?, rest)?);
    }
    Some(text)
}

fn group(file: &Section) -> Option<Group> {
    let (name, group) = file.sections().next()?;
    let extent = group.number("extent_size")?.checked_mul(SECTOR)?;
    let members = group.section("physical_volumes")?;
    let nothing = Section::default();
    let volumes = group.section("logical_volumes").unwrap_or(&nothing);
    Some(Group {
        name: name.to_string(),
        id: group.text("id")?.to_string(),
        seqno: group.number("seqno").unwrap_or(0),
        members: members
            .sections()
            .filter_map(|(_, member)| plain_id(member))
            .collect(),
        volumes: volumes
            .sections()
            .filter(|(_, volume)| is_visible(volume))
            .map(|(name, volume)| logical(name, volume, members, extent))
            .collect(),
    })
}

fn is_visible(volume: &Section) -> bool {
    match volume.get("status") {
        Some(Value::List(words)) => words
            .iter()
            .any(|word| matches!(word, Value::Text(text) if text == "VISIBLE")),
        _ => false,
    }
}

fn plain_id(section: &Section) -> Option<String> {
    Some(section.text("id")?.replace('-', ""))
}

fn logical(name: &str, volume: &Section, members: &Section, extent: u64) -> Logical {
    let mut segments: Vec<&Section> = volume.sections().map(|(_, segment)| segment).collect();
    segments.sort_by_key(|segment| segment.number("start_extent"));
    let pieces: Option<Vec<Piece>> = segments
        .iter()
        .map(|segment| linear(segment, members, extent))
        .collect();
    let kind = segments
        .iter()
        .find_map(|segment| segment.text("type"))
        .unwrap_or("empty");
    let layout = match &pieces {
        Some(pieces) => format!("linear in {} pieces", pieces.len()),
        None if kind == "striped" => "striped".to_string(),
        None => kind.to_string(),
    };
    Logical {
        name: name.to_string(),
        piece: pieces.and_then(join),
        layout,
    }
}

/// A segment that lies on one physical volume in a row.
fn linear(segment: &Section, members: &Section, extent: u64) -> Option<Piece> {
    if segment.text("type") != Some("striped") || segment.number("stripe_count") != Some(1) {
        return None;
    }
    let Some(Value::List(stripes)) = segment.get("stripes") else {
        return None;
    };
    let [Value::Text(member), Value::Number(first)] = stripes.as_slice() else {
        return None;
    };
    let member = members.section(member)?;
    let from = member.number("pe_start")?.checked_mul(SECTOR)?;
    Some(Piece {
        member: plain_id(member)?,
        start: first.checked_mul(extent)?.checked_add(from)?,
        size: segment.number("extent_count")?.checked_mul(extent)?,
    })
}

/// One piece of several that lie behind each other.
fn join(pieces: Vec<Piece>) -> Option<Piece> {
    let mut pieces = pieces.into_iter();
    let mut whole = pieces.next()?;
    for piece in pieces {
        if piece.member != whole.member || whole.start.checked_add(whole.size)? != piece.start {
            return None;
        }
        whole.size = whole.size.checked_add(piece.size)?;
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = r#"vg0 {
id = "VGVGVG-x"
seqno = 7
status = ["RESIZEABLE", "READ", "WRITE"]
extent_size = 8192	# 4 Megabytes
physical_volumes {
pv0 { id = "abc-def" device = "/dev/sda2" pe_start = 2048 pe_count = 100 }
pv1 { id = "ghi" pe_start = 4096 }
}
logical_volumes {
root { id = "r" status = ["READ", "WRITE", "VISIBLE"] segment_count = 2
segment1 { start_extent = 0 extent_count = 5 type = "striped" stripe_count = 1 stripes = [ "pv0", 10 ] }
segment2 { start_extent = 5 extent_count = 3 type = "striped" stripe_count = 1 stripes = [ "pv0", 15 ] }
}
far { status = ["VISIBLE"]
segment1 { start_extent = 0 extent_count = 5 type = "striped" stripe_count = 1 stripes = [ "pv0", 1 ] }
segment2 { start_extent = 5 extent_count = 5 type = "striped" stripe_count = 1 stripes = [ "pv1", 1 ] }
}
thin { status = ["VISIBLE"]
segment1 { start_extent = 0 extent_count = 5 type = "thin" }
}
hidden { status = ["READ"] }
}
}
contents = "Text Format Volume Group"
"#;

    #[test]
    fn a_volume_in_one_piece_is_found() {
        let group = group(&text::parse(TEXT.as_bytes()).unwrap()).unwrap();
        assert_eq!((group.name.as_str(), group.seqno), ("vg0", 7));
        assert_eq!(group.members, ["abcdef", "ghi"]);
        let names: Vec<&str> = group
            .volumes
            .iter()
            .map(|volume| volume.name.as_str())
            .collect();
        assert_eq!(names, ["far", "root", "thin"]);
        let megabyte = 1 << 20;
        let root = Piece {
            member: "abcdef".into(),
            start: megabyte + 10 * 4 * megabyte,
            size: 8 * 4 * megabyte,
        };
        assert_eq!(group.volumes[1].piece, Some(root));
        let layouts: Vec<&str> = group
            .volumes
            .iter()
            .map(|volume| volume.layout.as_str())
            .collect();
        assert_eq!((layouts[0], layouts[2]), ("linear in 2 pieces", "thin"));
        assert!(group.volumes[0].piece.is_none() && group.volumes[2].piece.is_none());
    }

    proptest! {
        #[test]
        fn hostile_metadata_does_no_harm(at in 0..TEXT.len(), byte in any::<u8>()) {
            let mut bytes = TEXT.as_bytes().to_vec();
            bytes[at] = byte;
            if let Some(file) = text::parse(&bytes) {
                group(&file);
            }
        }
    }
}

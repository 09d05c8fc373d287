//! Whether this machine can reach a network: by its default routes, nobody is asked.

use crate::model::RootPath;
use crate::root::{Tree, read};

/// A table of routes is seldom longer.
const MOST: usize = 4 << 20;

/// The interface of a default route, by the /proc in `tree`; `None` without one.
#[must_use]
pub fn default_interface(tree: &dyn Tree) -> Option<String> {
    let table = |path: &str| read(tree, &RootPath::new(path), MOST).unwrap_or_default();
    default_of(&table("/proc/net/route"), &table("/proc/net/ipv6_route"))
}

/// The tables of proc(5). IPv4: interface, destination, gateway, flags (bit 0: up), six more,
/// mask. IPv6: destination, its length, …, the interface last; `lo` has a default of its own
/// that rejects everything.
fn default_of(four: &[u8], six: &[u8]) -> Option<String> {
    let (four, six) = (String::from_utf8_lossy(four), String::from_utf8_lossy(six));
    let by_four = four.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let flags = u32::from_str_radix(fields.get(3)?, 16).ok()?;
        let is_default = fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000");
        (is_default && flags & 1 == 1).then(|| fields[0].to_owned())
    });
    by_four.or_else(|| {
        six.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let nowhere = fields.first()?.bytes().all(|digit| digit == b'0');
            let interface = fields.get(9)?;
            (nowhere && fields.get(1) == Some(&"00") && *interface != "lo")
                .then(|| (*interface).to_owned())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_route_has_no_destination_and_no_mask() {
        let four = b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\neth0\t000010AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\neth1\t00000000\t010010AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
        let zeros = "00000000000000000000000000000000";
        let six = format!(
            "{zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200 lo\n\
             {zeros} 00 {zeros} 00 fe80 00000400 00000001 00000000 00000003 wlan0\n"
        );
        assert_eq!(default_of(four, b"").unwrap(), "eth1");
        assert_eq!(default_of(b"", six.as_bytes()).unwrap(), "wlan0");
        let lo = six.lines().next().unwrap();
        assert_eq!(default_of(b"", lo.as_bytes()), None);
        assert_eq!(default_of(b"x\n\n y", b"\xff\n"), None);
    }
}

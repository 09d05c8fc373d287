//! Every rule of research/elf.md section 5 has a fixture of its name.

const SOURCES: [&str; 4] = [
    include_str!("glibc/objects.rs"),
    include_str!("glibc/order.rs"),
    include_str!("glibc/search.rs"),
    include_str!("musl.rs"),
];

#[test]
fn every_rule_has_a_fixture() {
    let glibc = (1..=12).map(|number| format!("g{number:02}_"));
    let musl = (1..=8).map(|number| format!("m{number:02}_"));
    let uncovered: Vec<String> = glibc.chain(musl).filter(|rule| !has_test(rule)).collect();
    assert!(
        uncovered.is_empty(),
        "rules without a fixture: {uncovered:?}"
    );
}

/// A function of that name, right under `#[test]`.
fn has_test(rule: &str) -> bool {
    SOURCES.iter().any(|source| {
        let lines: Vec<&str> = source.lines().collect();
        lines
            .windows(2)
            .any(|pair| pair[0] == "#[test]" && pair[1].starts_with(&format!("fn {rule}")))
    })
}

//! The colours of the page: every text can be read on what it stands on, light and dark (WCAG 2.2, 1.4.3 and 1.4.11).

use std::collections::BTreeMap;

use regex::Regex;

const CSS: &str = include_str!("../../../src/admin/ui/app.css");

/// Foreground, background, least contrast: 4.5 for text, 3 for the outlines of controls.
const PAIRS: [(&str, &str, f64); 25] = [
    ("text", "back", 4.5),
    ("text", "surface", 4.5),
    ("text", "raised", 4.5),
    ("text", "accent-back", 4.5),
    ("muted", "back", 4.5),
    ("muted", "surface", 4.5),
    ("muted", "raised", 4.5),
    ("accent", "back", 4.5),
    ("accent", "surface", 4.5),
    ("accent", "raised", 4.5),
    ("accent", "accent-back", 4.5),
    ("on-accent", "accent", 4.5),
    ("good", "surface", 4.5),
    ("good", "good-back", 4.5),
    ("warn", "surface", 4.5),
    ("warn", "warn-back", 4.5),
    ("bad", "surface", 4.5),
    ("bad", "raised", 4.5),
    ("bad", "bad-back", 4.5),
    ("back", "text", 4.5),
    ("control", "surface", 3.0),
    ("control", "back", 3.0),
    ("accent", "surface", 3.0),
    ("accent", "back", 3.0),
    ("bad", "surface", 3.0),
];

/// The colours that a block of the style sheet gives names to.
fn colours(block: &str) -> BTreeMap<String, [u8; 3]> {
    let named = Regex::new(r"--([a-z-]+): #([0-9a-f]{6});").unwrap();
    let part = |hex: &str, at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    named
        .captures_iter(block)
        .map(|found| (found[1].to_owned(), [part(&found[2], 0), part(&found[2], 2), part(&found[2], 4)]))
        .collect()
}

fn luminance(colour: [u8; 3]) -> f64 {
    let [r, g, b] = colour.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn every_text_of_the_page_can_be_read_on_its_ground_in_light_and_in_dark() {
    let (light, rest) = CSS.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let dark = rest.split_once("\n}\n").unwrap().0;
    let light = colours(light);
    assert_eq!(colours(dark).len(), light.len(), "each colour has its dark twin");
    for (scheme, colours) in [("light", light), ("dark", colours(dark))] {
        for (front, ground, least) in PAIRS {
            let found = contrast(colours[front], colours[ground]);
            assert!(found >= least, "{scheme}: {front} on {ground} has a contrast of {found:.2}, wanted is {least}");
        }
    }
}

#[test]
fn no_colour_stands_in_a_rule_of_its_own() {
    let rules = CSS.split_once("*, *::before").unwrap().1;
    let loose = Regex::new(r"#[0-9a-fA-F]{3,8}\b[^,{]*;").unwrap();
    assert!(loose.find(rules).is_none(), "{:?}: use a custom property", loose.find(rules));
}

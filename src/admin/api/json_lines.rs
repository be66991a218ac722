//! Where in a JSON text a key stands, for the sentences about it. The text is known to be JSON.

/// The line of a key, `groups.rename.0.pattern`, or of the nearest one around it that is there; `None` where not even its first
/// part is.
pub(super) fn line_of(text: &str, path: &str) -> Option<usize> {
    let parts: Vec<&str> = path.split('.').filter(|part| !part.is_empty()).collect();
    let mut walk = Walk { text: text.as_bytes(), at: 0, parts: &parts, best: None };
    walk.value(0, true);
    walk.best.map(|(_, at)| text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1)
}

struct Walk<'a> {
    text: &'a [u8],
    at: usize,
    parts: &'a [&'a str],
    /// How much of the path was found, and where.
    best: Option<(usize, usize)>,
}

impl Walk<'_> {
    fn skip(&mut self) {
        while self.text.get(self.at).is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b':')) {
            self.at += 1;
        }
    }

    /// Reads over a value; `on_path` where everything above it is on the path, of which `depth` parts are found.
    fn value(&mut self, depth: usize, on_path: bool) {
        self.skip();
        match self.text.get(self.at) {
            Some(b'{') => {
                self.at += 1;
                loop {
                    self.skip();
                    let begin = self.at;
                    match self.text.get(self.at) {
                        Some(b'"') => {}
                        _ => break self.at += 1,
                    }
                    let key = self.string();
                    let meant = self.parts.get(depth).filter(|_| on_path).is_some_and(|part| key == part.as_bytes());
                    self.inner(depth, meant, begin);
                }
            }
            Some(b'[') => {
                self.at += 1;
                let mut index = 0_usize;
                loop {
                    self.skip();
                    let begin = self.at;
                    if matches!(self.text.get(self.at), Some(b']') | None) {
                        break self.at += 1;
                    }
                    let meant =
                        self.parts.get(depth).filter(|_| on_path).is_some_and(|part| **part == index.to_string());
                    self.inner(depth, meant, begin);
                    index += 1;
                }
            }
            Some(b'"') => drop(self.string()),
            _ => {
                while self.text.get(self.at).is_some_and(|byte| !matches!(byte, b',' | b'}' | b']' | b'\n' | b' ')) {
                    self.at += 1;
                }
            }
        }
    }

    fn inner(&mut self, depth: usize, meant: bool, begin: usize) {
        if meant && self.best.is_none_or(|(best, _)| best <= depth) {
            self.best = Some((depth + 1, begin));
        }
        self.value(depth + 1, meant);
    }

    /// The text of a string as it is written, its escapes as they are.
    fn string(&mut self) -> Vec<u8> {
        let begin = self.at + 1;
        self.at = begin;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        let end = self.at.min(self.text.len());
        self.at += 1;
        self.text[begin.min(end)..end].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::line_of;

    #[test]
    fn a_key_is_found_where_it_stands_or_else_what_is_around_it() {
        let text = "{\n \"a\": { \"x\": \"}\\\"\" },\n \"groups\": {\n  \"rename\": [\n   {\"with\": 1},\n   {\n    \"pattern\": \"(\"}\n  ],\n\"n\": -1.5e3 }}";
        for (path, line) in [
            ("a.x", Some(2)),
            ("groups", Some(3)),
            ("groups.rename.1.pattern", Some(7)),
            ("groups.rename.1.else", Some(6)),
            ("groups.rename.9", Some(4)),
            ("groups.n", Some(9)),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(line_of(text, path), line, "{path}");
        }
        // What is no JSON, and no text at all, ends all the same.
        for text in ["", "{", "[", "{\"a\"", "[[[{\"", "\"\\"] {
            let _ = line_of(text, "a.b");
        }
    }
}

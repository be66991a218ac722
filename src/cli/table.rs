//! Tables for people: columns as wide as their widest cell, no lines to draw.

/// The table as text, a line a row, without a line break at the end. Control characters in cells become spaces, so that
/// stored text cannot steer a terminal.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let clean = |cell: &str| cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let head: Vec<String> = head.iter().map(|cell| cell.to_uppercase()).collect();
    let lines: Vec<Vec<String>> =
        std::iter::once(&head).chain(rows).map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let mut widths = vec![0; head.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let printed = lines.iter().map(|line| {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    });
    printed.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["ä".to_owned(), "x".to_owned()], vec!["long one".to_owned(), "a\u{1b}[2J".to_owned()]];
        assert_eq!(table(&["name", "b"], &rows), "NAME      B\nä         x\nlong one  a [2J");
    }
}

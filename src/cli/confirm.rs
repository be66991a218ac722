//! The question before something that cannot be taken back: the tenant's name, typed.

use std::io::{BufRead, IsTerminal, Write};

use super::Failure;

/// Asks for the tenant's name, unless `yes`.
///
/// # Errors
/// Another name, or nobody to ask.
pub(super) fn typed(slug: &str, what: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let mut input = std::io::stdin().lock();
    if !std::io::stdin().is_terminal() {
        return Err(format!("{what} Repeat with --yes: there is nobody here to ask.").into());
    }
    eprint!("{what}\nType the name of the tenant to go on: ");
    std::io::stderr().flush()?;
    let mut typed = String::new();
    input.read_line(&mut typed)?;
    is_it(&typed, slug)
}

fn is_it(typed: &str, slug: &str) -> Result<(), Failure> {
    if typed.trim() == slug { Ok(()) } else { Err("that is not its name; nothing was done".into()) }
}

#[cfg(test)]
mod tests {
    use super::{is_it, typed};

    #[test]
    fn only_the_name_itself_goes_on() {
        assert!(is_it("acme\n", "acme").is_ok());
        for other in ["", "y\n", "Acme\n", "acm\n"] {
            assert!(is_it(other, "acme").is_err(), "{other:?}");
        }
        assert!(typed("acme", "", true).is_ok());
    }
}

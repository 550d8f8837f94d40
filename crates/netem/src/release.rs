//! Which kernel this is, where a capability cannot be found out by trying.

/// Major and minor number of the running kernel; zeroes where it does not tell.
pub(crate) fn running() -> (u32, u32) {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").map_or((0, 0), |text| parse(&text))
}

/// The first two numbers of a version.
pub(crate) fn parse(text: &str) -> (u32, u32) {
    let mut numbers = text.split(|character: char| !character.is_ascii_digit()).map(str::parse);
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    (next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse("6.18.44-generic\n"), (6, 18));
        assert_eq!(parse("5.4"), (5, 4));
        assert_eq!(parse("nonsense"), (0, 0));
        assert!(running() > (2, 6));
    }
}

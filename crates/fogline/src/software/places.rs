//! Where packages of software lie on this machine.

use std::path::{Path, PathBuf};

/// Folders that hold packages, each in a folder of its own name.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// In the order in which they are looked through.
    folders: Vec<PathBuf>,
    /// The one that `fogline fetch` fills; absent when nothing says where it is.
    cache: Option<PathBuf>,
}

impl Places {
    /// `FOGLINE_SOFTWARE` alone when it is set; else the folder beside this program, then the cache: `FOGLINE_CACHE`,
    /// or `fogline` in `XDG_CACHE_HOME`, or `.cache/fogline` in `HOME`.
    pub(crate) fn of_environment() -> Self {
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let program = std::env::current_exe().ok();
        Self::new(variable, program.as_deref().and_then(Path::parent))
    }

    fn new(variable: impl Fn(&str) -> Option<PathBuf>, programs: Option<&Path>) -> Self {
        let cache = variable("FOGLINE_CACHE")
            .or_else(|| variable("XDG_CACHE_HOME").map(|caches| caches.join("fogline")))
            .or_else(|| variable("HOME").map(|home| home.join(".cache/fogline")))
            .map(|cache| crate::load::absolute(&cache).join("software"));
        let folders = match variable("FOGLINE_SOFTWARE") {
            Some(only) => vec![crate::load::absolute(&only)],
            None => programs.map(|own| own.join("software")).into_iter().chain(cache.clone()).collect(),
        };
        Self { folders, cache }
    }

    /// Where the package might lie, in order.
    pub(crate) fn of(&self, name: &str) -> Vec<PathBuf> {
        self.folders.iter().map(|folder| folder.join(name)).collect()
    }

    /// The folder that `fogline fetch` fills.
    pub(crate) fn cache(&self) -> Option<&Path> {
        self.cache.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)]) -> Vec<PathBuf> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value))
        };
        Places::new(variable, Some(Path::new("/programs"))).of("kafka")
    }

    #[test]
    fn packages_lie_beside_the_program_or_in_the_cache() {
        let beside = PathBuf::from("/programs/software/kafka");
        let in_cache = |cache: &str| vec![beside.clone(), PathBuf::from(cache).join("software/kafka")];
        assert_eq!(places(&[]), std::slice::from_ref(&beside));
        assert_eq!(places(&[("HOME", "/h")]), in_cache("/h/.cache/fogline"));
        assert_eq!(places(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), in_cache("/x/fogline"));
        assert_eq!(places(&[("FOGLINE_CACHE", "/c"), ("XDG_CACHE_HOME", "/x")]), in_cache("/c"));
        assert_eq!(
            places(&[("FOGLINE_CACHE", "/c"), ("FOGLINE_SOFTWARE", "/s")]),
            [PathBuf::from("/s/kafka")]
        );
    }
}

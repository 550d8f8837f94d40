//! `stat`: what there is at a path.

use super::{Action, Call, Module, Outcome, Stop};
use crate::args::{ArgError, Args};
use fogline_agent::FileKind;
use serde_json::json;
use std::path::PathBuf;

pub(super) const MODULE: Module = Module { name: "stat", independent: true, parse };

struct Stat(PathBuf);

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    Ok(Box::new(Stat(args.required_text("path")?.into())))
}

impl Action for Stat {
    fn summary(&self) -> String {
        self.0.display().to_string()
    }

    fn run(&self, call: &Call<'_>) -> Result<Outcome, Stop> {
        let stat = match call.client.stat(&self.0)? {
            None => json!({"exists": false}),
            Some(stat) => json!({
                "exists": true,
                "path": self.0,
                "isreg": stat.kind == FileKind::File,
                "isdir": stat.kind == FileKind::Directory,
                "islnk": stat.kind == FileKind::Link,
                "size": stat.bytes,
                "mode": format!("{:04o}", stat.mode),
                "mtime": stat.modified_unix_s,
            }),
        };
        Ok(Outcome::changed(false).field("stat", stat))
    }
}

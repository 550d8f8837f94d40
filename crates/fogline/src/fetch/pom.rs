//! The projects that Maven is given. All words in them are of lock files, which hold nothing that XML would mark.

use crate::software::lock::{Coordinates, Lock, Pinned};
use std::fmt::Write;

/// The release of Maven's dependency plugin; it works with Maven 3.6.3 and newer.
const PLUGIN: &str = "3.8.1";

/// Copies files, and nothing that they depend on, into `folder` below the project's own: one execution each, so that
/// the folder shows how far Maven has come.
pub(crate) fn copies(files: &[&Pinned], folder: &str) -> String {
    let mut executions = String::new();
    for (number, file) in files.iter().enumerate() {
        let item = coordinates(&file.coordinates);
        // Writing to a string does not fail.
        let _ = writeln!(
            executions,
            "<execution><id>{number}</id><phase>validate</phase><goals><goal>copy</goal></goals><configuration>\
             <outputDirectory>{folder}</outputDirectory><artifactItems><artifactItem>{item}</artifactItem>\
             </artifactItems></configuration></execution>"
        );
    }
    project("", &executions)
}

/// Copies all that the roots of a package depend on at run time, laid out as in a repository, into `folder`.
pub(crate) fn resolution(lock: &Lock, folder: &str) -> String {
    let mut exclusions = String::new();
    for (group, artifact) in &lock.excludes {
        let _ = write!(
            exclusions,
            "<exclusion><groupId>{group}</groupId><artifactId>{artifact}</artifactId></exclusion>"
        );
    }
    let mut dependencies = String::new();
    for root in &lock.roots {
        let root = coordinates(root);
        let _ =
            writeln!(dependencies, "<dependency>{root}<exclusions>{exclusions}</exclusions></dependency>");
    }
    let execution = format!(
        "<execution><id>all</id><phase>validate</phase><goals><goal>copy-dependencies</goal></goals><configuration>\
         <outputDirectory>{folder}</outputDirectory><includeScope>runtime</includeScope>\
         <useRepositoryLayout>true</useRepositoryLayout></configuration></execution>"
    );
    project(&dependencies, &execution)
}

fn project(dependencies: &str, executions: &str) -> String {
    format!(
        "<project>\n<modelVersion>4.0.0</modelVersion>\n\
         <groupId>fogline</groupId><artifactId>fetch</artifactId><version>1</version><packaging>pom</packaging>\n\
         <dependencies>\n{dependencies}</dependencies>\n\
         <build><plugins><plugin><groupId>org.apache.maven.plugins</groupId>\
         <artifactId>maven-dependency-plugin</artifactId><version>{PLUGIN}</version><executions>\n{executions}\
         </executions></plugin></plugins></build>\n</project>\n"
    )
}

fn coordinates(of: &Coordinates) -> String {
    let Coordinates { group, artifact, version, extension, classifier } = of;
    let classifier =
        classifier.as_ref().map_or_else(String::new, |name| format!("<classifier>{name}</classifier>"));
    format!(
        "<groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>\
         <type>{extension}</type>{classifier}"
    )
}

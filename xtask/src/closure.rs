//! Real Nix closures, out of Debian packages: real files, real names, no nixpkgs.
//!
//! The packages of a list, and all that they depend on, become derivations:
//! one per package, which unpacks it and holds references to what it depends
//! on. Dependencies that would close a cycle are cut: Nix has none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use xshell::cmd;

use crate::debian;
use crate::workspace::Workspace;

/// The derivations, over `packages.json` beside them.
const PACKAGES_NIX: &str = include_str!("../../tests/closures/packages.nix");

/// How many packages are downloaded by one call of apt-get.
const DOWNLOADS_AT_ONCE: usize = 40;

/// One derivation: a row of `packages.json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    store_name: String,
    file: String,
    dependencies: Vec<String>,
}

/// Makes `directory/default.nix`, whose attribute `closure` refers to the
/// packages of `list` (one a line) and to all that they depend on.
///
/// What has been made of the same list stays as it is.
pub(crate) fn make(workspace: &Workspace, list: &Path, directory: &Path) -> Result<()> {
    let shell = &workspace.shell;
    let list = shell.read_file(list)?;
    let is_made = shell
        .read_file(directory.join("list.txt"))
        .is_ok_and(|made| made == list);
    if !is_made {
        if debian::can_install(workspace).is_ok() {
            debian::update(shell)?;
        }
        let names: Vec<&str> = list.split_whitespace().collect();
        let packages = without_cycles(&dependencies(workspace, &names)?);
        let debs = directory.join("debs");
        download(workspace, &packages, &debs)?;
        let rows = rows(packages, &files(&debs)?)?;
        shell.write_file(
            directory.join("packages.json"),
            serde_json::to_string_pretty(&rows)?,
        )?;
        let busybox = workspace
            .find_program("busybox")
            .context("busybox is not in PATH")?;
        shell.create_dir(directory.join("bin"))?;
        shell.copy_file(busybox, directory.join("bin/busybox"))?;
        shell.write_file(directory.join("list.txt"), list)?;
    }
    shell.write_file(directory.join("default.nix"), PACKAGES_NIX)?;
    Ok(())
}

/// Each package of `names` and below them, with what it depends on.
fn dependencies(
    workspace: &Workspace,
    names: &[&str],
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let only_depends = [
        "recommends",
        "suggests",
        "conflicts",
        "breaks",
        "replaces",
        "enhances",
    ]
    .map(|relation| format!("--no-{relation}"));
    let answer = cmd!(
        workspace.shell,
        "apt-cache depends --recurse {only_depends...} {names...}"
    )
    .env("LC_ALL", "C")
    .quiet()
    .read()?;
    Ok(parse_dependencies(&answer))
}

/// Reads the answer of `apt-cache depends`: a line that begins with a letter
/// or a digit names a package, the indented ones below it what it depends on.
fn parse_dependencies(answer: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut current = None;
    for line in answer.lines() {
        if line.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            current = Some(graph.entry(line.trim().to_owned()).or_default());
        } else if let (Some((relation, name)), Some(dependencies)) = (line.split_once(": "), &mut current)
            // A name in angle brackets is virtual.
            && relation.ends_with("Depends")
            && !name.starts_with('<')
        {
            dependencies.insert(name.to_owned());
        }
    }
    graph
}

/// The packages in an order in which each follows what it keeps as a dependency.
fn without_cycles(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<(String, Vec<String>)> {
    let mut visit = Visit {
        graph,
        path: BTreeSet::new(),
        visited: BTreeSet::new(),
        order: Vec::new(),
    };
    for name in graph.keys() {
        visit.package(name);
    }
    visit.order
}

/// A walk through the packages, depth first.
struct Visit<'graph> {
    graph: &'graph BTreeMap<String, BTreeSet<String>>,
    /// The packages that we are below: to depend on one would close a cycle.
    path: BTreeSet<&'graph str>,
    visited: BTreeSet<&'graph str>,
    order: Vec<(String, Vec<String>)>,
}

impl<'graph> Visit<'graph> {
    fn package(&mut self, name: &'graph str) {
        if !self.visited.insert(name) {
            return;
        }
        self.path.insert(name);
        let mut kept = Vec::new();
        for dependency in &self.graph[name] {
            if self.graph.contains_key(dependency) && !self.path.contains(dependency.as_str()) {
                self.package(dependency);
                kept.push(dependency.clone());
            }
        }
        self.path.remove(name);
        self.order.push((name.to_owned(), kept));
    }
}

/// Downloads those of `packages` that are not in `debs`.
fn download(workspace: &Workspace, packages: &[(String, Vec<String>)], debs: &Path) -> Result<()> {
    let shell = &workspace.shell;
    shell.create_dir(debs)?;
    let present = files(debs)?;
    let wanted: Vec<&String> = packages
        .iter()
        .map(|(name, _)| name)
        .filter(|name| !present.contains_key(*name))
        .collect();
    let _directory = shell.push_dir(debs);
    for names in wanted.chunks(DOWNLOADS_AT_ONCE) {
        // As root, apt warns that its own user may not write here; no matter.
        cmd!(
            shell,
            "apt-get -qq -o APT::Sandbox::User=root download {names...}"
        )
        .run()?;
    }
    Ok(())
}

/// The files of a directory of packages, by the package's name.
fn files(debs: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in debs
        .read_dir()
        .with_context(|| format!("reading {}", debs.display()))?
    {
        if let Ok(file) = entry?.file_name().into_string()
            && let Some((name, _version)) = file.split_once('_')
        {
            files.insert(name.to_owned(), file);
        }
    }
    Ok(files)
}

fn rows(
    packages: Vec<(String, Vec<String>)>,
    files: &BTreeMap<String, String>,
) -> Result<Vec<Row>> {
    let row = |(name, dependencies): (String, Vec<String>)| {
        let file = files
            .get(&name)
            .with_context(|| format!("apt-get gave no file for {name}"))?
            .clone();
        Ok(Row {
            store_name: store_name(&file),
            name,
            file,
            dependencies,
        })
    };
    packages.into_iter().map(row).collect()
}

/// The file's name without its ending, in the letters of a store path.
fn store_name(file: &str) -> String {
    let stem = file
        .strip_suffix(".deb")
        .unwrap_or(file)
        .replace("%3a", "-");
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || "+._?=-".contains(letter);
    stem.chars()
        .map(|letter| if is_allowed(letter) { letter } else { '-' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "\
base
  PreDepends: <awk>
    gawk
 |Depends: libc6
  Depends: outside
libc6
  Depends: libgcc
libgcc
  Depends: libc6
";

    #[test]
    fn a_virtual_dependency_is_none() {
        let graph = parse_dependencies(ANSWER);
        assert_eq!(
            graph["base"],
            BTreeSet::from(["libc6".to_owned(), "outside".to_owned()])
        );
    }

    #[test]
    fn a_cycle_is_cut_and_each_package_follows_what_it_keeps() {
        let order = without_cycles(&parse_dependencies(ANSWER));
        let order: Vec<(&str, Vec<&str>)> = order
            .iter()
            .map(|(name, kept)| (name.as_str(), kept.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(
            order,
            [
                ("libgcc", vec![]),
                ("libc6", vec!["libgcc"]),
                ("base", vec!["libc6"])
            ]
        );
    }

    #[test]
    fn a_store_name_has_no_tilde_and_no_epoch_colon() {
        assert_eq!(store_name("a_1%3a2~rc1_amd64.deb"), "a_1-2-rc1_amd64");
    }
}

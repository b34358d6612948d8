//! `report.html`: one file, with the figures in it as JSON.
//!
//! `page.html` is the page without them. What it shows is bounded, so that a browser opens the
//! report of a million files as that of a hundred: it lists the largest files alone, and of the
//! others the sum of each path.

use serde_json::{Value, json};

use super::{PageFile, Report};

/// The page, with [`MARK`] where the figures go.
const TEMPLATE: &str = include_str!("page.html");
const MARK: &str = "@figures@";

/// Store paths that the page lists; there is a sum of the others.
const MAX_PATHS: usize = 10_000;

impl PageFile {
    /// Files that the page lists.
    pub(super) const MAX: usize = 20_000;
    /// Bytes of their names.
    pub(super) const MAX_NAME_BYTES: usize = 1_500_000;
}

/// The page of `report`.
pub(super) fn html(report: &Report) -> Vec<u8> {
    // Within a string of JSON, and nowhere else, there may be what ends a script.
    let figures = figures(report).to_string().replace('<', "\\u003c");
    let (before, after) = TEMPLATE
        .split_once(MARK)
        .expect("the template has a place for the figures");
    [before, &figures, after].concat().into_bytes()
}

/// What `page.html` reads. Rows are lists, for there are many.
fn figures(report: &Report) -> Value {
    let listed = report.paths.len().min(MAX_PATHS);
    let paths: Vec<_> = report.paths[..listed]
        .iter()
        .map(|path| {
            json!([
                path.path,
                path.bytes.bytes,
                path.bytes.content,
                path.files,
                path.alone,
                path.references,
                path.referrers,
                path.via.map(|via| if via < listed {
                    json!(via)
                } else {
                    json!(report.paths[via].path)
                }),
            ])
        })
        .collect();
    let others: Vec<_> = report
        .others
        .iter()
        .map(|other| {
            json!([
                other.path,
                other.bytes.bytes,
                other.bytes.content,
                other.files
            ])
        })
        .collect();
    // Those of paths that are not listed are in the sum; then come the others.
    let files: Vec<_> = report
        .files
        .iter()
        .filter_map(|file| {
            let owner = if file.owner < listed {
                file.owner
            } else {
                listed + file.owner.checked_sub(report.paths.len())?
            };
            Some(json!([owner, file.name, file.bytes]))
        })
        .collect();
    json!({
        "version": report.version,
        "image": report.image,
        "totals": report.totals,
        "parts": report.parts,
        "paths": paths,
        "pathsBeyond": report.paths[listed..].iter().map(|path| path.bytes.bytes).sum::<u64>(),
        "others": others,
        "files": files,
        "duplicates": report.duplicates,
    })
}

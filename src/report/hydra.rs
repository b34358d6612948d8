//! What Hydra reads of an output, in `nix-support`.
//!
//! Source: Hydra, `src/hydra-queue-runner/build-result.cc`: a line of a product is
//! `TYPE SUBTYPE PATH`, a line of a metric `NAME VALUE [UNIT]`.

use super::Report;

/// `nix-support/hydra-build-products` of a report in the directory `report`. As soon as one
/// output has such a file, Hydra shows no other products than those named; so the image is
/// named too, if `image` is given.
#[must_use]
pub fn products(report: &str, image: Option<&str>) -> Vec<u8> {
    let mut lines = vec![
        format!("report summary {report}/report.html"),
        format!("file json {report}/report.json"),
    ];
    lines.extend(image.map(|image| format!("file image {image}")));
    text(&lines)
}

/// `nix-support/hydra-metrics`.
pub(super) fn metrics(report: &Report) -> Vec<u8> {
    let totals = &report.totals;
    let mut lines = vec![
        format!("imageSize {} bytes", report.image.bytes),
        format!("closureSize {} bytes", totals.nar_bytes),
        format!("storePaths {}", totals.store_paths),
    ];
    lines.extend(totals.inodes.map(|inodes| format!("inodes {inodes}")));
    text(&lines)
}

fn text(lines: &[String]) -> Vec<u8> {
    let mut text = lines.join("\n");
    text.push('\n');
    text.into_bytes()
}

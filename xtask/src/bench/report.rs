//! `docs/performance.md`: the parts of it that are measured.

use std::fs;

use anyhow::{Context as _, Result};

use super::series::Drawn;
use crate::workspace::Workspace;

/// What a run gives the page.
#[derive(Default)]
pub(super) struct Report {
    /// When, where and of what.
    pub(super) circumstances: String,
    /// What we claim, and what was found.
    pub(super) measures: String,
    /// Who took how long on which row, line by line.
    pub(super) table: Vec<String>,
    /// What settings save.
    pub(super) sizes: String,
    pub(super) plots: Vec<Drawn>,
}

const PAGE: &str = "docs/performance.md";
const PLOTS: &str = "docs/performance";

impl Report {
    /// Writes the page and its plots.
    pub(super) fn write(&self, workspace: &Workspace) -> Result<()> {
        let path = workspace.root.join(PAGE);
        let mut page = fs::read_to_string(&path).with_context(|| format!("reading {PAGE}"))?;
        for (name, text) in [
            (
                "measures",
                &format!("{}\n\n{}", self.circumstances, self.measures),
            ),
            ("table", &self.table.join("\n")),
            ("sizes", &self.sizes),
        ] {
            page = replace_block(&page, name, text)?;
        }
        let plots = workspace.root.join(PLOTS);
        fs::create_dir_all(&plots)?;
        for Drawn { file, plot } in &self.plots {
            fs::write(plots.join(file), plot.svg())?;
        }
        fs::write(&path, page).with_context(|| format!("writing {PAGE}"))
    }
}

/// `page` with other text between the comments that begin and end the block `name`.
fn replace_block(page: &str, name: &str, text: &str) -> Result<String> {
    let begin = format!("<!-- cargo xtask bench --report: {name} -->\n");
    let end = format!("<!-- end of {name} -->");
    let (before, rest) = page
        .split_once(&begin)
        .with_context(|| format!("{PAGE} has no line {begin:?}"))?;
    let (_, after) = rest
        .split_once(&end)
        .with_context(|| format!("{PAGE} has no line {end:?}"))?;
    Ok(format!("{before}{begin}\n{text}\n\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_comments_is_replaced() {
        let page = "# a\n<!-- cargo xtask bench --report: x -->\nold\n<!-- end of x -->\nz\n";
        let new = replace_block(page, "x", "new").unwrap();
        assert_eq!(
            new,
            "# a\n<!-- cargo xtask bench --report: x -->\n\nnew\n\n<!-- end of x -->\nz\n"
        );
        assert_eq!(replace_block(&new, "x", "new").unwrap(), new);
        assert!(replace_block(page, "y", "new").is_err());
    }
}

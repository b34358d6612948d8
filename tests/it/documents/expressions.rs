//! The expressions in the documents, built.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::markdown::{Block, Document};
use super::sessions::Desk;
use crate::support::built::path;
use crate::support::command::run;
use crate::support::env;
use crate::support::nix::Nix;
use crate::support::offered::Offered;
use crate::support::temporary;

/// Blocks that are flakes: document, how the block begins, and the package that is built.
pub(super) const FLAKES: &[(&str, &str, &str)] = &[
    ("README.md", "{\n  inputs.nixpkgs", "default"),
    ("docs/make-ext4-fs.md", "{\n  inputs.nix2image", "image"),
];

/// Blocks that are expressions, or parts of one: document, how the block begins, and what is built
/// of it, in which it stands for `@`. The names in it are those of `tests/nix/documents.nix`.
pub(super) const EXPRESSIONS: &[(&str, &str, &str)] = &[
    ("docs/attributes.md", "disk = {", "diskOf { @ }"),
    ("docs/image-format.md", "makeExt4Fs {", "with nix2image; @"),
    (
        "docs/make-amazon-image.md",
        "nix2image.makeAmazonImage",
        "@",
    ),
    ("docs/make-disk-image.md", "nix2image.makeDiskImage", "@"),
    ("docs/make-ext4-fs.md", "nix2image = import", USED),
    ("docs/make-ext4-fs.md", "nix2image = inputs", USED),
    ("docs/make-ext4-fs.md", "nix2image = pkgs", USED),
    (
        "docs/make-ext4-fs.md",
        "nix2image.makeExt4Fs {\n  storePaths = [ toplevel ];",
        "@",
    ),
    (
        "docs/make-ext4-fs.md",
        "nix2image.makeExt4Fs {\n  storePaths = [ ];",
        "@",
    ),
    ("docs/make-ext4-fs.md", "pkgs.callPackage", "@"),
    (
        "docs/make-root-fs.md",
        "nix2image.makeRootFs {\n  system = config",
        "@",
    ),
    (
        "docs/make-root-fs.md",
        "nix2image.makeRootFs {\n  system = \"/nix",
        "@",
    ),
    ("docs/make-root-tar.md", "nix2image.makeRootTar", "@"),
    (
        "docs/make-sd-image.md",
        "nix2image.makeSdImage {\n  inherit pkgs;",
        "@",
    ),
    (
        "docs/make-sd-image.md",
        "nix2image.makeSdImage {\n  inherit system;",
        "@",
    ),
    (
        "docs/migration.md",
        "-pkgs.callPackage \"${modulesPath}/../lib/make-ext4",
        "@",
    ),
    (
        "docs/migration.md",
        " {\n+  sdImage.rootFilesystemCreator",
        "pkgs.callPackage (nixosOf [ sdImage @ ]).config.sdImage.rootFilesystemCreator {
           storePaths = [ toplevel ];
           volumeLabel = \"created\";
         }",
    ),
    (
        "docs/migration.md",
        " {\n   imports = [\n     \"${modulesPath}/installer",
        "(nixosOf [ ({ modulesPath, ... }: @) ]).config.system.build.sdImage",
    ),
    ("docs/migration.md", "-import", "@"),
    (
        "docs/migration.md",
        " {\n   imports = [\n     \"${modulesPath}/virtualisation",
        "(nixosOf [ ({ modulesPath, ... }: @) ]).config.system.build.image",
    ),
    (
        "docs/migration.md",
        " {\n   imports = [\n     \"${modulesPath}/../maintainers",
        "(nixosOf [ ({ modulesPath, ... }: @) ]).config.system.build.amazonImage",
    ),
    (
        "docs/migration.md",
        "-pkgs.callPackage \"${modulesPath}/../lib/make-system",
        "@",
    ),
    (
        "docs/modules.md",
        "# In a flake.",
        "(nixosOf { @ }.modules).config.system.build.nixos-install",
    ),
    (
        "docs/modules.md",
        "# Elsewhere.",
        "(nixosOf [ { @ } ]).config.system.build.nixos-install",
    ),
    (
        "docs/modules.md",
        "imports = [\n  \"${modulesPath}/virtualisation",
        "(nixosOf [ ({ modulesPath, ... }: { @ }) ]).config.system.build.image",
    ),
    (
        "docs/modules.md",
        "imports = [\n  \"${modulesPath}/../maintainers",
        "(nixosOf [ ({ modulesPath, ... }: { @ }) ]).config.system.build.amazonImage",
    ),
    (
        "docs/modules.md",
        "imports = [\n  \"${modulesPath}/installer",
        "(nixosOf [ ({ modulesPath, ... }: { @ }) ]).config.system.build.sdImage",
    ),
    ("docs/report.md", "nix2image.makeExt4Fs", "@"),
    (
        "docs/sd-card.md",
        "nix2image.sdImage.raw",
        "(nixosOf [ sdImage inputs.nix2image.nixosModules.sd-image { @ } ]).config.system.build.sdImage",
    ),
];

/// A way to have the functions: one of them is called.
const USED: &str = "let @ in nix2image.makeExt4Fs {
    storePaths = [ toplevel ];
    volumeLabel = \"used\";
}";

/// What a block is when its changes are made.
fn changed(block: &Block) -> String {
    if block.language != "diff" {
        return block.text.clone();
    }
    let lines = block.text.lines();
    let kept = lines.filter_map(|line| line.strip_prefix('+').or_else(|| line.strip_prefix(' ')));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// The one block of a document that begins so.
#[track_caller]
fn block(name: &str, start: &str) -> String {
    let document = Document::read(name);
    let block = document
        .blocks
        .iter()
        .find(|block| block.text.starts_with(start));
    changed(block.unwrap_or_else(|| panic!("{name} has no block {start:?}")))
}

/// What the expressions find beside them: this repository, our program, and a closure in other
/// forms; and the names, as `scope.nix`.
#[track_caller]
fn lay_out(directory: &Path, offered: &Offered) -> String {
    let repository = offered.repository();
    symlink(repository.join("nix"), directory.join("nix")).unwrap();
    fs::copy(env::builder(), directory.join("nix2image")).unwrap();
    fs::create_dir_all(directory.join("path/of")).unwrap();
    symlink(&repository, directory.join("path/of/nix2image")).unwrap();
    fs::write(directory.join("config.txt"), "arm_64bit=1\n").unwrap();
    let scope = format!(
        "import {} {{ nixpkgs = {}; }}\n",
        path(&repository.join("tests/nix/documents.nix")),
        path(&offered.nixpkgs()),
    );
    fs::write(directory.join("scope.nix"), scope).unwrap();

    let scope = directory.join("scope.nix");
    let scope = scope.to_str().unwrap();
    let toplevel = Nix::Machine.build(&[scope, "--attr", "toplevel"]);
    let cache = format!("file://{}", directory.join("cache").display());
    run(Nix::Machine
        .command("nix")
        .args(["copy", "--to", &cache, &toplevel]));
    let hello = Nix::Machine.build(&[scope, "--attr", "pkgs.hello"]);
    let export = r#"nix-store --export $(nix-store --query --requisites "$1") >"$2""#;
    let mut sh = Nix::Machine.command("sh");
    sh.args(["-euc", export, "sh", &hello]);
    run(sh.arg(directory.join("tools.closure")));
    toplevel
}

#[test]
fn the_expressions_give_what_they_say() {
    let directory = temporary::directory();
    let offered = Offered::new();
    let toplevel = lay_out(directory.path(), &offered);
    let mut nix_build = Nix::Machine.command("nix-build");
    nix_build.arg("--no-out-link");
    for (index, (name, start, within)) in EXPRESSIONS.iter().enumerate() {
        let text = block(name, start)
            .replace("/nix/store/…-nixos-system-host-24.11", &toplevel)
            .replace("/nix/store/…-nixos-system", &toplevel);
        let expression = format!(
            "# {name}\nwith import ./scope.nix;\n{}\n",
            within.replace('@', &text)
        );
        let file = directory.path().join(format!("expression-{index}.nix"));
        fs::write(&file, expression).unwrap();
        nix_build.arg(file);
    }
    let built = run(&mut nix_build);
    assert_eq!(built.lines().count(), EXPRESSIONS.len(), "{built}");
}

#[test]
fn the_flakes_give_images() {
    for (name, start, attribute) in FLAKES {
        let desk = Desk::new();
        let flake = block(name, start).replace("\"…\"", "\"nix2image\"");
        desk.file("flake.nix", &flake);
        let mut build = desk.command("nix");
        run(build.args(["build", &format!(".#{attribute}")]));
        let mut inspect = desk.command("nix2image");
        let shown = run(inspect.args(["inspect", "result"]));
        assert!(shown.contains("label \"HELLO\""), "{shown}");
    }
}

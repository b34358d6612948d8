//! Roots of a NixOS, and closures in other forms than graphs, built by Nix in its sandbox.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::built::{Built, build, digest, expression, make_ext4_fs, path};
use crate::support::command::{run, run_to_failure};
use crate::support::env;
use crate::support::forms::Forms;
use crate::support::mount::Mounted;
use crate::support::nix::{Nix, PathInfo};
use crate::support::temporary;

/// The Nix expression `body`, in which stand, beside what [`expression`] has, a `system` of the
/// small closure, a `channel`, and a `shell` that neither refers to.
#[track_caller]
fn with_system(body: &str) -> String {
    let busybox = path(&env::small_closure().join("bin"));
    expression(&format!(
        r#"let
          shell = "${{builtins.path {{ name = "busybox-of-root"; path = {busybox}; }}}}/busybox";
          made = name: script: derivation {{
            inherit name small;
            system = builtins.currentSystem;
            builder = shell;
            busybox = shell;
            args = [ "sh" "-euc" script ];
          }};
          system = made "nixos-system" "$busybox mkdir $out; echo $small >$out/small";
          channel = made "nixos-channel" "$busybox mkdir $out; echo test >$out/.version-suffix";
        in
        {body}"#
    ))
}

const ROOT: &str = "inherit system channel shell; verify = true;";

/// What `nix` builds of `with_system(body)`.
#[track_caller]
fn built(nix: Nix, body: &str) -> String {
    nix.build(&["--expr", &with_system(body)])
}

/// Where a symlink of the mounted image leads to.
#[track_caller]
fn link(root: &Path, name: &str) -> PathBuf {
    root.join(name).read_link().unwrap()
}

#[test]
fn a_root_has_its_system_channel_shell_and_registration() {
    let image = build(
        Nix::Machine,
        &with_system(&format!(
            "nix2image.makeRootFs {{ {ROOT} selfCheck = true; }}"
        )),
    );
    let [system, channel] = ["system", "channel"].map(|name| built(Nix::Machine, name));
    let shell = Nix::Machine.evaluate(&with_system("shell"));
    let shell = Path::new(shell.as_str().unwrap());
    let package = shell.parent().unwrap().to_str().unwrap();

    let mounted = Mounted::read_only(&image);
    let root = mounted.root();
    let profiles = root.join("nix/var/nix/profiles");
    assert_eq!(link(&profiles, "system-1-link"), Path::new(&system));
    assert_eq!(
        link(&profiles, "per-user/root/channels-1-link"),
        Path::new(&channel)
    );
    assert_eq!(link(root, "bin/sh"), shell);
    assert!(root.join("etc/NIXOS").is_file());

    let closure = Nix::Machine.closure(&[&system, &channel, package]);
    let registration = fs::read_to_string(root.join("nix-path-registration")).unwrap();
    assert_eq!(PathInfo::parse(&registration), closure);
}

/// The requisites of the store path `top`, as `nix` finds them in the mounted image's own
/// database.
#[track_caller]
fn requisites_in(image: &Built, nix: Nix, top: &str) -> BTreeSet<String> {
    let script = r#"
        image=$0 top=$1; shift
        mkdir root
        mount -t ext4 -o loop "$image" root
        "$@" --store "$PWD/root" --query --requisites "$top"
        umount root"#;
    let directory = temporary::directory();
    let nix_store = nix.command("nix-store");
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-euc", script])
        .arg(&**image)
        .arg(top)
        .arg(nix_store.get_program())
        .args(nix_store.get_args())
        .current_dir(directory.path());
    run(&mut command).lines().map(str::to_owned).collect()
}

#[test]
fn every_release_of_nix_makes_the_same_root_and_finds_its_closure_there() {
    let body = format!("nix2image.makeRootFs {{ {ROOT} }}");
    let mut digests = BTreeSet::new();
    for nix in Nix::all() {
        let image = build(nix, &with_system(&body));
        digests.insert(digest(&image));
        let system = built(nix, "system");
        let expected = nix.query(&["--requisites", &system]).into_iter().collect();
        assert_eq!(requisites_in(&image, nix, &system), expected, "{nix:?}");
    }
    assert_eq!(digests.len(), 1);
}

#[test]
fn a_bare_system_that_nothing_holds_is_refused_with_the_remedy() {
    let body = "nix2image.makeRootFs {
      system = builtins.unsafeDiscardStringContext system.outPath;
    }";
    let system = built(Nix::Machine, "system");
    let mut command = Nix::Machine.command("nix-build");
    let error = run_to_failure(command.args(["--no-out-link", "--expr", &with_system(body)]));
    let expected = format!("the system {system} (root.system, --system) is not in the closure");
    assert!(error.contains(&expected), "{error}");
}

/// A file or directory of the host as a path of the store of `nix`.
#[track_caller]
fn added(nix: Nix, file: &Path) -> String {
    let mut command = nix.command("nix-store");
    run(command.arg("--add").arg(file)).trim_end().to_owned()
}

/// A closure that comes in a file is in the sandbox in no other way: nothing there refers to it.
#[test]
fn every_release_of_nix_makes_the_same_image_of_every_form() {
    let top = Nix::Machine.build(&["--expr", &expression("hostile")]);
    let forms = Forms::of(&top);
    let of_graph = r#"storePaths = [ ]; volumeLabel = "forms"; root.system = hostile;"#;
    let expected = digest(&build(Nix::Machine, &make_ext4_fs(of_graph)));
    let text_graph = r#"textGraphs = [
      (derivation {
        name = "graph";
        system = builtins.currentSystem;
        inherit (hostile) builder;
        exportReferencesGraph = [ "graph" hostile ];
        args = [ "sh" "-euc" "$builder cat graph >$out" ];
      })
    ];"#;
    for nix in Nix::all() {
        let cache = |compression| {
            let cache = added(nix, &forms.cache(compression));
            format!(r#"binaryCaches = [ {{ cache = "{cache}"; paths = [ "{top}" ]; }} ];"#)
        };
        for form in [
            format!(r#"exports = [ "{}" ];"#, added(nix, &forms.export())),
            format!("exports = [ {} ];", path(&forms.compressed_export())),
            cache("none"),
            cache("xz"),
            text_graph.to_owned(),
        ] {
            let image = build(
                nix,
                &make_ext4_fs(&format!(
                    r#"storePaths = [ ]; volumeLabel = "forms"; root.system = "{top}"; {form}"#
                )),
            );
            assert_eq!(digest(&image), expected, "{nix:?}: {form}");
        }
    }
}

/// The module's programs are links to the package's binary, which sees the name of the link.
#[test]
fn the_programs_of_the_module_lead_to_the_binary() {
    let nixpkgs = env::checkout().join("tests/nix/nixpkgs");
    let tools = expression(&format!(
        r#"let
          pkgs = import {nixpkgs} {{ busybox = toString {busybox}; }};
          package = pkgs.runCommand "nix2image" {{ }} ''
            mkdir -p $out/bin
            cp ${{(nix2image.makeExt4Fs {{ storePaths = [ ]; volumeLabel = ""; }}).builder}} $out/bin/nix2image
          '';
          module = import nix2image.modules.tools {{
            inherit pkgs;
            inherit (pkgs) lib;
            config.nix2image = {{ inherit package; replaceInstaller = true; }};
          }};
          build = (builtins.head module.config.contents).system.build;
        in
        [ build.nix2image build.nixos-prepare-root ]"#,
        nixpkgs = path(&nixpkgs),
        busybox = path(&env::small_closure().join("bin/busybox")),
    ));
    let built = Nix::Machine.build(&["--expr", &tools]);
    let [package, prepare_root] = built.lines().collect::<Vec<_>>()[..] else {
        panic!("{built}")
    };
    let program = link(Path::new(prepare_root), "bin/nixos-prepare-root");
    assert_eq!(program, Path::new(package).join("bin/nix2image"));
}

/// GNU tar's list of an archive: mode, owner, time, name and target of each entry.
#[track_caller]
fn listed(archive: &Path) -> BTreeSet<String> {
    let mut tar = Command::new("tar");
    tar.args([
        "-tv",
        "--numeric-owner",
        "--full-time",
        "--quoting-style=literal",
    ])
    .env("TZ", "UTC")
    .arg("-f")
    .arg(archive);
    let list = run(&mut tar);
    list.lines()
        .map(|line| {
            let (mode, rest) = line.split_once(' ').unwrap();
            let (owner, rest) = rest.split_once(' ').unwrap();
            let (_size, rest) = rest.trim_start().split_once(' ').unwrap();
            let (time, name) = rest.split_at("1970-01-01 00:00:01".len());
            let name = name.trim_start().trim_start_matches("./");
            let name = name.trim_end_matches('/');
            format!("{mode} {owner} {time} {name}")
        })
        .collect()
}

/// The same of the files below `root`.
#[track_caller]
fn found(root: &Path) -> BTreeSet<String> {
    let mut find = Command::new("find");
    find.arg(root)
        .args(["-path", "*/lost+found", "-o", "-type", "l"])
        .args([
            "-printf",
            r"%M %U/%G %TY-%Tm-%Td %TH:%TM:%.2TS %P -> %l\n",
            "-o",
        ])
        .args(["-printf", r"%M %U/%G %TY-%Tm-%Td %TH:%TM:%.2TS %P\n"])
        .env("TZ", "UTC");
    run(&mut find).lines().map(str::to_owned).collect()
}

#[test]
fn a_tar_archive_has_the_tree_of_the_root() {
    let tar = |arguments: &str| {
        let body = format!("nix2image.makeRootTar {{ {ROOT} {arguments} }}");
        PathBuf::from(built(Nix::Machine, &body))
    };
    let archive = tar("");
    let body = format!("nix2image.makeRootFs {{ {ROOT} }}");
    let image = build(Nix::Machine, &with_system(&body));
    let mounted = Mounted::read_only(&image);
    let listed_archive = listed(&archive);
    assert_eq!(listed_archive, found(mounted.root()));

    let compressed = tar("compressImage = true;");
    assert!(
        compressed
            .to_str()
            .unwrap()
            .ends_with("-nixos-root.tar.zst")
    );
    assert_eq!(listed(&compressed), listed_archive);
}

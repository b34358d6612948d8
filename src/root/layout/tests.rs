use std::collections::BTreeSet;

use super::*;

const MTIME: Timestamp = Timestamp::from_seconds(1);
const STORE_PATH: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a";

fn directory(mode: u16) -> Node {
    Node::directory(Metadata::of_root(mode, MTIME))
}

fn file(content: &str) -> Node {
    Node::file(
        Metadata::of_root(0o444, MTIME),
        Source::bytes(content.as_bytes()),
    )
}

fn symlink() -> Node {
    Node::symlink(Metadata::of_root(0o777, MTIME), *b"target")
}

/// A directory (0555) of `entries`.
fn directory_of(entries: impl IntoIterator<Item = (&'static str, Node)>) -> Tree {
    let mut tree = Tree::new(directory(0o555));
    for (entry, node) in entries {
        tree.insert(Tree::ROOT, name(entry), node).unwrap();
    }
    tree
}

fn placed(source: &str, target: &str, tree: Tree) -> Placed {
    Placed {
        source: Path::new(source).into(),
        target: target.split_terminator('/').skip(1).map(name).collect(),
        tree,
        implied: BTreeSet::new(),
    }
}

fn image(contents: Vec<Placed>) -> Result<Tree, RootError> {
    let path = StorePath::from_base_name(STORE_PATH).unwrap();
    let store_tree = directory_of([("bin", directory(0o555))]);
    tree(
        None,
        vec![(path, store_tree)],
        contents,
        Some(Source::bytes(*b"registration")),
        MTIME,
    )
}

/// Every node as a line: path, mode and group.
fn lines(tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec![(PathBuf::from("/"), Tree::ROOT)];
    while let Some((path, id)) = todo.pop() {
        let Metadata { mode, gid, .. } = *tree.node(id).metadata;
        lines.push(format!("{} {mode:o} {gid}", path.display()));
        todo.extend(tree.entries(id).map(|(name, id)| (join(&path, name), id)));
    }
    lines.sort();
    lines
}

fn meeting(contents: Vec<Placed>) -> String {
    let error = image(contents).unwrap_err();
    assert!(matches!(error, RootError::Meeting { .. }), "{error}");
    let message = error.to_string();
    let (what, _) = message.split_once(';').unwrap();
    what.into()
}

#[test]
fn an_image_has_a_store_and_its_registration() {
    assert_eq!(
        lines(&image(vec![]).unwrap()),
        [
            "/ 755 0",
            "/nix 755 0",
            "/nix-path-registration 444 0",
            "/nix/store 1775 30000",
            "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a 555 0",
            "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a/bin 555 0",
        ]
    );
    let bare = tree(None, vec![], vec![], None, MTIME).unwrap();
    assert_eq!(
        lines(&bare),
        ["/ 755 0", "/nix 755 0", "/nix/store 1775 30000"]
    );
}

#[test]
fn missing_parents_are_made() {
    let image = image(vec![placed("/s", "/etc/ssh/key", Tree::new(file("key")))]).unwrap();
    let lines = lines(&image);
    for line in ["/etc 755 0", "/etc/ssh 755 0", "/etc/ssh/key 444 0"] {
        assert!(lines.contains(&line.into()), "{line} in {lines:?}");
    }
}

#[test]
fn directories_merge_and_the_later_ones_metadata_holds() {
    let later = directory_of([("b", file("b")), ("sub", directory(0o700))]);
    let image = image(vec![
        placed(
            "/one",
            "/etc",
            directory_of([("a", file("a")), ("sub", directory(0o755))]),
        ),
        placed("/two", "/etc", later),
        placed("/three", "/", directory_of([])),
    ]);
    let lines = lines(&image.unwrap());
    for line in [
        "/ 555 0",
        "/etc 555 0",
        "/etc/a 444 0",
        "/etc/b 444 0",
        "/etc/sub 700 0",
    ] {
        assert!(lines.contains(&line.into()), "{line} in {lines:?}");
    }
}

#[test]
fn an_implied_directory_leaves_what_is_there_alone() {
    let mut implied = placed("/t", "/root", directory_of([("key", file("key"))]));
    implied.implied.insert(Tree::ROOT);
    let private = placed("/s", "/root", Tree::new(directory(0o700)));
    let lines = lines(&image(vec![private, implied]).unwrap());
    assert!(lines.contains(&"/root 700 0".into()), "{lines:?}");
    assert!(lines.contains(&"/root/key 444 0".into()), "{lines:?}");
}

#[test]
fn the_store_directories_are_the_images_own() {
    let nix = directory_of([("store", directory(0o700))]);
    let lines = lines(&image(vec![placed("/s", "/nix", nix)]).unwrap());
    assert!(lines.contains(&"/nix 755 0".into()), "{lines:?}");
    assert!(lines.contains(&"/nix/store 1775 30000".into()), "{lines:?}");
}

#[test]
fn hard_links_stay_links() {
    let mut linked = directory_of([("one", file("x"))]);
    let one = linked.lookup(Tree::ROOT, &name("one")).unwrap();
    let sub = linked
        .insert(Tree::ROOT, name("sub"), directory(0o755))
        .unwrap();
    linked.link(sub, name("two"), one).unwrap();
    let image = image(vec![placed("/t", "/", linked)]).unwrap();
    let sub = image.lookup(Tree::ROOT, &name("sub")).unwrap();
    assert_eq!(
        image.lookup(sub, &name("two")),
        image.lookup(Tree::ROOT, &name("one"))
    );
}

#[test]
fn two_things_at_one_place_are_named_with_both_sources() {
    let one = || {
        placed(
            "/one",
            "/etc",
            directory_of([("a", file("a")), ("l", symlink())]),
        )
    };
    assert_eq!(
        meeting(vec![one(), placed("/two", "/etc/a", Tree::new(file("b")))]),
        "two things would stand at /etc/a: a file from the contents of /one and a file from the contents of /two"
    );
    assert_eq!(
        meeting(vec![one(), placed("/two", "/etc", Tree::new(symlink()))]),
        "two things would stand at /etc: a directory from the contents of /one and a symlink from the contents of /two"
    );
    assert_eq!(
        meeting(vec![
            one(),
            placed("/two", "/etc/l/x/y", Tree::new(file("b")))
        ]),
        "two things would stand at /etc/l: a symlink from the contents of /one and a directory from the contents of /two"
    );
    assert_eq!(
        meeting(vec![
            one(),
            placed("/two", "/", directory_of([("etc", file("e"))]))
        ]),
        "two things would stand at /etc: a directory from the contents of /one and a file from the contents of /two"
    );
}

#[test]
fn what_stands_in_the_images_own_places_is_named() {
    assert_eq!(
        meeting(vec![placed("/one", "/", Tree::new(file("a")))]),
        "two things would stand at /: a directory from the image's own layout and a file from the contents of /one"
    );
    assert_eq!(
        meeting(vec![placed("/one", "/nix/store", Tree::new(symlink()))]),
        "two things would stand at /nix/store: a symlink from the contents of /one and a directory from the image's own layout"
    );
    assert_eq!(
        meeting(vec![placed(
            "/one",
            "/nix-path-registration",
            Tree::new(file(""))
        )]),
        "two things would stand at /nix-path-registration: a file from the contents of /one and a file from the image's own layout"
    );
}

#[test]
fn a_store_path_of_the_closure_is_left_alone() {
    let at = format!("/nix/store/{STORE_PATH}");
    let within = format!("{at}/etc/x");
    let around = directory_of([(STORE_PATH, directory(0o555))]);
    for contents in [
        placed("/one", &at, Tree::new(directory(0o555))),
        placed("/one", &within, Tree::new(file("x"))),
        placed("/one", "/nix/store", around),
    ] {
        assert_eq!(
            image(vec![contents]).unwrap_err().to_string(),
            format!(
                "the contents of /one would stand at or in {at}, which the closure holds as it is; choose another target"
            )
        );
    }
    let another = placed("/one", "/nix/store/another", Tree::new(file("x")));
    assert!(image(vec![another]).is_ok());
}

/// The tree of a NixOS root with `contents`.
fn nixos_image(contents: Vec<Placed>) -> Result<Tree, RootError> {
    tree(Some(&NixosRoot::default()), vec![], contents, None, MTIME)
}

#[test]
fn contents_merge_over_a_nixos_but_for_what_it_has_below_nix() {
    let open = || Tree::new(directory(0o707));
    let lines = lines(
        &nixos_image(vec![
            placed("/one", "/home", open()),
            placed("/two", "/tmp", open()),
            placed("/three", "/nix/var/nix/profiles", open()),
            placed("/four", "/nix/var/nix/gcroots/own", open()),
        ])
        .unwrap(),
    );
    for line in [
        "/home 707 0",
        "/tmp 707 0",
        "/nix/var/nix/profiles 755 0",
        "/nix/var/nix/gcroots 755 0",
        "/nix/var/nix/gcroots/own 707 0",
    ] {
        assert!(lines.contains(&line.into()), "{line} in {lines:?}");
    }
}

#[test]
fn contents_that_meet_what_a_nixos_has_are_named() {
    let meeting = |contents| {
        let message = nixos_image(vec![contents]).unwrap_err().to_string();
        let (what, _) = message.split_once(';').unwrap();
        what.to_owned()
    };
    assert_eq!(
        meeting(placed("/one", "/etc/NIXOS", Tree::new(file("")))),
        "two things would stand at /etc/NIXOS: a file from the image's own layout and a file from the contents of /one"
    );
    assert_eq!(
        meeting(placed("/one", "/var/run/x", Tree::new(file("")))),
        "two things would stand at /var/run: a symlink from the image's own layout and a directory from the contents of /one"
    );
}

#[test]
fn a_store_alone_has_its_paths_at_its_top() {
    let path = StorePath::from_base_name(STORE_PATH).unwrap();
    let store = directory_of([("bin", directory(0o555))]);
    let tree = store_tree(vec![(path, store)], MTIME);
    assert_eq!(
        lines(&tree),
        [
            "/ 1775 30000".to_owned(),
            format!("/{STORE_PATH} 555 0"),
            format!("/{STORE_PATH}/bin 555 0"),
        ]
    );
}

//! Messages that no case of the gallery has, and why. One that a case has must not stand here.

/// Why nobody sees them, or no case does, and messages.
const GROUPS: [(&str, &[&str]); 8] = [
    (
        "moments that a test cannot choose: process.rs, survival/signals.rs and survival/changes.rs wait for them",
        &[
            "interrupted",
            "{} changed while the image was built: it was {expected} when it was scanned and is {found} now; build again when nothing writes to it",
            "{} changed while the image was built: it had {expected} bytes when it was scanned and has {found} now; build again when nothing writes to it",
            "somebody wrote it while it was read without locks; read it again, or as root",
            "the process that entered it reported nothing ({status})",
        ],
    ),
    (
        "a disk that fails at one moment of many; survival/read_errors.rs lets some of them fail",
        &[
            "cannot open the written image to check it",
            "cannot verify the image",
            "the image that was written has {size} bytes, and its filesystem begins at byte {start}",
            "the filesystem that was written cannot be read",
            "cannot tell the size of the image",
            "cannot read {length} bytes at byte {offset}",
            "it cannot be opened",
            "byte {offset} cannot be read",
            "cannot hash {path}, which two inputs hold",
            "cannot make a NAR of {}",
            "cannot write a NAR",
        ],
    ),
    (
        "a host without processes or memory at one moment of many; survival/limits.rs tries",
        &[
            "cannot handle signals",
            "cannot start a thread to write store paths; allow more processes (`ulimit -u`) or memory (`ulimit -v`)",
            "cannot start a thread to unpack the export {}; allow more processes (`ulimit -u`) or memory (`ulimit -v`)",
            "cannot start the process that enters it",
        ],
    ),
    (
        "a terminal is needed at which somebody fails to type a password; install.rs has one",
        &[
            "{PASSWD} ended with {ending}; all is installed but root's password: `nix2image install --root {} --chroot passwd` sets it",
        ],
    ),
    (
        "refused before, with another message, or never made: a NAR, a tar and attributes cannot say it",
        &[
            "its time has {nanoseconds} nanoseconds; a second has fewer than 1000000000",
            "it is the root of a filesystem and must be a directory",
            "it is the root of an archive and must be a directory",
            "a tar archive cannot hold {path}: {fault}",
            "its mode is {mode:o}; permissions are at most 7777",
            "it is a directory that has another name already",
            "its {field} holds a NUL byte",
            "it is the device {major}:{minor}; a header has room for {max}:{max}",
            "a sector cannot have {bytes} bytes; it has 512 or 4096",
            "a FAT filesystem of {size} bytes is no whole number of sectors of {sector} bytes",
            "its name has {units} UTF-16 units; a name has at most {MAX_UNITS}",
            "cannot set the mode {mode:o} of {}; the sandbox of Nix lets nobody set a set-uid or set-gid bit",
            "cannot make {kind} at {}; only root may, and not in the sandbox of Nix",
            "{path} is valid with the hash {}, and is to be registered with {}; the two stores hold different builds of it, so delete one",
            "{path} refers to {reference}, which is not valid; register the whole closure",
            "cannot name {} in an image",
            "{name:?} is there already",
            "a file has {} bytes, not the {expected} of before",
        ],
    ),
    (
        "it would take millions of files",
        &[
            "the directory has {entries} entries, more than an index of two levels can hold; spread them over several directories",
        ],
    ),
    (
        "the path is too long for the reader before it has led through so many directories",
        &[
            "{path} leads into itself in the image: more than {inodes} directories, as many as there are inodes, are below it",
        ],
    ),
    (
        "a fault of ours, which no test knows",
        &["the FAT filesystem could not be made: {0}; this is a fault of nix2image"],
    ),
];

/// All of them.
pub(super) fn messages() -> Vec<&'static str> {
    let groups = GROUPS.iter();
    groups
        .flat_map(|(_, messages)| messages.iter().copied())
        .collect()
}

# The files that shell commands make under a directory, as an entry of `contents`.
#
# They travel as a tar file: a directory in the store would lose its modes (a key of 0600 would
# become 0444).
{
  # attribute set or null: the nixpkgs whose build platform runs the commands.
  pkgs,
  # string: the name of the tar file in the store.
  name,
  # string: the shell commands.
  commands,
  # string: the directory that they fill, in the working directory.
  directory ? "files",
  # function: from a package set to the list of packages whose programs they may run.
  tools ? (_: [ ]),
  # bool: whether links become the files that they name, for a filesystem that has no links.
  followLinks ? false,
  # int: the modification time of every file.
  time,
  # string: the argument that the commands come from, for the error.
  argument,
  # string: what needs no nixpkgs, for the error.
  instead ? "`contents`, which needs none",
}:
{
  source = import ./run-shell.nix {
    inherit
      pkgs
      name
      tools
      instead
      ;
    reason = "${argument} is shell text";
    commands = ''
      (
      mkdir -p ./${directory}
      ${commands}
      )

      tar \
        --create --file="$out" --directory=./${directory} \
        --format=posix \
        --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime \
        --sort=name --mtime=@${toString time} \
        --owner=0 --group=0 --numeric-owner \${
          if followLinks then "\n  --dereference --hard-dereference \\" else ""
        }
        .
    '';
  };
  target = "/";
  unpack = true;
}

# The files that shell commands make under `./files`, as an entry of `contents`.
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
  # int: the modification time of every file.
  time,
  # string: the argument that the commands come from, for the error.
  argument,
}:
let
  tar =
    (pkgs.buildPackages or pkgs).runCommand name { } ''
      (
      mkdir -p ./files
      ${commands}
      )

      tar \
        --create --file="$out" --directory=./files \
        --format=posix \
        --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime \
        --sort=name --mtime=@${toString time} \
        --owner=0 --group=0 --numeric-owner \
        .
    '';
in
if pkgs == null then
  throw "nix2image: ${argument} is shell text and needs a nixpkgs to run in: give `pkgs` to the function or to `import ./nix`, or use `contents`, which needs none"
else
  {
    source = tar;
    target = "/";
    unpack = true;
  }

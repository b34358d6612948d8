# A real image of everything that a call can ask for, on the stand-in nixpkgs: `image` wants the
# static binary as `builder`; `files`, the tar file of `populateImageCommands`, wants none.
{
  # path or string: the static binary.
  builder ? ./image.nix,
  # string: the build platform.
  system ? "x86_64-linux",
  # string: a static busybox by that name, the shell of the stand-in.
  busybox ? "/usr/bin/busybox",
  # attribute set: more arguments for makeExt4Fs.
  arguments ? { },
}:
let
  pkgs = import ./nixpkgs { inherit system busybox; };
  inherit (import ../../nix { inherit builder system pkgs; }) makeExt4Fs;

  # Store paths that no tool of the machine had a part in, so that the image's bytes are the same
  # wherever it is built: a directory, and a file that refers to it.
  package = builtins.path {
    name = "package";
    path = ./package;
  };
  reference = builtins.toFile "reference" "${package}/bin/program\n";

  # What a directory in the store would lose.
  populateImageCommands = ''
    mkdir -p files/etc files/root files/tmp
    (umask 077; echo secret >files/etc/key)
    chmod 700 files/root
    chmod 1777 files/tmp
    echo hidden >files/.hidden
    echo "two words" >"files/two words"
    ln -s ${reference} files/current
    # A comment at the end closes nothing.'';

  image = makeExt4Fs (
    {
      storePaths = [ reference ];
      volumeLabel = "NIX2IMAGE";
      inherit populateImageCommands;
      contents = [
        {
          source = "${package}/bin/program";
          target = "/etc/program";
          mode = "0640";
          uid = 1;
          gid = 2;
          mtime = 0;
          xattrs."user.comment" = "from contents";
        }
      ];
    }
    // arguments
  );
in
{
  inherit image;
  files = (builtins.head image.nix2image.contents).source;
}

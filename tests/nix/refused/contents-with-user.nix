# error: nix2image: makeExt4Fs: contents[0].user is unknown; allowed are source target unpack glob mode recursiveMode uid gid mtime xattrs
(import ../../../nix {
  builder = ./contents-with-user.nix;
  system = "x86_64-linux";
}).makeExt4Fs
  {
    storePaths = [ ];
    volumeLabel = "label";
    contents = [
      {
        source = ./contents-with-user.nix;
        target = "/a";
        user = "root";
      }
    ];
  }

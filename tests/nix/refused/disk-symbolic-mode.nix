# error: nix2image: makeDiskImage: contents[0].mode is "u=rw,go=r"; write it in octal, as "0644": it holds for the source and for all in it
(import ../../../nix {
  builder = ./disk-symbolic-mode.nix;
  system = "x86_64-linux";
}).makeDiskImage
  {
    config = import ../configuration.nix "x86_64-linux" { };
    contents = [
      {
        source = ./disk-symbolic-mode.nix;
        target = "/a";
        mode = "u=rw,go=r";
      }
    ];
    installBootLoader = false;
    copyChannel = false;
  }

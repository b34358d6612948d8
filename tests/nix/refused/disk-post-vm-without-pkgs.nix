# error: nix2image: makeDiskImage: postVM is shell text and needs a nixpkgs to run in: give `pkgs` to the function or to `import ./nix`, or use a derivation of your own, which takes the image as its input
(import ../../../nix {
  builder = ./disk-post-vm-without-pkgs.nix;
  system = "x86_64-linux";
}).makeDiskImage
  { postVM = "ls $diskImage"; }

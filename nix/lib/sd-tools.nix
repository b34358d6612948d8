# attribute set -> list: the packages whose programs the shell commands of an SD image may run, as
# in nixpkgs' derivation.
pkgs: [
  pkgs.dosfstools
  pkgs.e2fsprogs
  pkgs.libfaketime
  pkgs.mtools
  pkgs.util-linux
  pkgs.zstd
]

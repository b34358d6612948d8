# A system that boots, and describes itself to boot loaders as a NixOS does: `boot.json`, and
# what it names. Its init looks at the disk that it finds itself on.
{
  # path: a static busybox for the machine that builds.
  shell,
  # paths: directories with what the machine that boots has: its kernel (`Image`), its initrd
  # (`initrd`), and its static busybox (`busybox`).
  kernel,
  initrd,
  busybox,
  # path or null: a directory of device trees.
  dtbs ? null,
  # list of strings: what the kernel is told.
  kernelParams,
  # string: the command that tells whether the store is what it should be.
  verify,
  # list of paths: where init finds programs beside busybox's, in `bin`.
  path ? [ ],
}:
let
  target = "${busybox}/busybox";

  # `@out@` is the system, which does not know its own path yet.
  bootspec = builtins.toFile "boot.json" (
    builtins.unsafeDiscardStringContext (
      builtins.toJSON {
        "org.nixos.bootspec.v1" = {
          init = "@out@/init";
          initrd = "${initrd}/initrd";
          kernel = "${kernel}/Image";
          label = "NixOS Stand-in 24.11 (Linux)";
          system = builtins.currentSystem;
          toplevel = "@out@";
          inherit kernelParams;
        };
        "org.nixos.specialisation.v1" = { };
      }
    )
  );
in
derivation {
  name = "nixos-system-bootable";
  system = builtins.currentSystem;
  builder = shell;
  args = [
    "sh"
    "-euc"
    ''
      $shell mkdir $out
      echo "#!$target sh" > $out/init
      $shell sed "s|@shell@|$target|; s|@path@|$binaries|; s|@verify@|$verify|" $initText >> $out/init
      $shell chmod 755 $out/init
      $shell sed "s|@out@|$out|g" $bootspec > $out/boot.json
      $shell ln -s $kernel/Image $out/kernel
      $shell ln -s $initrd/initrd $out/initrd
      if [ -n "$dtbs" ]; then $shell ln -s $dtbs $out/dtbs; fi
      printf 24.11-stand-in > $out/nixos-version
    ''
  ];
  inherit
    bootspec
    dtbs
    initrd
    kernel
    shell
    target
    verify
    ;
  binaries = builtins.concatStringsSep ":" (map (directory: "${directory}/bin") path);
  initText = builtins.path {
    name = "init.sh";
    path = ./bootable/init.sh;
  };
}

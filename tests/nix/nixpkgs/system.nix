# A system of NixOS, with as much of it as boot loaders read: boot.json and the files that it names.
# It does not boot.
{
  # function: `runCommand`.
  runCommand,
  # string: what it is for.
  system,
  # string: its version.
  version,
  # attribute set: more variables of its derivation, so that it changes with them.
  environment ? { },
}:
let
  linux = runCommand "linux" { } ''
    mkdir -p "$out/dtbs/vendor"
    echo kernel >"$out/bzImage"
    echo tree >"$out/dtbs/vendor/board.dtb"
  '';
  initrd = runCommand "initrd" { } ''
    mkdir "$out"
    echo initrd >"$out/initrd"
  '';
in
runCommand "nixos-system" environment ''
  mkdir "$out"
  echo ${version} >"$out/nixos-version"
  echo init >"$out/init"
  chmod 755 "$out/init"
  ln -s ${linux}/dtbs "$out/dtbs"
  cat >"$out/boot.json" <<EOF
  {
    "org.nixos.bootspec.v1": {
      "init": "$out/init",
      "initrd": "${initrd}/initrd",
      "kernel": "${linux}/bzImage",
      "kernelParams": [ "console=ttyS0" ],
      "label": "NixOS ${version}",
      "system": "${system}",
      "toplevel": "$out"
    },
    "org.nixos.specialisation.v1": { },
    "org.nixos.systemd-boot": { "sortKey": "nixos" }
  }
  EOF
''

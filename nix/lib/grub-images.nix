# GRUB's own images, made by its `grub-mkimage`: an ordinary build step, on the build platform, from
# the modules of the host platform. Nothing of the host platform is run.
#
# An image looks for the filesystem with a label, and reads `grub.cfg` from it.
{
  # attribute set or null: the nixpkgs of the image.
  pkgs,
  # string: what wants them, for errors.
  reason,
  # string: the label of the filesystem with grub.cfg.
  label,
  # string: the directory of grub.cfg in that filesystem, as "/boot/grub".
  directory,
}:
let
  buildPackages = pkgs.buildPackages or pkgs;

  # What reads disks and what grub.cfg may say: the image has no directory of further modules.
  common = [
    "part_gpt"
    "part_msdos"
    "ext2"
    "fat"
    "search"
    "search_label"
    "search_fs_uuid"
    "search_fs_file"
    "configfile"
    "normal"
    "linux"
    "chain"
    "serial"
    "terminal"
    "echo"
    "test"
    "true"
    "regexp"
    "sleep"
    "ls"
    "cat"
    "help"
    "loadenv"
    "boot"
    "reboot"
    "halt"
    "gzio"
  ];
  formats = {
    i386-pc = [
      "biosdisk"
      "linux16"
    ];
    x86_64-efi = [
      "all_video"
      "efi_gop"
      "efi_uga"
    ];
    arm64-efi = [
      "all_video"
      "efi_gop"
    ];
  };

  config = builtins.toFile "early-grub.cfg" ''
    search --no-floppy --set=root --label ${builtins.toJSON label}
    set prefix=($root)${directory}
    configfile ($root)${directory}/grub.cfg
  '';

  image =
    {
      # string: a format of grub-mkimage.
      format,
      # function: from a package set to its GRUB.
      grubOf,
      # string: the file that grub-mkimage writes.
      output,
      # function: from the directory of modules to further shell commands.
      commands ? _: "",
    }:
    let
      modules = "${grubOf pkgs}/lib/grub/${format}";
    in
    buildPackages.runCommand "grub-${format}" { } ''
      mkdir -p "$out"
      ${grubOf buildPackages}/bin/grub-mkimage \
        --directory=${modules} --format=${format} --prefix=${directory} --config=${config} \
        --output="$out/${output}" \
        ${toString (formats.${format} ++ common)}
      ${commands modules}
    '';

  checked =
    derivation:
    if pkgs == null then
      throw "nix2image: ${reason} takes GRUB from a nixpkgs: give `pkgs`"
    else
      derivation;
in
{
  # { boot; core; }: for a BIOS.
  bios =
    let
      images = checked (image {
        format = "i386-pc";
        grubOf = packages: packages.grub2;
        output = "core.img";
        commands = modules: ''cp ${modules}/boot.img "$out/boot.img"'';
      });
    in
    {
      boot = "${images}/boot.img";
      core = "${images}/core.img";
    };

  # string -> string: the program that UEFI starts, of an architecture as UEFI spells it ("X64").
  efi =
    architecture:
    let
      output = "BOOT${architecture}.EFI";
    in
    "${
      checked (image {
        format =
          {
            X64 = "x86_64-efi";
            AA64 = "arm64-efi";
          }
          .${architecture};
        grubOf = packages: packages.grub2_efi;
        inherit output;
      })
    }/${output}";
}

# What GRUB needs, for a BIOS, for UEFI or for both; see boot-loader.nix, which says what the
# arguments are.
{
  function,
  config,
  pkgs,
  system,
  timeout,
  option,
  unless,
  refused,
  remedy,
  table,
  labels,
  bootPlace,
  bootDirectory,
  inBoot,
  architecture,
  grubBoots,
  ...
}:
let
  cfg = config.boot.loader.grub;

  devices = (cfg.devices or [ ]) ++ (if cfg.device or "" == "" then [ ] else [ cfg.device ]);
  boots =
    if grubBoots != null then
      grubBoots
    else
      {
        bios = builtins.any (device: device != "nodev") devices;
        efi = cfg.efiSupport or false;
      };

  mirrors = cfg.mirroredBoots or [ ];
  otherPath = builtins.filter (mirror: (mirror.path or "/boot") != "/boot") mirrors;

  # A title, or "saved", is for a grubenv that the image has not.
  default =
    let
      text = toString (cfg.default or 0);
      number = builtins.match "0*([0-9]+)" text;
    in
    if number == null then
      refused "boot.loader.grub.default is \"${text}\", and only the number of an entry is written here; give a number, ${remedy}"
    else
      builtins.fromJSON (builtins.head number);

  # NixOS writes extraFiles as commands of extraPrepareConfig.
  prepares = builtins.filter (
    line:
    builtins.isString line
    && builtins.match "[[:space:]]*" line == null
    && builtins.match ".*@bootPath@/.*" line == null
  ) (builtins.split "\n" (cfg.extraPrepareConfig or ""));

  images = import ./grub-images.nix {
    inherit pkgs;
    reason = "${function}: boot.loader.grub";
    label = labels.${bootPlace};
    directory = inBoot "grub";
  };

  # extraEntries names the directory of extraFiles so.
  withBootRoot = builtins.replaceStrings [ "@bootRoot@" ] [
    (if bootPlace == "root" then "/boot" else "")
  ];
  extraEntries = withBootRoot (cfg.extraEntries or "");
  extraConfig = withBootRoot (cfg.extraConfig or "");
  before = cfg.extraEntriesBeforeNixOS or false;

  copies = bootPlace != "root" || cfg.copyKernels or false;
  menu = {
    bootFiles = [
      {
        grub = {
          inherit system timeout default;
          extraConfig =
            if before && extraEntries != "" then extraConfig + "\n" + extraEntries else extraConfig;
          kernels = if copies then "copied" else "store";
          search.label = labels.${bootPlace};
        }
        // (if before || extraEntries == "" then { } else { inherit extraEntries; });
        target = bootDirectory;
      }
    ];
    contents = map (name: {
      source = cfg.extraFiles.${name};
      target = inBoot name;
    }) (builtins.attrNames (cfg.extraFiles or { }));
  };

  # The place that firmware without variables of its own looks at.
  removable = {
    source = images.efi architecture;
    target = "/EFI/BOOT/BOOT${architecture}.EFI";
  };

  none = {
    bootFiles = [ ];
    contents = [ ];
  };
  places = {
    esp = none;
  }
  // {
    ${bootPlace} = menu;
  };
in
unless
  [
    {
      when = option 2 (cfg.version or 2) == 1;
      message = "boot.loader.grub.version 1 is not known here; use 2";
    }
    {
      when = !boots.bios && !boots.efi;
      message = "boot.loader.grub has no device but \"nodev\", and no efiSupport, so that nothing would start it; set boot.loader.grub.device = \"/dev/vda\" or efiSupport = true, ${remedy}";
    }
    {
      when = boots.bios && !table.bios;
      message = "boot.loader.grub.device is for a BIOS, and ${table.name} has no room for its image; use partitionTableType \"legacy\", \"legacy+boot\", \"legacy+gpt\" or \"hybrid\", or set boot.loader.grub.device = \"nodev\"";
    }
    {
      when = boots.efi && !table.esp;
      message = "boot.loader.grub.efiSupport wants an EFI system partition, which ${table.name} has not; use partitionTableType \"efi\", \"efixbootldr\" or \"hybrid\", or set it to false";
    }
    {
      when = boots.bios && architecture != "X64";
      message = "boot.loader.grub.device is for a BIOS, and the image is not for x86; set it to \"nodev\", with efiSupport = true";
    }
    {
      when = boots.efi && cfg.forcei686 or false;
      message = "boot.loader.grub.forcei686 is not done here; set it to false, ${remedy}";
    }
    {
      when = builtins.length mirrors > 1 || otherPath != [ ];
      message = "boot.loader.grub.mirroredBoots names other places than /boot, and the image has one; leave it out, ${remedy}";
    }
    {
      when = (cfg.users or { }) != { };
      message = "boot.loader.grub.users is not written here; leave it to the first nixos-rebuild, ${remedy}";
    }
    {
      when = cfg.enableCryptodisk or false;
      message = "boot.loader.grub.enableCryptodisk is for an encrypted /boot, and the image's is not; set it to false, ${remedy}";
    }
    {
      when = option false (cfg.trustedBoot.enable or false) || cfg.zfsSupport or false;
      message = "boot.loader.grub.zfsSupport and trustedBoot want another GRUB than is installed here; set them to false, ${remedy}";
    }
    {
      when = prepares != [ ];
      message = "boot.loader.grub.extraPrepareConfig is to run where GRUB is installed, and nothing is run here; leave it out, ${remedy}";
    }
    {
      when = (cfg.extraPerEntryConfig or "") != "";
      message = "boot.loader.grub.extraPerEntryConfig is not written here; use extraConfig, ${remedy}";
    }
    {
      when = (cfg.storePath or "/nix/store") != "/nix/store";
      message = "boot.loader.grub.storePath is ${cfg.storePath}, and the kernels are in /nix/store of the root filesystem; leave it at that, ${remedy}";
    }
  ]
  (
    places
    // {
      esp = places.esp // {
        contents = places.esp.contents ++ (if boots.efi then [ removable ] else [ ]);
      };
      grub = if boots.bios then images.bios else null;
    }
  )

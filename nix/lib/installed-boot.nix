# What stands in the partitions for the boot loader of a configuration, in which all that is mounted
# at boot is where it looks for it; see boot-loader.nix.
{
  # string: the function's name, for errors.
  function,
  # attribute set: the configuration.
  config,
  # attribute set or null: the nixpkgs of the image.
  pkgs,
  # string: the system that boots.
  system,
  # attribute set: what the partition table has; see disk-tables.nix.
  table,
  # attribute set: labels by place: root, esp, boot.
  labels,
  # null or { bios; efi; } of bools: how GRUB boots, whatever the configuration says.
  grubBoots,
  # string: the UUID of the root filesystem.
  rootUuid,
  # string or null: the GUID of its partition, in a table that has them.
  rootGuid,
}:
let
  esp = {
    mountPoint = config.boot.loader.efi.efiSysMountPoint or "/boot";
    label = labels.esp;
  };
  boot = {
    mountPoint = "/boot";
    label = labels.boot;
  };
in
import ./check-file-systems.nix
  {
    inherit function config;
    label = labels.root;
    uuid = rootUuid;
    partitionGuid = rootGuid;
    bootPartitions =
      (if table.esp then [ esp ] else [ ]) ++ (if table.boot == "boot" then [ boot ] else [ ]);
  }
  (
    import ./boot-loader.nix {
      inherit
        function
        config
        pkgs
        system
        table
        labels
        grubBoots
        ;
    }
  )

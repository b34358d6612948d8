# any -> any: the value, unless the configuration looks for its root or its boot partitions where
# the image has them not. Such an image is written well, and stops while it boots.
{
  # string: the function's name, for errors.
  function,
  # attribute set: the configuration.
  config,
  # string: the label of the root filesystem.
  label,
  # string: its UUID.
  uuid,
  # string or null: the GUID of its partition, in a table that has them.
  partitionGuid,
  # list of { mountPoint; label; }: the boot partitions.
  bootPartitions,
}:
let
  fileSystem = mountPoint: config.fileSystems.${mountPoint} or { };
  # What it is mounted from; "" is not known.
  deviceOf =
    mountPoint:
    let
      inherit (fileSystem mountPoint) label device;
    in
    if fileSystem mountPoint ? device && device != null then
      device
    else if fileSystem mountPoint ? label && label != null then
      "/dev/disk/by-label/${label}"
    else
      "";
  device = deviceOf "/";

  lowerHex = import ./lower-hex.nix;
  # Its name in a directory of /dev/disk, if that is what it is mounted by.
  nameIn =
    kind: device:
    let
      match = builtins.match "/dev/disk/by-${kind}/(.*)" device;
    in
    if match == null then null else builtins.head match;
  byLabel = nameIn "label" device;
  byUuid = nameIn "uuid" device;
  byPartUuid = nameIn "partuuid" device;

  isElsewhere =
    { mountPoint, label }:
    let
      name = nameIn "label" (deviceOf mountPoint);
    in
    name != null && name != label;
  elsewhere = builtins.filter isElsewhere bootPartitions;

  checks = [
    {
      fails = byLabel != null && byLabel != label;
      image = "the label of the image's root is \"${label}\"; give the function the argument label = \"${toString byLabel}\"";
    }
    {
      fails = byUuid != null && lowerHex byUuid != uuid;
      image = "the UUID of the image's root is ${uuid}; give the function the argument rootFSUID";
    }
    {
      fails = byPartUuid != null && partitionGuid != null && lowerHex byPartUuid != partitionGuid;
      image = "the GUID of the image's root partition is ${toString partitionGuid}; give the function the argument rootGPUID";
    }
  ];
  failing = builtins.filter (check: check.fails) checks;

  ours = byLabel != null || byUuid != null || byPartUuid != null;
  fsType = (fileSystem "/").fsType or "auto";
in
value:
if failing != [ ] then
  throw "nix2image: ${function}: fileSystems.\"/\".device is ${device}, and ${(builtins.head failing).image}"
else if
  ours
  && !(builtins.elem fsType [
    "auto"
    "ext4"
  ])
then
  throw "nix2image: ${function}: fileSystems.\"/\".fsType is \"${fsType}\", and the image's root is ext4; set it to \"ext4\""
else if elsewhere != [ ] then
  let
    inherit (builtins.head elsewhere) mountPoint label;
  in
  throw "nix2image: ${function}: fileSystems.\"${mountPoint}\".device is ${deviceOf mountPoint}, and the label of the image's partition is \"${label}\"; set it to \"/dev/disk/by-label/${label}\""
else
  value

# any -> any: the value, unless the configuration looks for its root where the image has it not.
# Such an image is written well, and stops in its initrd.
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
}:
let
  root = config.fileSystems."/" or { };
  ofLabel = if root.label or null == null then "" else "/dev/disk/by-label/${root.label}";
  device = if root.device or null == null then ofLabel else root.device;

  lowerHex = import ./lower-hex.nix;
  by =
    kind:
    let
      match = builtins.match "/dev/disk/by-${kind}/(.*)" device;
    in
    if match == null then null else builtins.head match;
  byLabel = by "label";
  byUuid = by "uuid";
  byPartUuid = by "partuuid";

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
  fsType = root.fsType or "auto";
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
else
  value

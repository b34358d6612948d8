# list -> list: `contents` as nixpkgs' make-disk-image.nix takes them, { source; target; mode ?;
# user ?; group ?; }, as our own.
{
  # string: the function's name, for errors.
  function,
  # attribute set: a configuration of NixOS, which knows ids by name.
  config,
}:
let
  users = {
    of = "user";
    declared = name: config.users.users.${name}.uid or null;
    fixed = config.ids.uids or { };
    remedy = name: "set users.users.${name}.uid";
  };
  groups = {
    of = "group";
    declared = name: config.users.groups.${name}.gid or null;
    fixed = config.ids.gids or { };
    remedy = name: "set users.groups.${name}.gid";
  };

  # An id by its number, as int or string, or by its name.
  idOf =
    where: kind: id:
    let
      declared = kind.declared id;
      number = if builtins.isString id then builtins.match "0*([0-9]{1,10})" id else null;
    in
    if id == null || builtins.isInt id then
      id
    else if number != null then
      builtins.fromJSON (builtins.head number)
    else if declared != null then
      declared
    else if kind.fixed ? ${id} then
      kind.fixed.${id}
    else if id == "root" then
      0
    else
      throw "nix2image: ${where}.${kind.of} is \"${id}\", to which the configuration gives no fixed id; ${kind.remedy id}, or write the number";

  modeOf =
    where: mode:
    if mode == null || builtins.match "[0-7]{1,4}" mode != null then
      mode
    else
      throw "nix2image: ${where}.mode is \"${mode}\"; write it in octal, as \"0644\": it holds for the source and for all in it";

  # "boot//memtest.bin/" is "/boot/memtest.bin".
  absolute =
    target:
    let
      names = builtins.filter (name: builtins.isString name && name != "") (builtins.split "/" target);
    in
    "/" + builtins.concatStringsSep "/" names;

  isGlob = source: builtins.match ".*[*].*" "${source}" != null;

  item =
    where: value:
    let
      checked = import ./check-attributes.nix {
        inherit where;
        required = [
          "source"
          "target"
        ];
        allowed = [
          "source"
          "target"
          "mode"
          "user"
          "group"
        ];
      } value;
      user = checked.user or null;
      group = checked.group or null;
      mode = modeOf where (checked.mode or null);
    in
    if (user == null) != (group == null) then
      throw "nix2image: ${where} has a ${
        if user == null then "group and no user" else "user and no group"
      }; give both, or none"
    else
      import ./present.nix {
        inherit (checked) source;
        target = absolute checked.target;
        glob = if isGlob checked.source then true else null;
        inherit mode;
        recursiveMode = if mode == null then null else true;
        uid = idOf where users user;
        gid = idOf where groups group;
      };
in
import ./each.nix "${function}: contents" item

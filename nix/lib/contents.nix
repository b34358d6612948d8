# list -> list: the argument `contents`, with each source as an input of the derivation.
# `function` is the function's name, for errors.
function: contents:
let
  allowed = [
    "source"
    "target"
    "unpack"
    "mode"
    "uid"
    "gid"
    "mtime"
    "xattrs"
  ];

  checked =
    index:
    let
      item = builtins.elemAt contents index;
      where = "${function}: contents[${toString index}]";
      unknown = builtins.head (builtins.attrNames (removeAttrs item allowed));
    in
    if !item ? source then
      throw "nix2image: ${where} has no source"
    else if !item ? target then
      throw "nix2image: ${where} has no target"
    else if removeAttrs item allowed != { } then
      throw "nix2image: ${where}.${unknown} is unknown; allowed are ${toString allowed}"
    else
      import ./present.nix (
        item // { source = import ./as-input.nix "${where}.source" item.source; }
      );
in
builtins.genList checked (builtins.length contents)

# attribute set or null -> { root; storePaths; }: the argument `root`, and what of it belongs to the
# closure.
#
# What Nix knows to be in this store (a derivation, a path, a string such as "${bash}/bin/sh") is
# taken into the closure. A bare string may name what an export or a binary cache holds and this
# store does not: it stays as it is, and has to be in the closure by itself.
#
# `function` is the function's name, for errors.
function: root:
let
  checked = import ./check-attributes.nix {
    where = "${function}: root";
    allowed = [
      "system"
      "channel"
      "shell"
      "database"
    ];
  } root;

  paths = builtins.mapAttrs (_name: value: "${value}") (
    import ./present.nix (removeAttrs checked [ "database" ])
  );

  # "/nix/store/…-bash" of "/nix/store/…-bash/bin/sh"; a match would lose the context.
  storePath =
    string:
    let
      inStore = builtins.match "(${builtins.storeDir}/[^/]+)(/.*)?" string;
    in
    if inStore == null then
      string
    else
      builtins.substring 0 (builtins.stringLength (builtins.head inStore)) string;
in
if root == null then
  {
    inherit root;
    storePaths = [ ];
  }
else
  {
    root = import ./present.nix (checked // paths);
    storePaths = map storePath (builtins.filter builtins.hasContext (builtins.attrValues paths));
  }

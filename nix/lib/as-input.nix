# any -> string: a path in the store, as a string that makes it an input of the derivation it
# stands in. Takes what Nix coerces to such a string (a derivation, a path, "${drv}/share"), and
# a bare "/nix/store/…" too. `where` is named in the error for everything else.
where: value:
let
  string = "${value}";
  inStore = builtins.match "(${builtins.storeDir}/[^/]+)(/.*)?" string;
in
if builtins.hasContext string then
  string
else if inStore != null then
  builtins.appendContext string { ${builtins.head inStore}.path = true; }
else
  throw "nix2image: ${where} is \"${string}\", which is not in the store, so the sandbox would not hold it; give a path (without quotes) or a derivation"

# path or string -> string: the static binary, as a string that makes it an input.
builder:
let
  string = toString builder;
  inStore = builtins.match "${builtins.storeDir}/.*" string != null;
in
if builtins.isPath builder || !(inStore || builtins.hasContext string) then
  # A binary that was built outside Nix. The name keeps the store path, and so every image's,
  # the same wherever it stands.
  builtins.path {
    name = "nix2image";
    path = builder;
  }
else
  import ./as-input.nix "builder" builder

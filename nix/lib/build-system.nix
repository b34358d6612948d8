# string or null -> attribute set or null -> string: the system that runs the builder.
# `builtins.currentSystem`, which pure evaluation lacks, is the last resort.
system: pkgs:
if system != null then
  system
else if pkgs != null then
  pkgs.stdenv.buildPlatform.system
else
  builtins.currentSystem

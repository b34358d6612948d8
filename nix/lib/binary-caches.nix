# list -> list: the argument `binaryCaches`, with each cache as an input of the derivation.
# `function` is the function's name, for errors.
#
# The paths are names of what is in the cache. They are no inputs: the store that builds the image
# need not have them, nor build them where they are derivations.
function:
import ./each.nix "${function}: binaryCaches" (
  where: item:
  let
    checked = import ./check-attributes.nix {
      inherit where;
      required = [
        "cache"
        "paths"
      ];
      allowed = [
        "cache"
        "paths"
      ];
    } item;
  in
  {
    cache = import ./as-input.nix "${where}.cache" checked.cache;
    paths = map (path: builtins.unsafeDiscardStringContext "${path}") checked.paths;
  }
)

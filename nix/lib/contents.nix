# list -> list: the argument `contents`, with each source as an input of the derivation. `where` is
# what errors call the list.
where:
import ./each.nix where (
  where: item:
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
        "unpack"
        "glob"
        "mode"
        "recursiveMode"
        "uid"
        "gid"
        "mtime"
        "xattrs"
      ];
    } item;
  in
  import ./present.nix (
    checked // { source = import ./as-input.nix "${where}.source" checked.source; }
  )
)
